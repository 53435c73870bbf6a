//! The error when another entry of the server has a name or URI.

use attache_core::tool::Kind;
use core::fmt;

/// The error for an offer with a name, URI or template that is already taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTaken {
    kind: Kind,
    key: String,
}

impl NameTaken {
    pub(super) fn new(kind: Kind, key: &str) -> Self {
        Self { kind, key: key.to_owned() }
    }

    /// Returns the kind of the entry.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the name, URI or template.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = format!("{:?}", self.kind).to_lowercase();
        write!(f, "there is already a {kind} {:?}", self.key)
    }
}

impl core::error::Error for NameTaken {}
