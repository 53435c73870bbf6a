//! Clients that the operator has registered.

use super::limits::{CLIENT_ID, CLIENT_SECRET};
use super::redirect::RedirectRules;
use attache_core::auth::digest;
use core::fmt;
use serde::Deserialize;

/// A client that the operator has registered: for clients that can neither register nor publish a document, such as agent platforms
/// in which a client id and a secret are typed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreRegistered {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) redirect_uris: Vec<String>,
    /// The digest of the secret by which the client authenticates.
    secret: Option<[u8; 32]>,
}

/// Why a client cannot be registered. Holds the client id, or the text of the file's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidClient {
    /// The text is not a JSON array of client metadata.
    NotJson(String),
    /// The id is empty, too long, or has characters other than visible ASCII; or it has a colon, as ids of documents have.
    Id(String),
    /// Two clients have this id.
    Repeated(String),
    /// The client has no redirect URI, or one that is not acceptable.
    RedirectUri(String, String),
    /// The secret could be guessed.
    ShortSecret(String),
}

impl fmt::Display for InvalidClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(why) => write!(
                f,
                "it must be a JSON array such as [{{\"client_id\": \"agents\", \"redirect_uris\": [\"https://agents.example/callback\"]}}]: {why}"
            ),
            Self::Id(id) => write!(
                f,
                "client_id {id:?} must have 1 to {CLIENT_ID} visible ASCII characters, and no colon: a client whose id is a URL publishes \
                 a document about itself"
            ),
            Self::Repeated(id) => write!(f, "client_id {id:?} occurs twice"),
            Self::RedirectUri(id, uri) if uri.is_empty() => write!(f, "client {id:?} has no redirect_uris"),
            Self::RedirectUri(id, uri) => write!(
                f,
                "client {id:?} has the redirect URI {uri:?}, which must be an https URL, an http URL of this machine, or an exact URI with a \
                 scheme of the client's own"
            ),
            Self::ShortSecret(id) => write!(
                f,
                "client_secret of {id:?} must have at least {CLIENT_SECRET} bytes: openssl rand -hex 32 makes one"
            ),
        }
    }
}

impl core::error::Error for InvalidClient {}

/// The members of client metadata that are read (RFC 7591 §2 and §3.2.1). Others are ignored.
#[derive(Deserialize)]
struct Metadata {
    client_id: String,
    client_name: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    client_secret: Option<String>,
}

impl PreRegistered {
    /// Creates a public client, which has no secret.
    pub fn new<T: Into<String>>(id: &str, redirect_uris: impl IntoIterator<Item = T>) -> Self {
        let redirect_uris = redirect_uris.into_iter().map(Into::into).collect();
        Self { id: id.to_owned(), name: None, redirect_uris, secret: None }
    }

    /// Sets the name that the consent page shows.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Sets the secret by which the client has to authenticate, in the form or by HTTP Basic.
    ///
    /// # Errors
    /// [`InvalidClient::ShortSecret`] if it could be guessed.
    pub fn secret(mut self, secret: &str) -> Result<Self, InvalidClient> {
        if secret.len() < CLIENT_SECRET {
            return Err(InvalidClient::ShortSecret(self.id));
        }
        self.secret = Some(digest(secret.as_bytes()));
        Ok(self)
    }

    /// Reads clients from JSON: an array of client metadata (RFC 7591 §3.2.1), of which `client_id`, `client_name`, `redirect_uris`
    /// and `client_secret` are used.
    ///
    /// # Errors
    /// [`InvalidClient`] says which client cannot be used.
    pub fn read(json: &str) -> Result<Vec<Self>, InvalidClient> {
        let all: Vec<Metadata> =
            serde_json::from_str(json).map_err(|error| InvalidClient::NotJson(error.to_string()))?;
        let clients = all.into_iter().map(|Metadata { client_id, client_name, redirect_uris, client_secret }| {
            let client = Self { name: client_name, ..Self::new(&client_id, redirect_uris) };
            match client_secret {
                Some(secret) => client.secret(&secret),
                None => Ok(client),
            }
        });
        let clients: Vec<_> = clients.collect::<Result<_, _>>()?;
        check(&clients).map(|()| clients)
    }

