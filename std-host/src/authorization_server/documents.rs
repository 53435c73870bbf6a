//! Client id metadata documents (draft-ietf-oauth-client-id-metadata-document-00): a client whose id is the URL of a document
//! about it, and the keys by which such a client authenticates.

use super::limits::{DOCUMENT, KEYS_DOCUMENT};
use super::parameters::object;
use super::remote::{Published, Remote};
use super::unusable::Unusable;
use crate::auth::key_set::KeySet;
use attache_core::json::without_mark;
use reqwest::Url;
use serde::Deserialize;
use std::sync::Arc;

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
    jwks: Option<serde_json::Value>,
    jwks_uri: Option<String>,
}

/// Fetches and caches documents.
#[derive(Debug)]
pub(super) struct Documents {
    /// The hosts from which documents are fetched.
    hosts: Vec<String>,
    /// Whether documents on this machine are fetched as well, also by plain `http`.
    with_loopback: bool,
    documents: Remote<Document>,
    keys: Remote<KeySet>,
}

impl Documents {
    pub(super) fn new(hosts: Vec<String>, with_loopback: bool) -> Self {
        Self { hosts, with_loopback, documents: Remote::new(with_loopback), keys: Remote::new(with_loopback) }
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
        self.documents.get(&self.check_id(id)?).await
    }

    /// Returns the keys by which a client authenticates. `is_known` tells whether they have the key that is looked for; if they do
    /// not, they are fetched again, because clients replace their keys.
    pub(super) async fn keys(
        &self,
        document: &Document,
        is_known: impl Fn(&KeySet) -> bool,
    ) -> Result<Arc<KeySet>, Unusable> {
        let Some(uri) = &document.jwks_uri else {
            let keys = document.jwks.as_ref().map(ToString::to_string).ok_or(Unusable::NoKeys)?;
            return KeySet::read(keys.as_bytes()).map(Arc::new).map_err(|_| Unusable::NoKeys);
        };
        // The document has named this URL, so it follows the same rules as the URL of a document.
        let url = self.check_id(uri)?;
        let keys = self.keys.get(&url).await?;
        if is_known(&keys) { Ok(keys) } else { self.keys.renewed(&url).await }
    }
}

impl Document {
    /// Whether the client may authenticate by this method.
    // RFC 7591 §2: the default is `client_secret_basic`, which a document cannot have. So no method means `none`.
    fn offers(&self, method: &str) -> bool {
        let own = self.token_endpoint_auth_method.as_deref().unwrap_or("none");
        own == method || self.token_endpoint_auth_methods_supported.iter().any(|other| other == method)
    }

    /// Whether the client has to authenticate.
    pub(super) fn is_confidential(&self) -> bool {
        !self.offers("none")
    }
}

impl Published for Document {
    const SIZE: usize = DOCUMENT;

    fn read(id: &str, body: &[u8]) -> Result<Self, Unusable> {
        let document: Self = object(without_mark(body)).ok_or(Unusable::NotJson)?;
        // Draft -00 §4.1: compared as a plain string.
        if document.client_id != id {
            return Err(Unusable::OtherId);
        }
        if document.client_secret.is_some() || document.client_secret_expires_at.is_some() {
            return Err(Unusable::Secret);
        }
        let has_keys = document.jwks.is_some() || document.jwks_uri.is_some();
        match (document.offers("none"), document.offers("private_key_jwt")) {
            (true, _) => Ok(document),
            (false, true) if has_keys => Ok(document),
            (false, true) => Err(Unusable::NoKeys),
            (false, false) => Err(Unusable::Method),
        }
    }

    fn built_in(id: &str) -> Option<Self> {
        let (_, json) = BUILT_IN.iter().find(|(known, _)| *known == id)?;
        Self::read(id, json.as_bytes()).ok()
    }
}

impl Published for KeySet {
    const SIZE: usize = KEYS_DOCUMENT;

    fn read(_: &str, body: &[u8]) -> Result<Self, Unusable> {
        Self::read(body).map_err(|_| Unusable::NoKeys)
    }
}

/// Copies of the documents of known clients, by their ids. The hosts of some documents refuse requests from data centres.
const BUILT_IN: [(&str, &str); 4] = [
    (
        "https://vscode.dev/oauth/client-metadata.json",
        r#"{"client_id":"https://vscode.dev/oauth/client-metadata.json","client_name":"Visual Studio Code",
        "redirect_uris":["http://127.0.0.1:33418/","https://vscode.dev/redirect"],"token_endpoint_auth_method":"none"}"#,
    ),
    (
        "https://claude.ai/oauth/claude-code-client-metadata",
        r#"{"client_id":"https://claude.ai/oauth/claude-code-client-metadata","client_name":"Claude Code",
        "redirect_uris":["http://localhost/callback","http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}"#,
    ),
    (
        "https://claude.ai/oauth/mcp-oauth-client-metadata",
        r#"{"client_id":"https://claude.ai/oauth/mcp-oauth-client-metadata","client_name":"Claude",
        "redirect_uris":["https://claude.ai/api/mcp/auth_callback","https://claude.com/api/mcp/auth_callback"],
        "token_endpoint_auth_method":"none"}"#,
    ),
    (
        "https://chatgpt.com/oauth/client.json",
        r#"{"client_id":"https://chatgpt.com/oauth/client.json","client_name":"ChatGPT",
        "redirect_uris":["https://chatgpt.com/connector_platform_oauth_redirect"],
        "token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["private_key_jwt","none"],
        "jwks_uri":"https://chatgpt.com/oauth/jwks.json"}"#,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

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
                Some(Unusable::NoKeys),
            ),
            (
                r#""client_id":"https://vscode.dev/client.json","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://vscode.dev/jwks""#,
                None,
            ),
            (
                r#""client_id":"https://vscode.dev/client.json","token_endpoint_auth_method":"client_secret_basic""#,
                Some(Unusable::Method),
            ),
            (
                r#""client_id":"https://vscode.dev/client.json","token_endpoint_auth_method":"tls_client_auth","token_endpoint_auth_methods_supported":["private_key_jwt"],"jwks":{"keys":[]}"#,
                None,
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
    fn copies_that_came_with_the_program_are_valid_documents_of_listed_hosts() {
        let documents = Documents::new(super::super::DOCUMENT_HOSTS.map(str::to_owned).into(), false);
        for (id, json) in BUILT_IN {
            documents.check_id(id).expect("a listed host");
            let document = Document::read(id, json.as_bytes()).expect("it breaks no rule");
            let rules = super::super::redirect::RedirectRules::default();
            assert!(!document.redirect_uris.is_empty(), "{id}");
            document.redirect_uris.iter().for_each(|uri| rules.check(uri).expect(uri));
        }
        assert!(Document::built_in("https://vscode.dev/other.json").is_none());
    }
}
