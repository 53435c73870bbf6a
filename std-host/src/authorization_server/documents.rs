//! Client id metadata documents (draft-ietf-oauth-client-id-metadata-document-00): a client whose id is the URL of a document
//! about it. Fetches them within strict rules, and caches them.

use super::limits::{DOCUMENT, DOCUMENT_AGE, DOCUMENT_KEPT, DOCUMENT_RETRY, DOCUMENT_TIME, DOCUMENTS};
use super::parameters::{has_type, object};
use crate::auth::reach::Reach;
use crate::https::{self, causes};
use attache_core::json::without_mark;
use core::fmt;
use core::time::Duration;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use reqwest::Url;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Instant, timeout};

/// The members of a document that are read. Others are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    client_id: String,
    pub(super) client_name: Option<String>,
    pub(super) redirect_uris: Vec<String>,
    token_endpoint_auth_method: Option<String>,
    /// OpenID RP Metadata Choices 1.0: the methods from which the server may choose.
    token_endpoint_auth_methods_supported: Vec<String>,
    client_secret: Option<serde_json::Value>,
    client_secret_expires_at: Option<serde_json::Value>,
}

/// Why a document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The URL is not allowed as a client id.
    Id,
    /// The host is not on the allow-list.
    Host(String),
    /// The connection failed.
    Unreachable(String),
    Status(u16),
    TooLarge,
    TooSlow,
    NotJson,
    /// The document names another client id.
    OtherId,
    /// The document has a secret, although everyone can read it.
    Secret,
    /// The client can only authenticate by a method that is not served.
    Method,
    NoRedirectUri,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("the client id is not a plain https URL with a path"),
            Self::Host(host) => write!(f, "{host} is not on the list of hosts whose documents this server reads"),
            Self::Unreachable(error) => write!(f, "the document cannot be fetched: {error}"),
            Self::Status(status) => write!(f, "the document's server answers with status {status}"),
            Self::TooLarge => write!(f, "the document has more than {DOCUMENT} bytes"),
            Self::TooSlow => write!(f, "the document's server does not answer within {} s", DOCUMENT_TIME.as_secs()),
            Self::NotJson => f.write_str("the document is not a JSON object of client metadata"),
            Self::OtherId => f.write_str("the document is about another client"),
            Self::Secret => f.write_str("the document contains a client secret"),
            Self::Method => f.write_str("the client does not offer the authentication method none"),
            Self::NoRedirectUri => f.write_str("the document has no redirect URI that this server accepts"),
        }
    }
}

/// Fetches and caches documents.
#[derive(Debug)]
pub(super) struct Documents {
    /// The hosts from which documents are fetched.
    hosts: Vec<String>,
    /// Whether documents on this machine are fetched as well, also by plain `http`.
    with_loopback: bool,
    cache: Mutex<HashMap<String, Arc<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    last_used: Mutex<Instant>,
    /// Locked during a fetch, so that requests at once share one fetch.
    slot: tokio::sync::Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    good: Option<Good>,
    failed: Option<(Instant, Unusable)>,
}

#[derive(Debug)]
struct Good {
    document: Arc<Document>,
    fetched: Instant,
    fresh: Duration,
}

impl Documents {
    pub(super) fn new(hosts: Vec<String>, with_loopback: bool) -> Self {
        Self { hosts, with_loopback, cache: Mutex::default() }
    }

    /// Checks the id before anything is looked up.
    // Draft -00 §3: https, a path, no dot segments, no fragment, no credentials.
    pub(super) fn check_id(&self, id: &str) -> Result<Url, Unusable> {
        let url = Url::parse(id).map_err(|_| Unusable::Id)?;
        // The parser would remove dot segments, a default port and so on: such ids have two spellings.
        let is_plain = url.as_str() == id && url.path().len() > 1 && url.fragment().is_none() && url.query().is_none();
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let host = url.host_str().unwrap_or_default();
        let is_local = self.with_loopback && attache_core::http::LOOPBACK.contains(&host);
        let is_scheme = url.scheme() == "https" || url.scheme() == "http" && is_local;
        if !is_plain || has_credentials || !is_scheme {
            return Err(Unusable::Id);
        }
        let is_listed = url.port().is_none() && self.hosts.iter().any(|listed| listed == host);
        if is_listed || is_local { Ok(url) } else { Err(Unusable::Host(host.to_owned())) }
    }

