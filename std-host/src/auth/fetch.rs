//! Fetches the metadata of an issuer, and the keys that the metadata points to.

use super::key_set::{KeySet, NoKeys};
pub(crate) use super::reach::Reach;
use crate::https::{self, causes};
use crate::limits;
use attache_core::json::without_mark;
use core::fmt;
use serde::Deserialize;
use std::sync::Arc;
use tokio::time::timeout;

/// Fetches the keys of one issuer.
#[derive(Debug)]
pub(crate) struct Fetcher {
    /// The places where the issuer may send the server.
    reach: Reach,
    /// Where the metadata is looked for.
    server: String,
    /// The issuer that the metadata must name.
    issuer: String,
    /// The URL of the keys, once it is known.
    keys_at: Option<String>,
}

/// The reason why the keys of an issuer were not fetched. For the log.
#[derive(Debug)]
pub(crate) enum Unfetched {
    /// The server must not connect to this URL.
    Forbidden(String),
    Client(String),
    Status(String, u16),
    TooLarge(String),
    TooSlow,
    NotJson(String),
    /// The metadata names another issuer, which is given here.
    Other(String),
    /// None of the well-known places has metadata. Holds the reason for each place.
    NoMetadata(Vec<Self>),
    Keys(String, NoKeys),
}

/// The members of the metadata that are read (RFC 8414 §2).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    issuer: String,
    jwks_uri: String,
    #[cfg(feature = "authorization-server")]
    pub(crate) authorization_endpoint: Option<String>,
    #[cfg(feature = "authorization-server")]
    pub(crate) token_endpoint: Option<String>,
    #[cfg(feature = "authorization-server")]
    pub(crate) end_session_endpoint: Option<String>,
    #[cfg(feature = "authorization-server")]
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Vec<String>,
    #[cfg(feature = "authorization-server")]
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

#[cfg(feature = "authorization-server")]
impl Metadata {
    /// The endpoints of an issuer that has no metadata. Its clients send their secrets in the form.
    pub(crate) fn of(authorization_endpoint: String, token_endpoint: String) -> Self {
        Self {
            authorization_endpoint: Some(authorization_endpoint),
            token_endpoint: Some(token_endpoint),
            token_endpoint_auth_methods_supported: vec!["client_secret_post".to_owned()],
            ..Self::default()
        }
    }
}

impl Fetcher {
    /// Fetches the keys of `issuer`. Its metadata is at `server`, the URL from which `reach` was
    /// made.
    pub(crate) fn new(reach: Reach, server: &str, issuer: &str) -> Self {
        Self { reach, server: server.to_owned(), issuer: issuer.to_owned(), keys_at: None }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) async fn keys(&mut self) -> Result<KeySet, Unfetched> {
        timeout(limits::FETCH_TIME, self.fetched()).await.unwrap_or(Err(Unfetched::TooSlow))
    }

    /// Fetches the metadata of the issuer.
    #[cfg(feature = "authorization-server")]
    pub(crate) async fn metadata(&self) -> Result<Metadata, Unfetched> {
        let client = Client::new(&self.reach)?;
        timeout(limits::FETCH_TIME, self.discovered(&client)).await.unwrap_or(Err(Unfetched::TooSlow))
    }

    async fn fetched(&mut self) -> Result<KeySet, Unfetched> {
        let client = Client::new(&self.reach)?;
        let url = match self.keys_at.take() {
            Some(url) => url,
            None => self.discovered(&client).await?.jwks_uri,
        };
        // If this request fails, the next fetch reads the metadata again, because the keys may have
        // moved.
        let body = client.get(&url).await?;
        let keys = KeySet::read(&body).map_err(|error| Unfetched::Keys(url.clone(), error))?;
        self.keys_at = Some(url);
        Ok(keys)
    }

    /// Reads the metadata.
    async fn discovered(&self, client: &Client) -> Result<Metadata, Unfetched> {
        let mut failed = Vec::new();
        for url in places(&self.server) {
            match client.metadata(&url).await {
                // RFC 8414 §3.3: the issuers MUST be identical, or one issuer could speak for
                // another.
                Ok(found) if found.issuer == self.issuer => return Ok(found),
                Ok(found) => failed.push(Unfetched::Other(found.issuer)),
                Err(error) => failed.push(error),
            }
        }
        Err(Unfetched::NoMetadata(failed))
    }
}

