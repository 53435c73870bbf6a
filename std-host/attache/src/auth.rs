//! Builds the authentication of a server from the configuration.

use super::config::{Protection, ServerConfig};
use super::fault::Fault;
use super::text;
use attache_core::auth::{ANY, Gate};
use attache_host::auth::key_file::{KeyFile, Level};
use attache_host::auth::{Auth, Issuer, IssuerSettings, Keys, Revocations, Tokens, Unauthenticated};
use attache_host::sign_in::SignIn;
use core::fmt;
use std::path::Path;
use std::sync::Arc;

/// The key files, each read once.
#[derive(Debug, Default)]
pub(super) struct KeyFiles(Vec<Arc<KeyFile>>);

impl KeyFiles {
    /// Returns the keys of this file, and reads it at the first use.
    pub(super) fn of(&mut self, file: &Path) -> Result<Arc<KeyFile>, Fault> {
        if let Some(key_file) = self.0.iter().find(|key_file| key_file.file() == file) {
            return Ok(Arc::clone(key_file));
        }
        let key_file = KeyFile::open(file)?;
        self.0.push(Arc::clone(&key_file));
        Ok(key_file)
    }
}

/// Returns the credentials that callers of an endpoint need, or `None` if they need none. `url` is
/// the endpoint's URL as clients write it, unless the configuration sets another.
pub(super) fn of(
    endpoint: &ServerConfig,
    url: &str,
    key_files: &mut KeyFiles,
    own: Option<&OwnIssuer>,
    pages: Option<&Arc<SignIn>>,
) -> Result<Option<Auth>, Fault> {
    of_level(endpoint, Some(&endpoint.protection.key_level), url, key_files, (own, pages))
}

/// Returns the credentials that callers of a part of an endpoint need. They need a key of this level; `None` for no key.
pub(super) fn of_level(
    endpoint: &ServerConfig,
    level: Option<&Level>,
    url: &str,
    key_files: &mut KeyFiles,
    (own, pages): (Option<&OwnIssuer>, Option<&Arc<SignIn>>),
) -> Result<Option<Auth>, Fault> {
    let ServerConfig { path, protection, .. } = endpoint;
    let key_file = protection.keys_file.as_deref().map(|file| key_files.of(file)).transpose()?;
    let keys = key_file.zip(level).map(|(key_file, level)| key_file.keys_for(level.clone(), path));
    let tokens = tokens(protection, url, own)?;
    let pages = pages.filter(|_| protection.signs_people_in && !matches!(protection.gate, Some(Gate::Open(_))));
    if level.is_none() && tokens.is_none() && pages.is_none() && !protection.vouched {
        return Ok(None);
    }
    let auth = match (protection.gate, tokens, keys) {
        (gate, None, keys) if let Some(pages) = pages => of_sessions(pages, gate, keys),
        _ if protection.vouched => Auth::platform_principal(),
        (None | Some(Gate::Open(_)), ..) => return Ok(None),
        (Some(Gate::Optional), Some(tokens), _) => Auth::optional(tokens),
        (Some(Gate::Either), Some(tokens), Some(keys)) => Auth::either(tokens, keys),
        (_, Some(tokens), Some(keys)) => Auth::both(tokens, keys),
        (_, Some(tokens), None) => Auth::tokens(tokens),
        (_, None, Some(keys)) => Auth::keys(keys),
        (Some(_), None, None) => return Err(Fault::of(NO_CREDENTIALS.to_owned())),
    };
    let auth = auth.unauthenticated(protection.unauthenticated);
    let auth = match pages {
        Some(pages) => auth.or_signed_in(pages),
        None => auth,
    };
    // `auth.resource` takes precedence over the headers of a proxy.
    let auth = match &protection.forwarded {
        Some([host, proto]) if protection.resource.is_none() => auth.forwarded(host.clone(), proto.clone()),
        _ => auth,
    };
    Ok(Some(if protection.key_in_query { auth.key_in_query() } else { auth }))
}

/// The credentials of an endpoint that accepts sessions and no tokens.
fn of_sessions(pages: &Arc<SignIn>, gate: Option<Gate>, keys: Option<Keys>) -> Auth {
    let auth = Auth::signed_in(pages);
    match (gate, keys) {
        (Some(Gate::Optional), _) => auth.or_guests(),
        (Some(Gate::Either), Some(keys)) => auth.or_keys(keys),
        (_, Some(keys)) => auth.and_keys(keys),
        (_, None) => auth,
    }
}

const NO_CREDENTIALS: &str =
    "auth.require asks for credentials, and none are configured: set auth.keys_file or auth.issuer";

/// The authorization server of the program itself, whose keys are known without being fetched.
#[derive(Debug)]
pub(super) struct OwnIssuer {
    pub(super) issuer: String,
    pub(super) key_set: String,
    pub(super) revocations: Revocations,
}

