//! Clients: those that have registered, whose id is a sealed record, those that publish a document about themselves, and those that the
//! operator has registered.

use super::assertion::{self, Assertion, Expected, NotAuthenticated};
use super::documents::Documents;
use super::limits;
use super::preregistered::PreRegistered;
use super::redirect::{self, RedirectRules};
use super::seals::{Purpose, Seals};
use super::unusable::Unusable;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A client that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) id: String,
    /// The name that the client has given itself.
    pub(super) name: Option<String>,
    pub(super) redirect_uris: Vec<String>,
    pub(super) kind: Kind,
    /// Whether the client has to authenticate at the token endpoint.
    pub(super) is_confidential: bool,
}

/// The way in which a client became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has registered itself.
    Registered,
    /// It publishes a document.
    Document,
    /// The operator has registered it.
    ByOperator,
}

/// The proof of a client about itself, apart from its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Nothing: it has no secret.
    None,
    /// Its secret.
    Secret,
    /// It has a secret, and has not shown it.
    Wrong,
}

/// The content of the id of a registered client (RFC 7591 A.5.2: an id that encodes the registration). So a registration needs no
/// memory, survives restarts, and cannot be crowded out by others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registration {
    #[serde(rename = "u")]
    pub(super) redirect_uris: Vec<String>,
    #[serde(rename = "n", skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(rename = "a", skip_serializing_if = "Option::is_none")]
    pub(super) application_type: Option<String>,
    /// When the client has registered.
    #[serde(rename = "t")]
    pub(super) issued: u64,
    /// A random number, so that two clients never have the same id.
    #[serde(rename = "i")]
    pub(super) number: u64,
}

/// Why a client id means no client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UnknownClient {
    /// The id was not issued by this server, or has expired.
    Id,
    /// The document of the client cannot be used.
    Document(Unusable),
}

/// Finds clients by their ids.
#[derive(Debug)]
pub(super) struct Clients {
    seals: Arc<Seals>,
    documents: Documents,
    rules: RedirectRules,
    of_operator: Vec<PreRegistered>,
}

impl Clients {
    pub(super) const fn new(seals: Arc<Seals>, documents: Documents, rules: RedirectRules) -> Self {
        Self { seals, documents, rules, of_operator: Vec::new() }
    }

    /// Allows `https` redirect URIs of these hosts only.
    pub(super) fn restrict(&mut self, hosts: Vec<String>) {
        self.rules.hosts = Some(hosts);
    }

    /// Makes these clients known.
    pub(super) fn add(&mut self, clients: Vec<PreRegistered>) {
        self.of_operator = clients;
    }

    /// Whether a client authenticates by a secret.
    pub(super) fn has_secrets(&self) -> bool {
        self.of_operator.iter().any(PreRegistered::is_confidential)
    }

    pub(super) const fn rules(&self) -> &RedirectRules {
        &self.rules
    }

    /// Returns the id for a registration.
    pub(super) fn register(&self, registration: &Registration) -> String {
        let record = serde_json::to_vec(registration).unwrap_or_default();
        self.seals.seal(Purpose::Client, registration.issued + limits::CLIENT.as_secs(), &record)
    }

    /// Returns the client with this id. Fetches its document if the id is a URL.
    pub(super) async fn find(&self, id: &str, now: u64) -> Result<Client, UnknownClient> {
        if let Some(own) = self.of_operator(id) {
            let PreRegistered { name, redirect_uris, .. } = own.clone();
            let (kind, is_confidential) = (Kind::ByOperator, own.is_confidential());
            return Ok(Client { id: id.to_owned(), name, redirect_uris, kind, is_confidential });
        }
        if is_document(id) {
            let document = self.documents.get(id).await.map_err(UnknownClient::Document)?;
            let redirect_uris = document.redirect_uris.iter().filter(|uri| self.rules.check(uri).is_ok());
            let redirect_uris: Vec<_> = redirect_uris.cloned().collect();
            if redirect_uris.is_empty() {
                return Err(UnknownClient::Document(Unusable::NoRedirectUri));
            }
            let (name, is_confidential) = (document.client_name.clone(), document.is_confidential());
            return Ok(Client { id: id.to_owned(), name, redirect_uris, kind: Kind::Document, is_confidential });
        }
        let Registration { redirect_uris, name, .. } = self.registration(id, now).ok_or(UnknownClient::Id)?;
        // The rules may have become stricter since.
        let redirect_uris = redirect_uris.into_iter().filter(|uri| self.rules.check(uri).is_ok()).collect();
        Ok(Client { id: id.to_owned(), name, redirect_uris, kind: Kind::Registered, is_confidential: false })
    }

    /// Returns what the client with this id proves by `secret`; `None` if there can be no such client. Clients without a secret may
    /// send any.
    pub(super) fn proof(&self, id: &str, secret: Option<&str>, now: u64) -> Option<Proof> {
        match self.of_operator(id).filter(|own| own.is_confidential()) {
            Some(own) if secret.is_some_and(|secret| own.is_secret(secret)) => Some(Proof::Secret),
            Some(_) => Some(Proof::Wrong),
            None => (self.of_operator(id).is_some() || self.could_be(id, now)).then_some(Proof::None),
        }
    }

    /// Verifies the assertion of a client that publishes a document.
    pub(super) async fn verify(&self, assertion: &str, expected: &Expected<'_>) -> Result<Assertion, NotAuthenticated> {
        let document = self.documents.get(expected.client_id).await.map_err(NotAuthenticated::Keys)?;
        assertion::verify(assertion, &document, &self.documents, expected).await
    }

    fn of_operator(&self, id: &str) -> Option<&PreRegistered> {
        self.of_operator.iter().find(|own| own.id == id)
    }

    /// Whether the id can be that of a client that has registered or publishes a document. Nothing is fetched: a code or refresh token
    /// names its client, and an outage of the host of a document must not sign people out.
    fn could_be(&self, id: &str, now: u64) -> bool {
        if is_document(id) { self.documents.check_id(id).is_ok() } else { self.registration(id, now).is_some() }
    }

    fn registration(&self, id: &str, now: u64) -> Option<Registration> {
        let (_, record) = self.seals.open(Purpose::Client, now, id)?;
        serde_json::from_slice(&record).ok()
    }
}

/// Whether a client id is the URL of a document. Ids of registrations have no colon.
fn is_document(id: &str) -> bool {
    id.contains(':')
}

impl Client {
    /// Whether the client has registered this redirect URI.
    pub(super) fn allows(&self, requested: &str) -> bool {
        self.redirect_uris.iter().any(|registered| redirect::matches(registered, requested))
    }

    /// The host that publishes the client's document.
    pub(super) fn host(&self) -> Option<String> {
        let url = (self.kind == Kind::Document).then(|| reqwest::Url::parse(&self.id).ok()).flatten()?;
        url.host_str().map(str::to_owned)
    }
}
