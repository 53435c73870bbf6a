//! The requests that `attache doctor` sends: none of them changes anything.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// The credential of the requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Credential {
    pub(super) key: Option<String>,
    pub(super) token: Option<String>,
}

impl Credential {
    pub(super) const fn is_none(&self) -> bool {
        self.key.is_none() && self.token.is_none()
    }

    fn add_to(&self, headers: &mut HeaderMap) {
        let mut add = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        if let Some(key) = &self.key {
            add("x-functions-key", key.clone());
        }
        if let Some(token) = &self.token {
            add("authorization", format!("Bearer {token}"));
        }
    }
}

/// A POST to the server.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Post {
    /// A request of revision 2026-07-28.
    pub(super) fn modern(method: &'static str, mut params: Value, credential: &Credential) -> Self {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": client(),
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let mut post = Self::of(method, &params, credential);
        post.headers.insert("mcp-protocol-version", HeaderValue::from_static(MODERN));
        post.headers.insert("mcp-method", HeaderValue::from_static(method));
        post
    }

    /// The first request of the older revisions.
    pub(super) fn initialize(credential: &Credential) -> Self {
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client() });
        Self::of("initialize", &params, credential)
    }

    /// A ping within a session.
    pub(super) fn ping(session: &str, credential: &Credential) -> Self {
        let mut post = Self::of("ping", &json!({}), credential);
        post.headers.extend(session_headers(session));
        post
    }

    fn of(method: &str, params: &Value, credential: &Credential) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("accept", HeaderValue::from_static("application/json, text/event-stream"));
        credential.add_to(&mut headers);
        let body = json!({ "jsonrpc": "2.0", "id": ID, "method": method, "params": params });
        Self { headers, body: body.to_string() }
    }
}

/// The headers of a request without a body in a session, such as its end.
pub(super) fn of_session(session: &str, credential: &Credential) -> HeaderMap {
    let mut headers: HeaderMap = session_headers(session).collect();
    headers.insert("accept", HeaderValue::from_static("text/event-stream"));
    credential.add_to(&mut headers);
    headers
}

fn session_headers(session: &str) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let version = (HeaderName::from_static("mcp-protocol-version"), HeaderValue::from_static(LEGACY));
    let session = HeaderValue::from_str(session).ok().map(|id| (HeaderName::from_static("mcp-session-id"), id));
    core::iter::once(version).chain(session)
}

fn client() -> Value {
    json!({ "name": "attache-doctor", "version": env!("CARGO_PKG_VERSION") })
}

/// The newest revision.
pub(super) const MODERN: &str = "2026-07-28";
/// The newest revision that has sessions.
const LEGACY: &str = "2025-11-25";
/// The id of each request: each has a connection of its own.
pub(super) const ID: u64 = 1;