    /// Whether the client has to authenticate.
    pub(super) const fn is_confidential(&self) -> bool {
        self.secret.is_some()
    }

    /// Whether this is the client's secret.
    pub(super) fn is_secret(&self, shown: &str) -> bool {
        // Digests are compared, so the time tells nothing about the secret.
        self.secret.is_some_and(|secret| secret == digest(shown.as_bytes()))
    }
}

/// Checks clients that the operator has registered.
pub(super) fn check(clients: &[PreRegistered]) -> Result<(), InvalidClient> {
    for (number, client) in clients.iter().enumerate() {
        let id = || client.id.clone();
        let is_id = (1..=CLIENT_ID).contains(&client.id.len()) && client.id.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_id || client.id.contains(':') {
            return Err(InvalidClient::Id(id()));
        }
        if clients.iter().take(number).any(|other| other.id == client.id) {
            return Err(InvalidClient::Repeated(id()));
        }
        if client.redirect_uris.is_empty() {
            return Err(InvalidClient::RedirectUri(id(), String::new()));
        }
        if let Some(uri) = client.redirect_uris.iter().find(|uri| !RedirectRules::accepts_of_operator(uri)) {
            return Err(InvalidClient::RedirectUri(id(), uri.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_of_clients_is_in_the_form_of_rfc_7591_and_its_mistakes_are_named() {
        let long = "a".repeat(CLIENT_ID + 1);
        for (json, expected) in [
            ("[]".to_owned(), Ok(0)),
            (r#"[{"client_id":"a","redirect_uris":["https://a.example/cb"],"grant_types":["x"]}]"#.to_owned(), Ok(1)),
            (r#"[{"client_id":"a","redirect_uris":["myapp://callback","http://localhost/cb"]}]"#.to_owned(), Ok(1)),
            ("{}".to_owned(), Err("JSON array")),
            (r#"[{"client_id":"","redirect_uris":["https://a.example/"]}]"#.to_owned(), Err("visible ASCII")),
            (r#"[{"client_id":"a b","redirect_uris":["https://a.example/"]}]"#.to_owned(), Err("visible ASCII")),
            (r#"[{"client_id":"https://a.example/c","redirect_uris":["https://a.example/"]}]"#.to_owned(), Err("no colon")),
            (format!(r#"[{{"client_id":"{long}","redirect_uris":["https://a.example/"]}}]"#), Err("visible ASCII")),
            (r#"[{"client_id":"a"}]"#.to_owned(), Err("no redirect_uris")),
            (r#"[{"client_id":"a","redirect_uris":["http://a.example/"]}]"#.to_owned(), Err("http://a.example/")),
            (r#"[{"client_id":"a","redirect_uris":["javascript:alert(1)"]}]"#.to_owned(), Err("javascript:alert(1)")),
            (r#"[{"client_id":"a","redirect_uris":["https://a.example/#x"]}]"#.to_owned(), Err("https://a.example/#x")),
            (
                r#"[{"client_id":"a","redirect_uris":["https://a.example/"],"client_secret":"short"}]"#.to_owned(),
                Err("openssl rand"),
            ),
            (
                r#"[{"client_id":"a","redirect_uris":["https://a.example/"]},{"client_id":"a","redirect_uris":["https://a.example/"]}]"#.to_owned(),
                Err("twice"),
            ),
        ] {
            match (PreRegistered::read(&json), expected) {
                (Ok(clients), Ok(number)) => assert_eq!(clients.len(), number, "{json}"),
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{json}: {error}"),
                (read, expected) => panic!("{json}: {read:?}, and not {expected:?}"),
            }
        }
    }

    #[test]
    fn secret_is_compared_as_a_whole() {
        let client = PreRegistered::new("a", ["https://a.example/"]).secret(&"s".repeat(32)).expect("long enough");
        assert!(client.is_confidential() && client.is_secret(&"s".repeat(32)));
        assert!(!client.is_secret(&"s".repeat(33)) && !client.is_secret(""));
        assert!(!PreRegistered::new("a", ["https://a.example/"]).is_secret(""));
    }
}
