//! The authentication settings of an endpoint (`auth` and `proxy`).

use super::{Layers, value};
use crate::fault::{Fault, Faults};
use crate::text;
use attache_core::auth::{ANY, Access, Gate, IssuerPolicy};
use attache_host::auth::key_file::Level;
use attache_host::auth::{Issuer, IssuerSettings, PlatformFile, Unauthenticated};
use core::time::Duration;
use http::header::HeaderName;
use std::path::PathBuf;

/// The credentials that callers need, and the rules for them.
#[derive(Debug)]
pub(crate) struct Protection {
    /// The credentials that callers need. `None` if none are configured and the operator has not
    /// allowed anonymous callers.
    pub(crate) gate: Option<Gate>,
    pub(crate) keys_file: Option<PathBuf>,
    pub(crate) key_level: Level,
    /// Whether a key may be sent in the query of the URL.
    pub(crate) key_in_query: bool,
    /// Whether a platform in front of the server authenticates callers.
    pub(crate) vouched: bool,
    /// The issuers, each with the policy for its tokens.
    pub(crate) policies: Vec<IssuerSettings>,
    /// The client id for clients that do not register themselves.
    pub(crate) client_id: Option<String>,
    /// The scopes that clients should request.
    pub(crate) scopes: Vec<String>,
    /// The largest accepted token, in bytes.
    pub(crate) longest_token: usize,
    /// Whether people who have signed in with a browser may call.
    pub(crate) signs_people_in: bool,
    /// Whether plain HTTP is served on loopback addresses alone.
    pub(crate) require_https: bool,
    pub(crate) unauthenticated: Unauthenticated,
    /// The headers in which a proxy passes the public host and scheme.
    pub(crate) forwarded: Option<[HeaderName; 2]>,
    /// The file with the issuer's keys, if the server does not fetch them.
    pub(crate) jwks_file: Option<PathBuf>,
    /// The public URL of the endpoint.
    pub(crate) resource: Option<String>,
}

impl Protection {
    /// Whether callers need any credentials.
    pub(crate) const fn asks(&self) -> bool {
        self.keys_file.is_some() || !self.policies.is_empty() || self.vouched || self.signs_people_in
    }
}

/// The settings of the policy for access tokens.
const OF_POLICY: &[&str] =
    &["issuer", "issuers", "audiences", "applications", "tenants", "identities", "groups", "scopes"];

/// A larger clock difference means that a clock is wrong.
const MOST_LEEWAY: Duration = Duration::from_secs(10 * 60);

/// The signature of RS256 alone has 342 characters, that of ES256 has 86.
const LEAST_TOKEN: usize = 256;

/// Returns the gate that requires all configured credentials; `None` if none are configured.
const fn all_of(has_tokens: bool, has_keys: bool) -> Option<Gate> {
    match (has_tokens, has_keys) {
        (true, true) => Some(Gate::Both),
        (true, false) => Some(Gate::Token),
        (false, true) => Some(Gate::Key),
        (false, false) => None,
    }
}

