//! `attache provision`: writes pages of flash with the authentication settings of a device, from
//! the same configuration.

use super::auth;
use super::config::{Protection, Secret, ServerConfig};
use super::fault::Fault;
use super::print::print;
use super::problem::Problem;
use super::settings::Settings;
use attache_core::auth::{Access, ApiKey, Gate, IssuerPolicy, Jwk, jwk_set};
use attache_core::json::{Text, Value};
use attache_core::provision::{ISSUER_KEYS, IssuerKey, LISTED, List, Page};
use attache_host::auth::key_file::{self, Entry, Kind, Level};
use attache_host::auth::{IssuerSettings, Unauthenticated};
use attache_host::private_file;
use clap::{Args, Subcommand};
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Write the page of flash that tells a device who may call it
#[derive(Args, Debug)]
pub(super) struct Provision {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a page with the credentials that callers need (auth.*), host names (allow_host),
    /// origins (allow_origin) and the key that signs sessions
    ///
    /// A device fetches nothing, so the keys of the issuer have to be in auth.jwks_file. The page
    /// holds secrets: keep it private.
    Write(Writing),
    /// Print a page without its secrets
    Show {
        /// File with the page
        page: PathBuf,
    },
}

#[derive(Args, Debug)]
struct Writing {
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Size of the page on the device, in bytes; the rest is filled with 0xFF, like erased flash
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    size: usize,

    /// SNTP server of the device: an IPv4 address, and a port if it is not 123. Without it, tokens
    /// are accepted only once the application has set the clock
    #[arg(long, value_name = "ADDR", value_parser = time_server)]
    time_server: Option<SocketAddrV4>,

    /// Path of the server that the settings are taken from [default: the first server]
    #[arg(long, value_name = "PATH")]
    server: Option<String>,

    #[command(flatten)]
    settings: Settings,
}

fn time_server(text: &str) -> Result<SocketAddrV4, String> {
    let alone = || text.parse().map(|address: Ipv4Addr| SocketAddrV4::new(address, 123));
    text.parse()
        .or_else(|_| alone())
        .map_err(|_| "must be an address such as 192.168.1.1 or 192.168.1.1:123".to_owned())
}

impl Provision {
    pub(super) fn run(&self) -> Result<(), Problem> {
        match &self.command {
            Command::Write(write) => write.run(),
            Command::Show { page } => show(page),
        }
    }
}

impl Writing {
    fn run(&self) -> Result<(), Problem> {
        let config = self.settings.config()?;
        let endpoint = auth::endpoint(&config.servers, self.server.as_deref())?;
        let secret = match &config.seal {
            Some(Secret(keys)) => keys.first().copied(),
            None => None,
        };
        print(&self.write(endpoint, secret)?)
    }

