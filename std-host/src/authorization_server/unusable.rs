//! The reasons why a document that a client publishes cannot be used.

use super::limits::DOCUMENT_TIME;
use core::fmt;

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
    TooLarge(usize),
    TooSlow,
    NotJson,
    /// The document names another client id.
    OtherId,
    /// The document has a secret, although everyone can read it.
    Secret,
    /// The client can only authenticate by a method that is not served.
    Method,
    /// The client authenticates by keys, and the document has none that are served.
    NoKeys,
    NoRedirectUri,
}

impl Unusable {
    /// Whether another attempt may work without a change of the document.
    pub(super) const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Status(_) | Self::TooSlow)
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("the client id is not a plain https URL with a path"),
            Self::Host(host) => write!(f, "{host} is not on the list of hosts whose documents this server reads"),
            Self::Unreachable(error) => write!(f, "the document cannot be fetched: {error}"),
            Self::Status(status) => write!(f, "the document's server answers with status {status}"),
            Self::TooLarge(size) => write!(f, "the document has more than {size} bytes"),
            Self::TooSlow => write!(f, "the document's server does not answer within {} s", DOCUMENT_TIME.as_secs()),
            Self::NotJson => f.write_str("the document is not a JSON object of client metadata"),
            Self::OtherId => f.write_str("the document is about another client"),
            Self::Secret => f.write_str("the document contains a client secret"),
            Self::Method => f.write_str("the client offers neither the authentication method none nor private_key_jwt"),
            Self::NoKeys => f.write_str("the client authenticates by private_key_jwt, and publishes no key for it"),
            Self::NoRedirectUri => f.write_str("the document has no redirect URI that this server accepts"),
        }
    }
}
