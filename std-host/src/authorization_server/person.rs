//! A person who can sign in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A person, as access tokens describe them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The issuer that knows the person.
    pub(super) issuer: String,
    /// The id of the person at that issuer.
    pub(super) subject: String,
    pub(super) name: Option<String>,
    pub(super) roles: Vec<String>,
    /// Claims that are copied from the ID token of the person.
    #[serde(default)]
    pub(super) claims: Map<String, Value>,
}

impl Person {
    /// Creates a person from an issuer and the id that the person has there.
    #[must_use]
    pub fn new(issuer: &str, subject: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            name: None,
            roles: Vec::new(),
            claims: Map::new(),
        }
    }

    /// Sets the name for people.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Sets the roles, which become the claim `roles`.
    #[must_use]
    pub fn roles<T: Into<String>>(mut self, roles: impl IntoIterator<Item = T>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Returns the name for people; the id if there is none.
    pub(super) fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.subject)
    }
}