/// Returns the URLs where the metadata of an issuer may be: RFC 8414 §3.1 and §5, OpenID Connect
/// Discovery 1.0 §4. MCP basic/authorization prescribes this order.
pub(crate) fn places(issuer: &str) -> Vec<String> {
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

/// An HTTP client together with the URLs that it may request.
pub(crate) struct Client {
    http: reqwest::Client,
    reach: Reach,
}

impl Client {
    pub(crate) fn new(reach: &Reach) -> Result<Self, Unfetched> {
        Ok(Self { http: client(reach)?, reach: reach.clone() })
    }

    /// Sends a form, and returns the status and the body of the answer.
    #[cfg(feature = "authorization-server")]
    pub(crate) async fn post(
        &self,
        url: &str,
        form: String,
        authorization: Option<&str>,
    ) -> Result<(u16, Vec<u8>), Unfetched> {
        if !self.reach.allows(url) {
            return Err(Unfetched::Forbidden(url.to_owned()));
        }
        let request = self.http.post(url).header("accept", "application/json").body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = match authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        };
        let response = request.send().await.map_err(|error| Unfetched::Client(causes(&error)))?;
        let status = response.status().as_u16();
        Ok((status, whole(response, url).await?))
    }

    /// Gets a document of an API with this `Authorization`, and returns the status and the body of the answer.
    #[cfg(feature = "authorization-server")]
    pub(crate) async fn call(
        &self,
        url: &str,
        authorization: &str,
        json: Option<String>,
    ) -> Result<(u16, Vec<u8>), Unfetched> {
        if !self.reach.allows(url) {
            return Err(Unfetched::Forbidden(url.to_owned()));
        }
        let request = match json {
            Some(json) => self.http.post(url).header("content-type", "application/json").body(json),
            None => self.http.get(url),
        };
        let request = request.header("accept", "application/json").header("authorization", authorization);
        let response = request.send().await.map_err(|error| Unfetched::Client(causes(&error)))?;
        let status = response.status().as_u16();
        Ok((status, whole(response, url).await?))
    }

    async fn metadata(&self, url: &str) -> Result<Metadata, Unfetched> {
        let body = self.get(url).await?;
        serde_json::from_slice(without_mark(&body)).map_err(|_| Unfetched::NotJson(url.to_owned()))
    }

    /// Returns the body at `url`. Fails if the issuer must not send the server there, or if the
    /// body exceeds its limit.
    async fn get(&self, url: &str) -> Result<Vec<u8>, Unfetched> {
        if !self.reach.allows(url) {
            return Err(Unfetched::Forbidden(url.to_owned()));
        }
        let failed = |error: reqwest::Error| Unfetched::Client(causes(&error));
        let response = self.http.get(url).header("accept", "application/json").send().await.map_err(failed)?;
        if response.status() != http::StatusCode::OK {
            return Err(Unfetched::Status(url.to_owned(), response.status().as_u16()));
        }
        whole(response, url).await
    }
}

/// Returns the body of an answer. Fails if it exceeds its limit.
async fn whole(mut response: reqwest::Response, url: &str) -> Result<Vec<u8>, Unfetched> {
    let failed = |error: reqwest::Error| Unfetched::Client(causes(&error));
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if piece.len() > limits::FETCHED - body.len() {
            return Err(Unfetched::TooLarge(url.to_owned()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Builds an HTTP client that does not follow redirects, which could lead to places that the
/// operator has not named.
fn client(reach: &Reach) -> Result<reqwest::Client, Unfetched> {
    let builder = https::builder(true).map_err(Unfetched::Client)?;
    // GitHub refuses requests without this field.
    let builder = builder.user_agent(concat!("attache/", env!("CARGO_PKG_VERSION")));
    builder.dns_resolver(Arc::new(reach.clone())).build().map_err(|error| Unfetched::Client(causes(&error)))
}

impl fmt::Display for Unfetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(url) => {
                write!(
                    f,
                    "{url} is not allowed: it must use https (or http, if the issuer does and is on this machine), and it must not be a local address other than the issuer's"
                )
            }
            Self::Client(error) => f.write_str(error),
            Self::Status(url, status) => write!(f, "{url} answers with {status}"),
            Self::TooLarge(url) => write!(f, "{url} has more than {} bytes", limits::FETCHED),
            Self::TooSlow => write!(f, "there is no answer within {} s", limits::FETCH_TIME.as_secs()),
            Self::NotJson(url) => write!(f, "{url} is not the metadata of an issuer"),
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
    fn metadata_is_looked_for_at_the_urls_of_all_standards() {
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
}
