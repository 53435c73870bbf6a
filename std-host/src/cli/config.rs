//! The configuration: one table of settings, four places to write them, one typed value for the program.

mod fault;
mod layers;
mod platform;
mod policy;
mod schema;
mod secret;
mod settings;
mod value;

pub(super) use fault::Fault;
pub(super) use layers::Layers;
use platform::Platform;
pub(super) use policy::Policy;
pub(super) use schema::schema;
pub(super) use secret::{Secret, bytes, check_readers};
use settings::{Kind, SETTINGS, Setting};
pub(super) use value::{Listen, Rates};

use super::key_file::Level;
use super::proxies::Proxies;
use super::text;
use attache_host::Limits;
use attache_host::auth::{Issuer, Unauthenticated};
use clap::{Arg, ArgAction, ArgMatches};
use core::net::SocketAddr;
use core::time::Duration;
use http::header::HeaderName;
use std::path::{Path, PathBuf};

/// What the program does.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) listen: Listen,
    pub(super) limits: Limits,
    pub(super) rates: Rates,
    pub(super) servers: Vec<Endpoint>,
    pub(super) tls: Option<Tls>,
    /// What sessions and questions are sealed with; made at the start where there is none.
    pub(super) seal: Option<Secret<Vec<[u8; 32]>>>,
    pub(super) log_level: String,
    pub(super) log_json: bool,
    pub(super) log_exchanges: bool,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) status: Option<SocketAddr>,
    pub(super) traces: Option<String>,
    pub(super) proxies: Proxies,
    /// The file whose keys are administered over HTTP.
    pub(super) administered: Option<PathBuf>,
}

/// One server.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) instructions: Option<String>,
    pub(super) tools: Vec<String>,
    pub(super) hosts: Vec<String>,
    pub(super) origins: Vec<String>,
    pub(super) protection: Protection,
}

/// What callers have to show.
#[derive(Debug)]
pub(super) struct Protection {
    pub(super) required: Required,
    pub(super) keys_file: Option<PathBuf>,
    pub(super) key_level: Level,
    /// Whether a key may stand in the query.
    pub(super) key_in_query: bool,
    /// Whether a platform says who calls.
    pub(super) vouched: bool,
    /// What is asked of access tokens, for each issuer.
    pub(super) policies: Vec<Policy>,
    /// Scopes that clients are told to ask for.
    pub(super) scopes: Vec<String>,
    /// Whether nothing is to be served in the clear, except on this machine.
    pub(super) require_https: bool,
    pub(super) unauthenticated: Unauthenticated,
    /// The fields of a proxy that say by which host and scheme it was called.
    pub(super) forwarded: Option<[HeaderName; 2]>,
    /// The file with the keys of the issuer, where they are not to be fetched.
    pub(super) jwks_file: Option<PathBuf>,
    /// The public URL of the endpoint.
    pub(super) resource: Option<String>,
}

/// How much of what is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Required {
    /// All of it; nothing, if there is none.
    All,
    /// A token or a key.
    Either,
    /// A token, for what asks for a scope or a role.
    Sometimes,
    /// Nothing, in words.
    Nothing,
}

impl Protection {
    /// Whether anything is asked of callers.
    pub(super) const fn asks(&self) -> bool {
        self.keys_file.is_some() || !self.policies.is_empty() || self.vouched
    }
}

/// The files of TLS.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
}

/// The flags of all settings, as the command line has them.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<(&'static Setting, Vec<String>)>);