    /// Writes the page, and returns a summary for the operator.
    fn write(&self, endpoint: &ServerConfig, secret: Option<[u8; 32]>) -> Result<String, Fault> {
        let protection = &endpoint.protection;
        let policy = policy(protection)?;
        let jwks = match (&protection.jwks_file, policy) {
            (Some(file), _) => fs::read(file)
                .map_err(|error| Fault::of(format!("auth.jwks_file {} cannot be read: {error}", file.display())))?,
            (None, Some(_)) => {
                return Err(Fault::of(
                    "a device fetches no keys: save what the issuer has at the jwks_uri of its metadata, and name it in auth.jwks_file"
                        .to_owned(),
                ));
            }
            (None, None) => Vec::new(),
        };
        let digests = match &protection.keys_file {
            None => Vec::new(),
            Some(file) => key_file::read(file)?,
        };
        // A device has no levels and no key administration.
        let opens = |key: &Entry| key.kind != Kind::Master && key.opens(&Level::Function, &endpoint.path);
        let digests: Vec<Entry> = digests.into_iter().filter(opens).collect();
        let mut room = vec![[0; NUMBERS]; jwks.len() / LEAST + 1];
        let names: Vec<String> = kids(&jwks);
        let asked = match policy {
            Some(IssuerSettings { issuer, rules }) => {
                let mut asked = rules.clone();
                asked.issuers.insert(0, issuer.clone());
                asked.audiences.extend(protection.resource.clone());
                asked
            }
            None => IssuerPolicy::default(),
        };
        let time =
            SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|time| u32::try_from(time.as_secs()).ok());
        let page = Page {
            written: time.ok_or_else(|| {
                Fault::of("the clock of this machine is wrong: a page says when it was written".to_owned())
            })?,
            // A device without configured credentials admits no caller.
            gate: protection.gate.unwrap_or(Gate::Key),
            hosts: listed("allow_host", &endpoint.hosts)?,
            origins: listed("allow_origin", &endpoint.origins)?,
            resource: match (&protection.resource, policy) {
                (None, Some(_)) => {
                    return Err(Fault::of(
                        "set auth.resource: the device's endpoint as its clients write it".to_owned(),
                    ));
                }
                (resource, _) => resource.as_deref().unwrap_or_default(),
            },
            tokens: asked.try_map(|name, list| listed(&format!("auth.{name}"), list))?,
            scopes: listed("auth.scopes", &protection.scopes)?,
            issuer_keys: issuer_keys(&jwks, &names, &asked.issuers, &mut room)?,
            keys: named(&digests)?,
            time_server: self.time_server.map(|server| (*server.ip(), server.port())),
            secret: secret.map_or_else(key_file::random, Ok).map_err(Fault::of)?,
        };
        if page.hosts.is_empty() {
            return Err(Fault::of(
                "set allow_host: the names by which clients call the device, such as gateway.local".to_owned(),
            ));
        }
        let mut flash = vec![0xFF; self.size];
        let length = page.write(&mut flash).map_err(|_| {
            Fault::of(format!(
                "the page does not fit into {} bytes: reserve more flash, and say so by --size",
                self.size
            ))
        })?;
        let cannot = |error| Fault::of(format!("{} cannot be written: {error}", self.out.display()));
        let mut file = private_file::create(&self.out).map_err(cannot)?;
        file.write_all(&flash).and_then(|()| file.sync_all()).map_err(cannot)?;
        Ok(format!(
            "{}\n{length} of {} bytes are used. Write them to the page that the image has reserved, for instance with\n  \
             probe-rs download --binary-format bin --base-address ADDRESS {}\n",
            Shown(&page),
            self.size,
            self.out.display()
        ))
    }
}

/// The policy for tokens. Refuses settings that a device does not support.
fn policy(protection: &Protection) -> Result<Option<&IssuerSettings>, Fault> {
    let refused = |what: &str| Err(Fault::of(format!("{what}, which a device does not do")));
    match protection.policies.as_slice() {
        _ if protection.vouched => refused("auth.platform_principal believes a platform"),
        _ if protection.unauthenticated != Unauthenticated::Challenge => {
            refused("auth.unauthenticated hides what would do")
        }
        _ if protection.key_in_query => refused("auth.key_in_query takes keys in the address"),
        _ if protection.forwarded.is_some() => refused("the public URL is to come from a proxy"),
        [] => Ok(None),
        [policy] => Ok(Some(policy)),
        _ => refused("there are several issuers"),
    }
}

fn listed<'p>(key: &str, texts: impl IntoIterator<Item = &'p String>) -> Result<List<'p>, Fault> {
    let mut list = List::new();
    texts.into_iter().try_for_each(|text| list.push(text)).map_err(|_| too_many(key, LISTED))?;
    Ok(list)
}

fn named(digests: &[Entry]) -> Result<heapless::Vec<ApiKey<&str>, LISTED>, Fault> {
    let mut list = heapless::Vec::new();
    let mut all = digests.iter().map(|key| ApiKey::new(key.name.as_str(), key.digest));
    all.try_for_each(|key| list.push(key)).map_err(|_| too_many("auth.keys_file", LISTED))?;
    Ok(list)
}

fn too_many(key: &str, most: usize) -> Fault {
    Fault::of(format!("{key}: a device has room for {most} of them"))
}

/// Bytes of the largest modulus and its exponent.
const NUMBERS: usize = 1024;
/// The JSON text of a key has more characters than this.
const LEAST: usize = 64;

/// The ids of the keys (`kid`), without escapes.
fn kids(jwks: &[u8]) -> Vec<String> {
    let name = |key: Value<'_>| {
        key.member("kid").and_then(|kid| kid.text()).map_or_else(String::new, |kid| kid.chars().collect())
    };
    jwk_set(jwks).into_iter().flatten().map(name).collect()
}

