//! The paths that the program serves: its own and the configured ones. Two equal paths are a fault
//! of the configuration.

use super::{Config, ServerConfig};
use crate::fault::{Fault, Faults};
use attache_core::http::Resource;
use attache_host::authorization_server::paths;
use attache_host::sign_in::PREFIX;

/// Where clients find the metadata of a protected resource (RFC 9728 §3).
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Paths of health checks, as [`health`](crate::health) serves them.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];

/// Paths of key administration. `*` matches one segment.
const ADMINISTRATION: [&str; 4] =
    ["/admin/host/*", "/admin/host/*/*", "/admin/functions/*/keys", "/admin/functions/*/keys/*"];

impl ServerConfig {
    /// The path of the endpoint's metadata. `None` if the endpoint does not accept tokens.
    pub(crate) fn metadata_path(&self) -> Option<String> {
        if self.protection.policies.is_empty() {
            return None;
        }
        let own = format!("http://localhost{}", self.resource_path());
        let url = self.protection.resource.as_deref().unwrap_or(&own);
        Resource::new(url).map(|resource| resource.metadata_path().concat())
    }

    /// The paths that the endpoint serves.
    fn paths(&self) -> Vec<String> {
        let path = self.path.trim_end_matches('/');
        let of_http_sse = self.http_sse.then(|| [format!("{path}/sse"), format!("{path}/message")]);
        core::iter::once(self.path.clone()).chain(of_http_sse.into_iter().flatten()).collect()
    }

    /// Whether both endpoints have the same metadata document.
    fn shares_metadata(&self, other: &Self) -> bool {
        let issuers = |endpoint: &Self| -> Vec<String> {
            endpoint.protection.policies.iter().map(|policy| policy.issuer.clone()).collect()
        };
        self.protection.resource.is_some()
            && self.protection.resource == other.protection.resource
            && self.protection.scopes == other.protection.scopes
            && issuers(self) == issuers(other)
    }
}

impl Config {
    /// Checks that no two paths are equal.
    ///
    /// # Errors
    /// All paths that are used twice.
    pub(crate) fn check_paths(&self) -> Result<(), Fault> {
        let mut faults = Faults::default();
        for (number, endpoint) in self.servers.iter().enumerate() {
            let before = self.servers.iter().take(number);
            for path in endpoint.paths() {
                if let Some(what) = self.taken(&path, before.clone()) {
                    faults.add(Fault::at(endpoint.path_origin.clone(), what));
                }
            }
            let meets = |other: &&ServerConfig| {
                endpoint.metadata_path().is_some_and(|path| other.metadata_path() == Some(path))
                    && !endpoint.shares_metadata(other)
            };
            if let Some(other) = before.clone().find(meets) {
                let what = format!(
                    "the servers {} and {} would have different metadata at {}: give each a path of its own in auth.resource",
                    other.path,
                    endpoint.path,
                    endpoint.metadata_path().unwrap_or_default()
                );
                faults.add(Fault::at(endpoint.resource_origin.clone(), what));
            }
        }
        faults.end()
    }

    /// Describes what conflicts with a path of an endpoint.
    fn taken<'e>(&self, path: &str, mut before: impl Iterator<Item = &'e ServerConfig>) -> Option<String> {
        let own = |what: &str| Some(format!("path {path} is {what} of this program: choose another, such as /mcp"));
        if before.any(|other| other.paths().iter().any(|other| is_same(other, path))) {
            return Some(format!("two servers have the path {path}: give each its own"));
        }
        if HEALTH.iter().any(|health| is_same(health, path)) {
            return own("a health check");
        }
        let metadata = self.servers.iter().filter_map(ServerConfig::metadata_path);
        let mut metadata = metadata.chain(self.has_tokens().then(|| METADATA.to_owned()));
        if metadata.any(|metadata| is_same(&metadata, path)) {
            return own("the OAuth metadata");
        }
        let sign_in = self.sign_in.as_ref().map(|sign_in| paths(&sign_in.issuer)).unwrap_or_default();
        if sign_in.iter().any(|own| is_same(own, path)) {
            return own("the sign-in");
        }
        let is_page = path == PREFIX || path.starts_with(PREFIX) && path[PREFIX.len()..].starts_with('/');
        if self.sign_in_pages.is_some() && is_page {
            return own("a sign-in page");
        }
        if self.administered.is_some() && ADMINISTRATION.iter().any(|pattern| fits(pattern, path)) {
            return own("the key administration");
        }
        None
    }

    fn has_tokens(&self) -> bool {
        self.servers.iter().any(|server| !server.protection.policies.is_empty())
    }
}

/// Whether both paths are equal, apart from a trailing slash.
fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('/'), path.trim_end_matches('/').split('/'));
    pattern.clone().count() == path.clone().count()
        && pattern.zip(path).all(|(pattern, segment)| pattern == "*" || pattern == segment)
}
