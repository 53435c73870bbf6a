//! Finds the authorization server of a protected resource: RFC 9728, RFC 8414, and OpenID Connect
//! Discovery 1.0.

use super::challenge::Challenge;
use super::error::OAuthError;
use super::fetch::Fetch;
use super::limits::ISSUERS;
use crate::auth::fetch::places;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// The metadata of a protected resource (RFC 9728 §2), as far as a client needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Protected {
    /// The resource that tokens are requested for.
    pub(crate) resource: String,
    #[serde(default)]
    pub(crate) authorization_servers: Vec<String>,
    #[serde(default)]
    pub(crate) scopes_supported: Vec<String>,
}

/// The metadata of an authorization server (RFC 8414 §2), as far as a client needs it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Issuer {
    pub(crate) issuer: String,
    #[serde(default)]
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    pub(crate) registration_endpoint: Option<String>,
    pub(crate) revocation_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) scopes_supported: Vec<String>,
    pub(crate) code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    pub(crate) client_id_metadata_document_supported: bool,
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

/// Returns the metadata of the protected resource at `url`. The URL in the challenge comes first,
/// then the well-known URL with the path, then that of the origin.
///
/// A server of revision 2025-03-26 has none, and its origin is its authorization server.
pub(crate) async fn protected(fetch: &Fetch, url: &Url, challenge: &Challenge) -> Result<Protected, OAuthError> {
    if let Some(place) = &challenge.resource_metadata {
        return fetch.document::<Protected>(place).await?.of(url);
    }

    for place in well_known(url) {
        match fetch.document::<Protected>(&place).await {
            Ok(metadata) => return metadata.of(url),
            Err(error @ OAuthError::ForbiddenUrl(_)) => return Err(error),
            // 404, or a page that a web server sends for every path.
            Err(_) => {}
        }
    }
    // MCP 2025-03-26 basic/authorization: the authorization base URL is the origin.
    let origin = url.origin().ascii_serialization();
    match issuer(fetch, &origin).await {
        Ok(_) => Ok(Protected {
            resource: url.as_str().to_owned(),
            authorization_servers: vec![origin],
            ..Protected::default()
        }),
        Err(_) => Err(OAuthError::NoResourceMetadata(url.as_str().to_owned())),
    }
}

/// RFC 9728 §3.1: the well-known segment is inserted between host and path.
fn well_known(url: &Url) -> Vec<String> {
    let base = format!("{}/.well-known/oauth-protected-resource", url.origin().ascii_serialization());
    match url.path().trim_end_matches('/') {
        "" => vec![base],
        path => vec![format!("{base}{path}"), base],
    }
}

impl Protected {
    /// Checks that the metadata is that of the server at `url`.
    // RFC 9728 §3.3: a client must not use the metadata of another resource, or a server could get the
    // tokens of another one. The metadata of the origin, or of a path above, is that of the same server.
    fn of(mut self, url: &Url) -> Result<Self, OAuthError> {
        let is_above = |resource: &Url| {
            let (own, path) = (resource.path().trim_end_matches('/'), url.path());
            let is_prefix = path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            resource.origin() == url.origin() && resource.fragment().is_none() && is_prefix
        };
        if !Url::parse(&self.resource).is_ok_and(|resource| is_above(&resource)) {
            return Err(OAuthError::OtherResource { named: self.resource, url: url.as_str().to_owned() });
        }
        self.authorization_servers.truncate(ISSUERS);
        match self.authorization_servers.is_empty() {
            true => Err(OAuthError::NoResourceMetadata(url.as_str().to_owned())),
            false => Ok(self),
        }
    }
}

/// Returns the metadata of an authorization server.
pub(crate) async fn issuer(fetch: &Fetch, name: &str) -> Result<Issuer, OAuthError> {
    let mut failures = Vec::new();
    for place in places(name) {
        match fetch.document::<Issuer>(&place).await {
            // RFC 8414 §3.3: the issuers MUST be identical, or one server could speak for another.
            Ok(found) if found.issuer == name => return found.checked(fetch),
            Ok(found) => failures.push(format!("{place} is the metadata of {}", found.issuer)),
            Err(error @ OAuthError::ForbiddenUrl(_)) => return Err(error),
            Err(error) => failures.push(error.to_string()),
        }
    }
    Err(OAuthError::NoIssuerMetadata(name.to_owned(), failures.join("; ")))
}