impl clap::Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        settings::shown().fold(command, |command, setting| {
            let default = match setting.default {
                "" => String::new(),
                default => format!("; default {default}"),
            };
            let places = format!("{}{default} [{}, key {}]", setting.help, setting.variable(), setting.key);
            let action = if setting.kind == Kind::List { ArgAction::Append } else { ArgAction::Set };
            let flag = Arg::new(setting.key).long(setting.flag()).value_name(setting.kind.name());
            command.arg(flag.visible_aliases(setting.alias).help(places).action(action))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given =
            |setting: &'static Setting| Some((setting, matches.get_many::<String>(setting.key)?.cloned().collect()));
        Ok(Self(settings::shown().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The tools that the program has to offer.
const TOOLS: [&str; 2] = ["echo", "add"];

const SEAL_KEYS: &str =
    "the key to seal with must be 64 hexadecimal digits, and a second one may stand beside it: openssl rand -hex 32";

/// Settings of the policy for access tokens.
const OF_POLICY: &[&str] =
    &["issuer", "issuers", "audiences", "applications", "tenants", "identities", "groups", "scopes"];

/// The file that is read where it lies in the working directory and none is named.
const FILE: &str = "attache.toml";

impl Layers {
    /// All that was written: in `flags`, in the environment, and in the `file` or [`FILE`].
    pub(super) fn read(flags: &Flags, file: Option<&Path>) -> Result<Self, Fault> {
        let mut layers = Self::default();
        for (setting, texts) in &flags.0 {
            layers.flag(setting, texts.clone())?;
        }
        layers.variables(|name| std::env::var(name).ok())?;
        let path = file.unwrap_or_else(|| Path::new(FILE));
        match text::read(path) {
            Ok(text) => layers.file(path, &text)?,
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Fault::of(format!("{}: cannot be read: {error}", path.display()))),
        }
        Ok(layers)
    }

    /// All settings as the file would have them, and behind each where it comes from.
    pub(super) fn print(&self) -> String {
        let line = |setting: &Setting, server: Option<usize>| {
            let given = self.get(setting, server);
            if setting.kind == Kind::Secret {
                let hidden = || format!("# {} (hidden) from {}\n", setting.key, given.origin);
                return (!given.texts.is_empty()).then(hidden);
            }
            let mut quoted = given.texts.iter().map(|text| serde_json::Value::from(text.as_str()).to_string());
            let value = match setting.kind {
                Kind::List => format!("[{}]", quoted.collect::<Vec<_>>().join(", ")),
                _ => quoted.next()?,
            };
            Some(format!("{} = {value}  # {}\n", setting.key, given.origin))
        };
        let mut printed: String = SETTINGS.iter().filter_map(|setting| line(setting, None)).collect();
        for server in 0..self.servers() {
            printed.push_str("\n[[server]]\n");
            let own = SETTINGS.iter().filter(|setting| setting.of == settings::Of::Server);
            printed.extend(own.filter_map(|setting| line(setting, Some(server))));
        }
        printed
    }

    /// The typed value of all settings.
    pub(super) fn config(&self) -> Result<Config, Fault> {
        let limits = Limits::default()
            .body(self.size("limits.body"))
            .body_time(self.time("limits.body_time"))
            .head(self.size("limits.head"))
            .fields(self.count("limits.fields"))
            .head_time(self.time("limits.head_time"))
            .idle_time(self.time("limits.idle_time"))
            .stall_time(self.time("limits.stall_time"))
            .stream_time(self.time("limits.stream_time"))
            .connections(self.count("limits.connections"))
            .multiplexed(self.count("limits.multiplexed"))
            .calls(self.count("limits.calls"))
            .calls_waiting(self.count("limits.calls_waiting"))
            .call_wait(self.time("limits.call_wait"))
            .call_time(self.time("limits.call_time"))
            .streams(self.count("limits.streams"))
            .stop_grace(self.time("limits.stop_grace"));
        if limits.head < attache_host::limits::HEAD_LEAST {
            return Err(self.fault("limits.head", "must be 8KiB at least"));
        }
        Ok(Config {
            listen: value::listen(&self.text("listen"))
                .unwrap_or(Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080)))),
            rates: value::rate(&self.text("limits.rate")).unwrap_or(Rates::Auto),
            limits,
            servers: self.endpoints()?,
            tls: self.tls()?,
            seal: self.seal()?,
            log_level: self.text("log.level"),
            log_json: self.text("log.format") == "json",
            metrics: self.address("metrics.listen"),
            status: self.status()?,
            traces: self.traces()?,
            proxies: self.proxies()?,
            administered: self.administered()?,
            log_exchanges: self.text("log.exchanges") == "true",
        })
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>, Fault> {
        let numbers: Vec<Option<usize>> = match self.servers() {
            0 => vec![None],
            servers => (0..servers).map(Some).collect(),
        };
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for number in numbers {
            let texts = |key: &str| self.given(key, number).texts;
            let text = |key: &str| texts(key).into_iter().next();
            let path = text("path").unwrap_or_default();
            // `/mcp/` is served like `/mcp`.
            if endpoints.iter().any(|other| other.path.trim_end_matches('/') == path.trim_end_matches('/')) {
                let origin = self.given("path", number).origin;
                return Err(Fault::at(origin, format!("two servers have the path {path}: give each its own")));
            }
            let tools = texts("tools");
            if let Some(unknown) = tools.iter().find(|tool| !TOOLS.contains(&tool.as_str())) {
                let what = format!("there is no tool {unknown:?}: choose from {}", TOOLS.join(", "));
                return Err(Fault::at(self.given("tools", number).origin, what));
            }
            endpoints.push(Endpoint {
                path,
                name: text("name").unwrap_or_default(),
                instructions: text("instructions"),
                tools,
                hosts: texts("allow_host"),
                origins: texts("allow_origin"),
                protection: self.protection(number)?,
            });
        }
        Ok(endpoints)
    }

    /// Where the status page is: for browsers on this machine alone.
    fn status(&self) -> Result<Option<SocketAddr>, Fault> {
        match self.address("status.listen") {
            Some(address) if !address.ip().is_loopback() => Err(self.fault(
                "status.listen",
                "must be a loopback address, for the page asks nobody who he is: from elsewhere, reach it through ssh -L",
            )),
            address => Ok(address),
        }
    }

    /// Where spans are sent.
    fn traces(&self) -> Result<Option<String>, Fault> {
        let url = self.given("traces.endpoint", None).texts.into_iter().next();
        match url.as_deref().map(str::parse::<http::Uri>) {
            Some(Ok(url)) if matches!(url.scheme_str(), Some("http" | "https")) => {}
            None => {}
            Some(_) => {
                return Err(self.fault("traces.endpoint", "must be a URL such as http://127.0.0.1:4318/v1/traces"));
            }
        }
        Ok(url)
    }

    /// The proxies whose word counts.
    fn proxies(&self) -> Result<Proxies, Fault> {
        let given = self.given("proxy.trusted", None);
        Proxies::of(&given.texts).map_err(|wrong| {
            let what = format!("proxy.trusted has {wrong:?}: name addresses, networks such as 10.0.0.0/8, or unix");
            Fault::at(given.origin, what)
        })
    }

    /// The file whose keys are administered over HTTP.
    fn administered(&self) -> Result<Option<PathBuf>, Fault> {
        if self.text("auth.key_administration") != "true" {
            return Ok(None);
        }
        let fault = |what: &str| Err(self.fault("auth.key_administration", what));
        let file = |server| self.given("auth.keys_file", server).texts.into_iter().next();
        let Some(own) = file(None) else { return fault("means nothing without auth.keys_file") };
        if (0..self.servers()).any(|server| file(Some(server)).is_some_and(|other| other != own)) {
            return fault("is of one file, and a [[server]] has another one: give all of them the same auth.keys_file");
        }
        let local = value::listen(&self.text("listen")).is_some_and(|listen| listen.is_local());
        if !local && self.tls()?.is_none() {
            return fault("would send keys in the clear: set tls.certificate, or listen on a loopback address");
        }
        Ok(Some(own.into()))
    }

    fn tls(&self) -> Result<Option<Tls>, Fault> {
        let file = |key: &str| self.given(key, None).texts.into_iter().next().map(PathBuf::from);
        match (file("tls.certificate"), file("tls.key"), file("tls.client_ca")) {
            (Some(certificate), Some(key), client_ca) => Ok(Some(Tls { certificate, key, client_ca })),
            (None, None, None) => Ok(None),
            (Some(_), None, _) => Err(self.fault("tls.certificate", "needs tls.key beside it")),
            (None, Some(_), _) => Err(self.fault("tls.key", "needs tls.certificate beside it")),
            (None, None, Some(_)) => Err(self.fault("tls.client_ca", "needs tls.certificate and tls.key beside it")),
        }
    }

    fn protection(&self, server: Option<usize>) -> Result<Protection, Fault> {
        let text = |key: &str| self.given(key, server).texts.into_iter().next();
        let says = |key: &str| text(key).as_deref() == Some("true");
        let platform = self.policy(server)?;
        let protection = Protection {
            required: match text("auth.require").as_deref() {
                Some("anonymous") => Required::Nothing,
                Some("either") => Required::Either,
                Some("optional") => Required::Sometimes,
                _ if platform.admits_guests => Required::Sometimes,
                _ => Required::All,
            },
            keys_file: text("auth.keys_file").map(PathBuf::from),
            key_level: match text("auth.key_level").as_deref() {
                Some("system") => Level::System(text("auth.key_name").unwrap_or_default()),
                Some("admin") => Level::Admin,
                _ => Level::Function,
            },
            key_in_query: says("auth.key_in_query"),
            vouched: says("auth.platform_principal"),
            policies: platform.policies,
            scopes: platform.scopes,
            require_https: platform.require_https,
            unauthenticated: match (text("auth.unauthenticated").as_deref(), platform.unauthenticated) {
                (Some("403"), _) | (Some("401"), Some(403)) => Unauthenticated::Forbidden,
                (Some("404"), _) | (Some("401"), Some(404)) => Unauthenticated::NotFound,
                _ => Unauthenticated::Challenge,
            },
            forwarded: self.forwarded(server)?.or(platform.forwarded),
            jwks_file: text("auth.jwks_file").map(PathBuf::from),
            resource: text("auth.resource"),
        };
        match self.contradiction(server, &protection) {
            Some((key, what)) => Err(Fault::at(self.given(&key, server).origin, format!("{key} {what}"))),
            None => Ok(protection),
        }
    }

    /// What is asked of access tokens, wherever it stands.
    fn policy(&self, server: Option<usize>) -> Result<Platform, Fault> {
        let texts = |key: &str| self.given(key, server).texts;
        let Some(file) = texts("auth.platform_file").into_iter().next() else {
            let policy = |issuer| Policy {
                issuer,
                issuers: texts("auth.issuers"),
                audiences: texts("auth.audiences"),
                applications: texts("auth.applications"),
                tenants: texts("auth.tenants"),
                identities: texts("auth.identities"),
                groups: texts("auth.groups"),
            };
            let policies = texts("auth.issuer").into_iter().map(policy).collect();
            return Ok(Platform { policies, scopes: texts("auth.scopes"), ..Platform::default() });
        };
        if let Some(key) = self.first_of(OF_POLICY, server) {
            let what = format!("{key} is there beside auth.platform_file: say it there, or without that file");
            return Err(Fault::at(self.given(&key, server).origin, what));
        }
        let text = text::read(&file)
            .map_err(|error| Fault::of(format!("auth.platform_file {file} cannot be read: {error}")))?;
        let path = texts("path").into_iter().next().unwrap_or_default();
        platform::parsed(&text, &path, |name| std::env::var(name).ok())
            .map_err(|what| Fault::of(format!("{file}: {what}")))
    }

    /// What cannot be meant: a key, and what is wrong with it.
    fn contradiction(&self, server: Option<usize>, protection: &Protection) -> Option<(String, String)> {
        let wrong = |key: &str, what: &str| Some((key.to_owned(), what.to_owned()));
        let (has_keys, has_tokens) = (protection.keys_file.is_some(), !protection.policies.is_empty());
        let require = self.given("auth.require", server).texts.into_iter().next().unwrap_or_default();
        if protection.required == Required::Nothing && protection.asks() {
            return wrong("auth.require", "is anonymous, and something is asked for beside it: take away one of them");
        }
        if matches!(require.as_str(), "both" | "either") && !(has_keys && has_tokens) {
            return wrong("auth.require", &format!("is {require}, which needs auth.keys_file and auth.issuer"));
        }
        if protection.required == Required::Sometimes && (has_keys || !has_tokens) {
            let key = if require == "optional" { "auth.require" } else { "auth.platform_file" };
            return wrong(
                key,
                "lets guests in, which goes with tokens alone: set auth.issuer, and take auth.keys_file away",
            );
        }
        if protection.vouched && (has_keys || has_tokens) {
            return wrong("auth.platform_principal", "goes with neither auth.keys_file nor auth.issuer");
        }
        if protection.key_in_query && !has_keys {
            return wrong("auth.key_in_query", "means nothing without auth.keys_file");
        }
        let of_tokens =
            || self.first_of(OF_POLICY, server).or_else(|| self.first_of(&["jwks_file", "resource"], server));
        if !has_tokens && let Some(key) = of_tokens() {
            return wrong(&key, "means nothing without auth.issuer");
        }
        if let [_, _, ..] = protection.policies.as_slice()
            && let Some(key) = self.first_of(&["issuers", "jwks_file"], server)
        {
            return wrong(&key, "belongs to one issuer, and there are several: which one is not said");
        }
        if protection.policies.iter().any(|policy| !Issuer::may_be_asked(&policy.issuer)) {
            return wrong("auth.issuer", "must be an https URL, or an http one of this machine");
        }
        if protection.resource.as_deref().is_some_and(|url| attache_core::http::Resource::new(url).is_none()) {
            return wrong("auth.resource", "must be a URL such as https://api.example/mcp");
        }
        if protection.forwarded.is_some() && self.given("proxy.trusted", None).texts.is_empty() {
            return wrong(
                "proxy.trusted",
                "names no proxy, and a field of one is to say what the public URL is: name it there, or say the URL in auth.resource \
                 and take proxy.host_header or forwardProxy away",
            );
        }
        None
    }

    /// The first of these settings of `auth` that was made.
    fn first_of(&self, names: &[&str], server: Option<usize>) -> Option<String> {
        let mut keys = names.iter().map(|name| format!("auth.{name}"));
        keys.find(|key| !self.given(key, server).texts.is_empty())
    }

    /// The fields of a proxy that say by which host and scheme it was called.
    fn forwarded(&self, server: Option<usize>) -> Result<Option<[HeaderName; 2]>, Fault> {
        let name = |key: &str| {
            let given = self.given(key, server);
            let name = given.texts.first().map(|name| name.parse::<HeaderName>());
            name.transpose().map_err(|_| Fault::at(given.origin, format!("{key} must be the name of a header field")))
        };
        match (name("proxy.host_header")?, name("proxy.proto_header")?) {
            (Some(host), Some(proto)) => Ok(Some([host, proto])),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Fault::at(
                self.given("proxy.host_header", server).origin,
                "proxy.host_header needs proxy.proto_header beside it".to_owned(),
            )),
            (None, Some(_)) => Err(Fault::at(
                self.given("proxy.proto_header", server).origin,
                "proxy.proto_header needs proxy.host_header beside it".to_owned(),
            )),
        }
    }

    fn seal(&self) -> Result<Option<Secret<Vec<[u8; 32]>>>, Fault> {
        let [file, keys] = ["seal.key_file", "seal.keys"].map(|key| self.given(key, None));
        let (text, origin) = match (file.texts.is_empty(), keys.texts.into_iter().next()) {
            (true, None) => return Ok(None),
            (true, Some(text)) => (Secret(text), keys.origin),
            (false, None) => (secret::read_file("seal.key_file", &file)?, file.origin),
            (false, Some(_)) => {
                return Err(Fault::at(keys.origin, "is there beside seal.key_file: give one of them".to_owned()));
            }
        };
        match secret::keys(&text) {
            Some(keys) => Ok(Some(keys)),
            None => Err(Fault::at(origin, SEAL_KEYS.to_owned())),
        }
    }

    fn given(&self, key: &str, server: Option<usize>) -> layers::Given {
        let setting = SETTINGS.iter().find(|setting| setting.key == key);
        self.get(setting.expect("a key of the table"), server)
    }

    fn fault(&self, key: &str, what: &str) -> Fault {
        Fault::at(self.given(key, None).origin, format!("{key} {what}"))
    }

    fn text(&self, key: &str) -> String {
        self.given(key, None).texts.into_iter().next().unwrap_or_default()
    }

    // All of them were checked when they were read.
    fn address(&self, key: &str) -> Option<SocketAddr> {
        self.text(key).parse().ok()
    }

    fn size(&self, key: &str) -> usize {
        value::size(&self.text(key)).unwrap_or(usize::MAX)
    }

    fn count(&self, key: &str) -> usize {
        self.text(key).parse().unwrap_or(usize::MAX)
    }

    fn time(&self, key: &str) -> Duration {
        value::time(&self.text(key)).unwrap_or(Duration::MAX)
    }
}