    /// Returns the document with this id, from the cache or from its host.
    pub(super) async fn get(&self, id: &str) -> Result<Arc<Document>, Unusable> {
        let url = self.check_id(id)?;
        let entry = self.entry(id);
        let mut slot = entry.slot.lock().await;
        if let Some(good) = slot.good.as_ref().filter(|good| good.fetched.elapsed() < good.fresh) {
            return Ok(Arc::clone(&good.document));
        }
        if let Some((at, why)) = slot.failed.as_ref().filter(|(at, _)| at.elapsed() < DOCUMENT_RETRY) {
            let _ = at;
            return slot.last_good().ok_or_else(|| why.clone());
        }
        match timeout(DOCUMENT_TIME, self.fetch(&url)).await.unwrap_or(Err(Unusable::TooSlow)) {
            Ok((document, fresh)) => {
                let document = Arc::new(document);
                *slot = Slot {
                    good: Some(Good { document: Arc::clone(&document), fetched: Instant::now(), fresh }),
                    failed: None,
                };
                Ok(document)
            }
            Err(why) => {
                tracing::warn!(client = id, reason = %why, "the metadata document of a client was not fetched");
                slot.failed = Some((Instant::now(), why.clone()));
                slot.last_good().ok_or(why)
            }
        }
    }

    /// Returns the entry of a document. A full cache drops the one that was used least recently.
    fn entry(&self, id: &str) -> Arc<Entry> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(entry) = cache.get(id) {
            *entry.last_used.lock().unwrap_or_else(PoisonError::into_inner) = now;
            return Arc::clone(entry);
        }
        if cache.len() >= DOCUMENTS {
            let last_used = |entry: &Entry| *entry.last_used.lock().unwrap_or_else(PoisonError::into_inner);
            let oldest = cache.iter().min_by_key(|(_, entry)| last_used(entry)).map(|(id, _)| id.clone());
            oldest.and_then(|oldest| cache.remove(&oldest));
        }
        let entry = Arc::new(Entry { last_used: Mutex::new(now), slot: tokio::sync::Mutex::default() });
        cache.insert(id.to_owned(), Arc::clone(&entry));
        entry
    }

    async fn fetch(&self, url: &Url) -> Result<(Document, Duration), Unusable> {
        let failed = |error: reqwest::Error| Unusable::Unreachable(causes(&error));
        // The host is on a list of the operator, but its name could lead to a machine inside.
        let reach = Reach::public(self.with_loopback);
        if !reach.allows(url.as_str()) {
            return Err(Unusable::Id);
        }
        let client = https::builder(url.scheme() == "https").map_err(Unusable::Unreachable)?;
        let client = client.dns_resolver(Arc::new(reach)).build().map_err(failed)?;
        let mut response = client.get(url.clone()).header("accept", "application/json").send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(Unusable::Status(response.status().as_u16()));
        }
        if !is_json(response.headers()) {
            return Err(Unusable::NotJson);
        }
        let fresh = fresh(response.headers());
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if piece.len() > DOCUMENT - body.len() {
                return Err(Unusable::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        Document::read(url.as_str(), &body).map(|document| (document, fresh))
    }
}

impl Slot {
    /// The last good copy, as long as it may replace a newer one that cannot be fetched.
    fn last_good(&self) -> Option<Arc<Document>> {
        let good = self.good.as_ref().filter(|good| good.fetched.elapsed() < DOCUMENT_KEPT)?;
        Some(Arc::clone(&good.document))
    }
}