impl Layers {
    pub(super) fn protection(&self, server: Option<usize>) -> Result<Protection, Fault> {
        let text = |key: &str| self.given(key, server).texts.into_iter().next();
        let says = |key: &str| text(key).as_deref() == Some("true");
        let mut platform = self.policy(server)?;
        for IssuerSettings { rules, .. } in &mut platform.policies {
            let seconds = |key: &str| text(key).as_deref().and_then(value::time).map(|time| time.as_secs());
            rules.leeway = seconds("auth.leeway").unwrap_or_default();
            rules.max_age = seconds("auth.oldest_token");
        }
        let keys_file = text("auth.keys_file").map(PathBuf::from);
        let vouched = says("auth.platform_principal");
        let signs_people_in = !vouched && self.signs_people_in();
        let protection = Protection {
            gate: match text("auth.require").as_deref() {
                Some("anonymous") => Some(Gate::Open(Access::Anonymous)),
                Some("either") => Some(Gate::Either),
                Some("optional") => Some(Gate::Optional),
                _ if platform.admits_guests => Some(Gate::Optional),
                _ => all_of(!platform.policies.is_empty() || vouched || signs_people_in, keys_file.is_some()),
            },
            keys_file,
            key_level: match text("auth.key_level").as_deref() {
                Some("system") => Level::System(text("auth.key_name").unwrap_or_default()),
                Some("admin") => Level::Admin,
                _ => Level::Function,
            },
            key_in_query: says("auth.key_in_query"),
            vouched,
            policies: platform.policies,
            client_id: text("auth.client_id"),
            scopes: platform.scopes,
            longest_token: text("auth.longest_token").as_deref().and_then(value::size).unwrap_or_default(),
            signs_people_in,
            require_https: platform.require_https,
            unauthenticated: match (text("auth.unauthenticated").as_deref(), platform.unauthenticated) {
                (Some("403"), _) | (Some("401"), Some(403)) => Unauthenticated::Forbidden,
                (Some("404"), _) | (Some("401"), Some(404)) => Unauthenticated::NotFound,
                (Some("sign-in"), _) => Unauthenticated::SignIn,
                (Some("401"), _) if platform.redirects_people => Unauthenticated::SignIn,
                _ => Unauthenticated::Challenge,
            },
            forwarded: self.forwarded(server)?.or(platform.forwarded),
            jwks_file: text("auth.jwks_file").map(PathBuf::from),
            resource: text("auth.resource"),
        };
        let mut faults = Faults::default();
        let wrong = self.wrong_credentials(server, &protection).into_iter();
        for (key, what) in wrong.chain(self.wrong_rules(server, &protection)) {
            faults.add(Fault::at(self.given(&key, server).origin, format!("{key} {what}")));
        }
        faults.end().map(|()| protection)
    }

    /// The rules for access tokens, from the settings or from the file of a platform.
    pub(super) fn policy(&self, server: Option<usize>) -> Result<PlatformFile, Fault> {
        let texts = |key: &str| self.given(key, server).texts;
        let Some(file) = texts("auth.platform_file").into_iter().next() else {
            let own = self.own_issuer();
            let policy = |issuer: String| {
                let mut rules = IssuerPolicy::of_lists(|list| texts(&format!("auth.{list}")));
                // Every client that has registered may call: the person has agreed to it.
                if own.as_ref() == Some(&issuer) && rules.applications.is_empty() {
                    rules.applications = vec![ANY.to_owned()];
                }
                IssuerSettings { issuer, rules }
            };
            let mut issuers = texts("auth.issuer");
            if issuers.is_empty() {
                issuers.extend(own.clone());
            }
            let policies = issuers.into_iter().map(policy).collect();
            return Ok(PlatformFile { policies, scopes: texts("auth.scopes"), ..PlatformFile::default() });
        };
        if let Some(key) = self.first_of(OF_POLICY, server) {
            let what =
                format!("{key} and auth.platform_file exclude each other: say it in that file, or remove the file");
            return Err(Fault::at(self.given(&key, server).origin, what));
        }
        let origin = self.given("auth.platform_file", server).origin;
        let text = text::read(&file)
            .map_err(|error| Fault::at(origin, format!("auth.platform_file {file} cannot be read: {error}")))?;
        let path = texts("path").into_iter().next().unwrap_or_default();
        PlatformFile::parse(&text, &path, |name| std::env::var(name).ok())
            .map_err(|faults| Fault::all(faults.iter().map(|what| format!("{file}: {what}"))))
    }