/// Returns the access tokens that an endpoint accepts; `None` if no issuer is configured.
pub(super) fn tokens(protection: &Protection, url: &str, own: Option<&OwnIssuer>) -> Result<Option<Tokens>, Fault> {
    let mut issuers = protection.policies.iter().map(|policy| issuer(policy, protection, own));
    let Some(first) = issuers.next() else { return Ok(None) };
    let resource = protection.resource.as_deref().unwrap_or(url);
    let tokens = Tokens::of(resource, first?).map_err(|error| Fault::of(format!("auth.resource: {error}")))?;
    let tokens = issuers.try_fold(tokens, |tokens, issuer| Ok::<_, Fault>(tokens.issuer(issuer?)))?;
    Ok(Some(tokens.scopes(&protection.scopes).longest(protection.longest_token)))
}

fn issuer(policy: &IssuerSettings, protection: &Protection, own: Option<&OwnIssuer>) -> Result<Issuer, Fault> {
    if let Some(own) = own.filter(|own| own.issuer == policy.issuer) {
        let issuer = Issuer::with_keys(&own.issuer, &own.key_set);
        let issuer = issuer.map_err(|error| Fault::of(format!("auth.server.signing_key_file: {error}")))?;
        return Ok(issuer.revocations(own.revocations.clone()).policy(policy.rules.clone()));
    }
    let issuer = match &protection.jwks_file {
        None => Issuer::discovered(&policy.issuer).map_err(|error| Fault::of(format!("auth.issuer: {error}")))?,
        Some(file) => {
            let path = file.display();
            let text = text::read(file)
                .map_err(|error| Fault::of(format!("auth.jwks_file {path} cannot be read: {error}")))?;
            Issuer::with_keys(&policy.issuer, &text)
                .map_err(|error| Fault::of(format!("auth.jwks_file {path}: {error}")))?
        }
    };
    Ok(issuer.policy(policy.rules.clone()))
}

/// Finds the server at a path. Without a path, returns the first server.
pub(super) fn endpoint<'s>(servers: &'s [ServerConfig], asked: Option<&str>) -> Result<&'s ServerConfig, Fault> {
    let found = servers.iter().find(|server| asked.is_none_or(|asked| asked == server.path));
    found.ok_or_else(|| Fault::of("--server names a path that no server of the configuration has".to_owned()))
}

/// Describes the authentication policy for the operator who starts the server.
pub(super) struct Words<'a>(pub(super) &'a Protection, pub(super) &'a str);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(protection, url) = self;
        let key = protection.keys_file.as_ref().map(|file| format!("a key of {}", file.display()));
        let issuers: Vec<_> = protection.policies.iter().map(|policy| policy.issuer.as_str()).collect();
        let token = (!issuers.is_empty()).then(|| format!("an access token of {}", issuers.join(" or ")));
        let session = protection.signs_people_in.then(|| "a sign-in with a browser at /.auth/login".to_owned());
        let token = match (token, session) {
            (Some(token), Some(session)) => Some(format!("{token}, or {session}")),
            (token, session) => token.or(session),
        };
        let and = if protection.gate == Some(Gate::Either) { "or" } else { "and" };
        match (protection.gate, token, key) {
            _ if protection.vouched => return f.write_str("The header X-MS-CLIENT-PRINCIPAL says who calls."),
            (Some(Gate::Open(_)), ..) | (_, None, None) => return f.write_str("Everyone who reaches it may call."),
            (Some(Gate::Optional), Some(token), _) => {
                write!(f, "Everyone may call what needs neither scope nor role; for the rest callers need {token}.")?;
            }
            (_, Some(token), Some(key)) => write!(f, "Callers need {token} {and} {key}.")?,
            (_, Some(one), None) | (_, None, Some(one)) => write!(f, "Callers need {one}.")?,
        }
        match protection.unauthenticated {
            Unauthenticated::SignIn => {
                f.write_str(" People with a browser get the sign-in page, and others get 401.")?
            }
            Unauthenticated::Forbidden => f.write_str(" Others get 403 without a reason.")?,
            Unauthenticated::NotFound => f.write_str(" Others get 404.")?,
            _ => {}
        }
        let all = |list: &[String]| list.join(", ");
        for IssuerSettings { issuer, rules } in &protection.policies {
            if issuers.len() > 1 {
                write!(f, "\n  of {issuer}:")?;
            }
            let mut audiences = rules.audiences.clone();
            audiences.push(protection.resource.as_deref().unwrap_or(url).to_owned());
            write!(f, "\n  audiences: {}", all(&audiences))?;
            match rules.applications.as_slice() {
                [] => f.write_str("\n  applications: only one whose id is an audience (set auth.applications)")?,
                [any] if any == ANY => f.write_str("\n  applications: any with a token for this server")?,
                listed => write!(f, "\n  applications: {}", all(listed))?,
            }
            for (name, list) in
                [("tenants", &rules.tenants), ("identities", &rules.identities), ("groups", &rules.groups)]
            {
                if !list.is_empty() {
                    write!(f, "\n  {name}: {}", all(list))?;
                }
            }
        }
        match protection.scopes.as_slice() {
            _ if issuers.is_empty() => Ok(()),
            [] => f.write_str("\n  scopes that clients are told to request: none (set auth.scopes)"),
            scopes => write!(f, "\n  scopes that clients are told to request: {}", all(scopes)),
        }
    }
}