/// Whether a key that is valid only for `issuer` may be in a page with these issuers. A page does
/// not store the issuer of a key, so the key has to be valid for all issuers in the page.
fn counts(issuer: Text<'_>, issuers: &[String]) -> bool {
    let issuer: String = issuer.chars().collect();
    let mut issuers = issuers.iter();
    match issuer.split_once("{tenantid}") {
        _ if issuer.is_empty() => true,
        // The key is valid for every tenant of an issuer, and the rules list the tenants.
        Some((front, back)) => issuers.any(|named| named.starts_with(front) && named.ends_with(back)),
        // The names of an issuer of Entra ID contain its tenant.
        None => {
            let tenant = issuer.split('/').find(|part| part.len() == 36);
            issuers.all(|named| *named == issuer || tenant.is_some_and(|tenant| named.contains(tenant)))
        }
    }
}

fn issuer_keys<'p>(
    jwks: &'p [u8],
    names: &'p [String],
    issuers: &[String],
    room: &'p mut [[u8; NUMBERS]],
) -> Result<heapless::Vec<IssuerKey<'p>, ISSUER_KEYS>, Fault> {
    let mut keys = heapless::Vec::new();
    for ((key, name), room) in jwk_set(jwks).into_iter().flatten().zip(names).zip(room) {
        // Keys for other uses are ignored (RFC 7517 §5).
        let key = Jwk::read(&key, room).filter(|key| counts(key.issuer, issuers));
        let Some(key) = key.and_then(|key| IssuerKey::new(name, key.public)) else { continue };
        if key.verifier().is_some() {
            keys.push(key).map_err(|_| too_many("auth.jwks_file", ISSUER_KEYS))?;
        }
    }
    if keys.is_empty() && !jwks.is_empty() {
        return Err(Fault::of("auth.jwks_file has no key for RS256 or ES256 that counts for auth.issuer".to_owned()));
    }
    Ok(keys)
}

fn show(path: &Path) -> Result<(), Problem> {
    let fault = |what: &dyn fmt::Display| Fault::of(format!("{}: {what}", path.display()));
    let flash = fs::read(path).map_err(|error| fault(&error))?;
    print(&format!("{}\n", Shown(&Page::read(&flash).map_err(|blank| fault(&blank))?)))
}

/// Prints a page without its secrets.
struct Shown<'a>(&'a Page<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(page) = self;
        let what = match page.gate {
            Gate::Open(Access::Anonymous) => "nothing",
            Gate::Token => "an access token",
            Gate::Key => "a key",
            Gate::Either => "an access token or a key",
            Gate::Both => "an access token and a key",
            Gate::Optional => "an access token for what asks for a scope or a role",
            _ => "something that this program does not know",
        };
        write!(f, "Callers need {what}.\n  written: {} (seconds since 1970)", page.written)?;
        let names: Vec<&str> = page.keys.iter().map(|key| *key.name()).collect();
        let kids: Vec<&str> = page.issuer_keys.iter().map(|key| key.name).collect();
        let resource = if page.resource.is_empty() { &[] } else { core::slice::from_ref(&page.resource) };
        let [issuers, rest @ ..] = page.tokens.lists();
        let lists = [
            ("hosts", &page.hosts[..]),
            ("origins", &page.origins),
            ("keys", &names),
            ("resource", resource),
            (issuers.0, issuers.1),
            ("keys of the issuer", &kids),
        ];
        let rest = rest.map(|(name, list)| (name, &list[..]));
        for (name, list) in lists.into_iter().chain(rest).chain([("scopes", &page.scopes[..])]) {
            if !list.is_empty() {
                write!(f, "\n  {name}: {}", list.join(", "))?;
            }
        }
        if !page.tokens.issuers.is_empty() {
            write!(f, "\n  tolerated difference of clocks: {} s", page.tokens.leeway)?;
        }
        if let Some(age) = page.tokens.max_age {
            write!(f, "\n  longest time since a token was issued: {age} s")?;
        }
        match page.time_server() {
            Some(server) => write!(f, "\n  time server: {server}"),
            None => Ok(()),
        }
    }
}