    /// Finds credential settings that contradict each other. Returns the key of each, and what is
    /// wrong.
    fn wrong_credentials(&self, server: Option<usize>, protection: &Protection) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        let mut add = |key: &str, what: &str| wrong.push((key.to_owned(), what.to_owned()));
        let has_keys = protection.keys_file.is_some();
        let has_tokens = !protection.policies.is_empty() || protection.signs_people_in;
        let given = |key: &str| self.given(key, server).texts.into_iter().next().unwrap_or_default();
        let require = given("auth.require");
        if matches!(protection.gate, Some(Gate::Open(_))) && protection.asks() {
            add("auth.require", "is anonymous, but keys or an issuer are configured: remove one of them");
        }
        if matches!(require.as_str(), "both" | "either") && !(has_keys && has_tokens) {
            add("auth.require", &format!("is {require}, which needs auth.keys_file and auth.issuer"));
        }
        if protection.gate == Some(Gate::Optional) && (has_keys || !has_tokens) {
            let key = if require == "optional" { "auth.require" } else { "auth.platform_file" };
            add(key, "lets guests in, which works with tokens alone: set auth.issuer, and remove auth.keys_file");
        }
        if protection.vouched && (has_keys || has_tokens || self.signs_people_in()) {
            add("auth.platform_principal", "excludes auth.keys_file, auth.issuer and [[auth.provider]]");
        }
        if protection.key_in_query && !has_keys {
            add("auth.key_in_query", "means nothing without auth.keys_file");
        }
        if given("auth.key_name").contains(char::is_whitespace) {
            add("auth.key_name", "must be one word: names of keys have no spaces");
        }
        wrong
    }

    /// Finds rules for tokens and proxies that make no sense. Returns the key of each, and what is
    /// wrong.
    fn wrong_rules(&self, server: Option<usize>, protection: &Protection) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        let mut add = |key: &str, what: &str| wrong.push((key.to_owned(), what.to_owned()));
        if protection.policies.is_empty() {
            // The public origin of sign-in pages is that of auth.resource.
            let others: &[&str] = if protection.signs_people_in {
                &["jwks_file", "client_id"]
            } else {
                &["jwks_file", "resource", "client_id"]
            };
            for key in self.made(OF_POLICY, server).chain(self.made(others, server)) {
                add(&key, "means nothing without auth.issuer");
            }
        }
        if let [_, _, ..] = protection.policies.as_slice() {
            for key in self.made(&["issuers", "jwks_file"], server) {
                add(&key, "belongs to one issuer, and several are configured");
            }
        }
        let issuers: Vec<_> = protection.policies.iter().map(|policy| Issuer::discovered(&policy.issuer)).collect();
        if issuers.iter().any(Result::is_err) {
            add("auth.issuer", "must be an https URL, or an http URL of this machine");
        }
        let is_open = |(issuer, policy): (&Result<Issuer, _>, &IssuerSettings)| {
            issuer.as_ref().is_ok_and(Issuer::has_tenants) && policy.rules.tenants.is_empty()
        };
        if issuers.iter().zip(&protection.policies).any(is_open) {
            add(
                "auth.issuer",
                "serves many tenants: name in auth.tenants those whose callers may call, or \"*\" for all of them",
            );
        }
        let leeway = self.given("auth.leeway", server).texts.into_iter().next();
        if leeway.as_deref().and_then(value::time).is_some_and(|leeway| leeway > MOST_LEEWAY) {
            add("auth.leeway", "must be 10min at most: a token is accepted for so long after its end");
        }
        if protection.longest_token < LEAST_TOKEN {
            add("auth.longest_token", "must be 256 bytes at least: no signed token is shorter");
        }
        if protection.resource.as_deref().is_some_and(|url| attache_core::http::Resource::new(url).is_none()) {
            add("auth.resource", "must be a URL such as https://api.example/mcp");
        }
        if protection.forwarded.is_some() && self.given("proxy.trusted", None).texts.is_empty() {
            add(
                "proxy.trusted",
                "is empty, but the public URL is to come from a proxy: name the proxy, or set auth.resource and remove \
                 proxy.host_header or forwardProxy",
            );
        }
        wrong
    }

    /// Returns the keys of the `auth` settings in this list that have a value.
    fn made(&self, names: &[&str], server: Option<usize>) -> impl Iterator<Item = String> {
        let keys = names.iter().map(|name| format!("auth.{name}"));
        keys.filter(move |key| !self.given(key, server).texts.is_empty())
    }

    fn first_of(&self, names: &[&str], server: Option<usize>) -> Option<String> {
        self.made(names, server).next()
    }

    /// The headers in which a proxy passes the public host and scheme.
    fn forwarded(&self, server: Option<usize>) -> Result<Option<[HeaderName; 2]>, Fault> {
        let name = |key: &str| {
            let given = self.given(key, server);
            let name = given.texts.first().map(|name| name.parse::<HeaderName>());
            name.transpose().map_err(|_| Fault::at(given.origin, format!("{key} must be the name of a header field")))
        };
        let alone = |key: &str, other: &str| {
            Err(Fault::at(self.given(key, server).origin, format!("{key} needs {other} as well")))
        };
        match (name("proxy.host_header")?, name("proxy.proto_header")?) {
            (Some(host), Some(proto)) => Ok(Some([host, proto])),
            (None, None) => Ok(None),
            (Some(_), None) => alone("proxy.host_header", "proxy.proto_header"),
            (None, Some(_)) => alone("proxy.proto_header", "proxy.host_header"),
        }
    }
}