impl Document {
    fn read(id: &str, body: &[u8]) -> Result<Self, Unusable> {
        let document: Self = object(without_mark(body)).ok_or(Unusable::NotJson)?;
        // Draft -00 §4.1: compared as a plain string.
        if document.client_id != id {
            return Err(Unusable::OtherId);
        }
        if document.client_secret.is_some() || document.client_secret_expires_at.is_some() {
            return Err(Unusable::Secret);
        }
        let is_none = |method: &str| method == "none";
        let offers_none = document.token_endpoint_auth_method.as_deref().is_none_or(is_none)
            || document.token_endpoint_auth_methods_supported.iter().any(|method| is_none(method));
        if offers_none { Ok(document) } else { Err(Unusable::Method) }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    let has_suffix = essence.starts_with("application/") && essence.ends_with("+json");
    has_type(headers, "application/json") || has_suffix
}

/// The time for which a document is fresh (RFC 9111 §5.2.2.1), within bounds.
fn fresh(headers: &HeaderMap) -> Duration {
    let [least, most, default] = DOCUMENT_AGE;
    let directives = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut directives = directives.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    let age = directives.find_map(|directive| match directive.as_str() {
        "no-store" | "no-cache" => Some(0),
        other => other.strip_prefix("max-age=").and_then(|seconds| seconds.parse().ok()),
    });
    age.map_or(default, Duration::from_secs).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn client_id_must_be_a_plain_url_of_a_listed_host_before_anything_is_fetched() {
        let documents = Documents::new(vec!["vscode.dev".to_owned()], false);
        let developer = Documents::new(Vec::new(), true);
        let host = |host: &str| Some(Unusable::Host(host.to_owned()));
        for (documents, id, expected) in [
            (&documents, "https://vscode.dev/oauth/client-metadata.json", None),
            (&documents, "https://vscode.dev", Some(Unusable::Id)),
            (&documents, "https://vscode.dev/", Some(Unusable::Id)),
            (&documents, "http://vscode.dev/client.json", Some(Unusable::Id)),
            (&documents, "https://vscode.dev/a/../client.json", Some(Unusable::Id)),
            (&documents, "https://vscode.dev/a/./client.json", Some(Unusable::Id)),
            (&documents, "https://vscode.dev/client.json#x", Some(Unusable::Id)),
            (&documents, "https://vscode.dev/client.json?x", Some(Unusable::Id)),
            (&documents, "https://user@vscode.dev/client.json", Some(Unusable::Id)),
            (&documents, "https://vscode.dev:443/client.json", Some(Unusable::Id)),
            (&documents, "https://vscode.dev:8443/client.json", host("vscode.dev")),
            (&documents, "https://VSCODE.dev/client.json", Some(Unusable::Id)),
            (&documents, "https://evil.example/client.json", host("evil.example")),
            (&documents, "https://127.0.0.1/client.json", host("127.0.0.1")),
            (&documents, "http://127.0.0.1/client.json", Some(Unusable::Id)),
            (&documents, "https://169.254.169.254/latest/meta-data", host("169.254.169.254")),
            (&documents, "file:///etc/passwd", Some(Unusable::Id)),
            (&developer, "http://127.0.0.1:9000/client.json", None),
            (&developer, "https://localhost/client.json", None),
            (&developer, "http://10.0.0.1/client.json", Some(Unusable::Id)),
            (&developer, "https://10.0.0.1/client.json", host("10.0.0.1")),
        ] {
            assert_eq!(documents.check_id(id).err(), expected, "{id}");
        }
    }

    #[test]
    fn document_is_read_tolerantly_but_must_be_about_its_own_client() {
        const ID: &str = "https://vscode.dev/client.json";
        for (members, expected) in [
            (r#""client_id":"https://vscode.dev/client.json","redirect_uris":[]"#, None),
            (r#""client_id":"https://vscode.dev/client.json","grant_types":["device_code"],"x":{"y":[1]}"#, None),
            (
                r#""client_id":"https://vscode.dev/client.json","token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["private_key_jwt","none"]"#,
                None,
            ),
            (
                r#""client_id":"https://vscode.dev/client.json","token_endpoint_auth_method":"private_key_jwt""#,
                Some(Unusable::Method),
            ),
            (r#""client_id":"https://vscode.dev/Client.json""#, Some(Unusable::OtherId)),
            (r#""client_id":"https://vscode.dev/client.json/""#, Some(Unusable::OtherId)),
            (r#""redirect_uris":[]"#, Some(Unusable::OtherId)),
            (r#""client_id":"https://vscode.dev/client.json","client_secret":"x""#, Some(Unusable::Secret)),
            (r#""client_id":"https://vscode.dev/client.json","client_secret_expires_at":0"#, Some(Unusable::Secret)),
            (r#""client_id":"a","client_id":"https://vscode.dev/client.json""#, Some(Unusable::NotJson)),
            (r#""client_id":1"#, Some(Unusable::NotJson)),
        ] {
            let body = format!("{{{members}}}");
            assert_eq!(Document::read(ID, body.as_bytes()).err(), expected, "{body}");
        }
        for body in [&b"<html>"[..], br#"["https://vscode.dev/client.json"]"#, b"", b"{} {}"] {
            assert_eq!(Document::read(ID, body).err(), Some(Unusable::NotJson));
        }
    }

    #[test]
    fn age_of_a_document_is_kept_within_bounds() {
        for (value, seconds) in [
            ("max-age=600", 600),
            ("public, Max-Age=600", 600),
            ("max-age=1", 60),
            ("max-age=99999999", 24 * 3600),
            ("no-store", 60),
            ("private", 3600),
        ] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(value))]);
            assert_eq!(fresh(&headers), Duration::from_secs(seconds), "{value}");
        }
    }
}