impl Issuer {
    fn checked(self, fetch: &Fetch) -> Result<Self, OAuthError> {
        match self.forbidden(fetch) {
            Some(url) => Err(OAuthError::ForbiddenUrl(url)),
            None => Ok(self),
        }
    }

    /// Returns an endpoint that must not be used.
    fn forbidden(&self, fetch: &Fetch) -> Option<String> {
        let required = [&self.authorization_endpoint, &self.token_endpoint].into_iter();
        let mut named = required.chain(&self.registration_endpoint).chain(&self.revocation_endpoint);
        named.find(|url| !url.is_empty() && !fetch.allows(url)).cloned()
    }

    /// Whether the authorization server supports PKCE with S256.
    // MCP 2025-11-25 basic/authorization: "If code_challenge_methods_supported is absent, the authorization server does not
    // support PKCE and MCP clients MUST refuse to proceed." Entra ID does not list the method and supports it.
    pub(crate) fn has_pkce(&self) -> bool {
        match &self.code_challenge_methods_supported {
            Some(methods) => methods.iter().any(|method| method == "S256"),
            None => self.is_entra(),
        }
    }

    /// Whether this is Entra ID.
    pub(crate) fn is_entra(&self) -> bool {
        Url::parse(&self.issuer).is_ok_and(|url| is_entra(&url))
    }

    /// Whether the authorization server offers refresh tokens by this scope (OpenID Connect Core 1.0 §11).
    pub(crate) fn has_offline_access(&self) -> bool {
        self.scopes_supported.iter().any(|scope| scope == "offline_access")
    }
}

/// Whether an issuer is Entra ID.
pub(crate) fn is_entra(issuer: &Url) -> bool {
    const HOSTS: [&str; 3] =
        ["login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"];
    issuer.host_str().is_some_and(|host| HOSTS.contains(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_at_the_path_and_at_the_origin() {
        for (url, expected) in [
            ("https://a.example", &["https://a.example/.well-known/oauth-protected-resource"][..]),
            (
                "https://a.example:8443/x/mcp/?y=z",
                &[
                    "https://a.example:8443/.well-known/oauth-protected-resource/x/mcp",
                    "https://a.example:8443/.well-known/oauth-protected-resource",
                ],
            ),
        ] {
            assert_eq!(well_known(&url.parse().expect("a URL")), expected);
        }
    }

    #[test]
    fn metadata_of_another_resource_is_refused() {
        for (resource, is_own) in [
            ("https://a.example/team/mcp", true),
            ("https://a.example/team/mcp/", true),
            ("https://A.example:443/team", true),
            ("https://a.example", true),
            ("https://a.example/tea", false),
            ("https://a.example/team/mcp/other", false),
            ("https://a.example:8443/team/mcp", false),
            ("http://a.example/team/mcp", false),
            ("https://b.example/team/mcp", false),
            ("https://a.example/team/mcp#x", false),
            ("mcp", false),
        ] {
            let authorization_servers = vec!["https://id.example".to_owned()];
            let metadata = Protected { resource: resource.to_owned(), authorization_servers, ..Protected::default() };
            let read = metadata.of(&"https://a.example/team/mcp".parse().expect("a URL"));
            assert_eq!(read.is_ok(), is_own, "{resource}");
        }
    }

    #[test]
    fn pkce_must_be_declared_except_by_entra() {
        for (issuer, methods, expected) in [
            ("https://id.example", Some(vec!["S256".to_owned()]), true),
            ("https://id.example", Some(vec!["plain".to_owned()]), false),
            ("https://id.example", None, false),
            ("https://login.microsoftonline.com/tenant/v2.0", None, true),
            ("https://login.microsoftonline.com.evil.example/v2.0", None, false),
        ] {
            let metadata =
                Issuer { issuer: issuer.to_owned(), code_challenge_methods_supported: methods, ..Issuer::default() };
            assert_eq!(metadata.has_pkce(), expected, "{issuer}");
        }
    }
}
