//! Fetching what an issuer publishes: its metadata, and by that its keys.

use super::key_set::{KeySet, NoKeys};
use crate::https::{self, causes};
use crate::limits;
use attache_core::http::LOOPBACK;
use core::fmt;
use core::net::IpAddr;
use serde::Deserialize;
use tokio::time::timeout;

/// Fetches the keys of one issuer.
#[derive(Debug)]
pub(super) struct Fetcher {
    issuer: String,
    /// Where the keys are, once that is known.
    keys_at: Option<String>,
}

/// Why the keys of an issuer were not fetched. For the log.
#[derive(Debug)]
pub(super) enum Unfetched {
    /// It is not to be asked there.
    Forbidden(String),
    Client(String),
    Status(String, u16),
    TooLarge(String),
    TooSlow,
    NotJson(String),
    /// The metadata is that of another issuer.
    Other(String),
    /// No metadata in any of the three places.
    NoMetadata(Vec<Self>),
    Keys(String, NoKeys),
}

/// What is read of the metadata (RFC 8414 §2).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    pub(super) fn new(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), keys_at: None }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) async fn keys(&mut self) -> Result<KeySet, Unfetched> {
        timeout(limits::FETCH_TIME, self.fetched()).await.unwrap_or(Err(Unfetched::TooSlow))
    }

    async fn fetched(&mut self) -> Result<KeySet, Unfetched> {
        let client = client()?;
        let url = match self.keys_at.take() {
            Some(url) => url,
            None => self.discovered(&client).await?,
        };
        // Where that fails, the metadata is read again the next time: it may say another place by then.
        let body = get(&client, &url).await?;
        let keys = KeySet::read(&body).map_err(|error| Unfetched::Keys(url.clone(), error))?;
        self.keys_at = Some(url);
        Ok(keys)
    }

    /// Where the metadata says that the keys are.
    async fn discovered(&self, client: &reqwest::Client) -> Result<String, Unfetched> {
        let mut failed = Vec::new();
        for url in places(&self.issuer) {
            match metadata(client, &url).await {
                // RFC 8414 §3.3: MUST be identical, or somebody speaks for somebody else.
                Ok(found) if found.issuer == self.issuer => return Ok(found.jwks_uri),
                Ok(found) => failed.push(Unfetched::Other(found.issuer)),
                Err(error) => failed.push(error),
            }
        }
        Err(Unfetched::NoMetadata(failed))
    }
}

/// Where the metadata of an issuer may be: RFC 8414 §3.1 and §5, OpenID Connect Discovery 1.0 §4. MCP basic/authorization names
/// this order.
fn places(issuer: &str) -> Vec<String> {
    let issuer = issuer.trim_end_matches('/');
    let host = issuer.find("://").map_or(0, |at| at + 3);
    let path = issuer[host..].find('/').map_or(issuer.len(), |at| host + at);
    let (origin, path) = issuer.split_at(path);
    let inserted = |name: &str| format!("{origin}/.well-known/{name}{path}");
    let mut places = vec![inserted("oauth-authorization-server"), inserted("openid-configuration")];
    if !path.is_empty() {
        places.push(format!("{issuer}/.well-known/openid-configuration"));
    }
    places
}

async fn metadata(client: &reqwest::Client, url: &str) -> Result<Metadata, Unfetched> {
    let body = get(client, url).await?;
    serde_json::from_slice(&body).map_err(|_| Unfetched::NotJson(url.to_owned()))
}

/// What is at `url`, if it is to be asked there and says something in bounds.
async fn get(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, Unfetched> {
    if !is_allowed(url) {
        return Err(Unfetched::Forbidden(url.to_owned()));
    }
    let failed = |error: reqwest::Error| Unfetched::Client(causes(&error));
    let mut response = client.get(url).header("accept", "application/json").send().await.map_err(failed)?;
    if response.status() != http::StatusCode::OK {
        return Err(Unfetched::Status(url.to_owned(), response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if piece.len() > limits::FETCHED - body.len() {
            return Err(Unfetched::TooLarge(url.to_owned()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A client that follows no redirects: they lead to places that the issuer has not named.
fn client() -> Result<reqwest::Client, Unfetched> {
    let builder = https::builder(true).map_err(Unfetched::Client)?;
    builder.build().map_err(|error| Unfetched::Client(causes(&error)))
}

/// Whether the server asks there: by https, or on its own machine; and not at an address that means something else to each machine,
/// such as that of the metadata of a cloud.
pub(super) fn is_allowed(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else {
        return false;
    };
    let Some(host) = url.host() else {
        return false;
    };
    let is_local = LOOPBACK.contains(&host);
    let is_open = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => !address.is_link_local() && !address.is_unspecified() && !address.is_multicast(),
        Ok(IpAddr::V6(address)) => {
            !address.is_unicast_link_local() && !address.is_unspecified() && !address.is_multicast()
        }
        Err(_) => true,
    };
    match url.scheme_str() {
        Some("https") => is_open,
        Some("http") => is_local,
        _ => false,
    }
}

impl fmt::Display for Unfetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(url) => write!(f, "{url} is not asked: only https is, and http on this machine"),
            Self::Client(error) => f.write_str(error),
            Self::Status(url, status) => write!(f, "{url} answers with {status}"),
            Self::TooLarge(url) => write!(f, "{url} has more than {} bytes", limits::FETCHED),
            Self::TooSlow => write!(f, "there is no answer within {} s", limits::FETCH_TIME.as_secs()),
            Self::NotJson(url) => write!(f, "{url} is no metadata of an issuer"),
            Self::Other(issuer) => write!(f, "the metadata is that of issuer {issuer}"),
            Self::NoMetadata(failed) => {
                f.write_str("no metadata was found")?;
                failed.iter().try_for_each(|error| write!(f, "; {error}"))
            }
            Self::Keys(url, error) => write!(f, "{url}: {error}"),
        }
    }
}

impl core::error::Error for Unfetched {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_in_the_places_of_all_its_standards() {
        for (issuer, expected) in [
            (
                "https://id.example",
                &[
                    "https://id.example/.well-known/oauth-authorization-server",
                    "https://id.example/.well-known/openid-configuration",
                ][..],
            ),
            (
                "https://id.example/tenant/v2.0",
                &[
                    "https://id.example/.well-known/oauth-authorization-server/tenant/v2.0",
                    "https://id.example/.well-known/openid-configuration/tenant/v2.0",
                    "https://id.example/tenant/v2.0/.well-known/openid-configuration",
                ],
            ),
        ] {
            assert_eq!(places(issuer), expected);
        }
    }

    #[test]
    fn only_addresses_that_are_meant_are_asked() {
        for (url, allowed) in [
            ("https://id.example/keys", true),
            ("https://10.0.0.1/keys", true),
            ("http://localhost:8080/keys", true),
            ("http://127.0.0.1/keys", true),
            ("http://id.example/keys", false),
            ("http://localhost.evil.example/keys", false),
            ("https://169.254.169.254/keys", false),
            ("https://[fe80::1]/keys", false),
            ("https://0.0.0.0/keys", false),
            ("file:///etc/passwd", false),
            ("/keys", false),
        ] {
            assert_eq!(is_allowed(url), allowed, "{url}");
        }
    }
}
