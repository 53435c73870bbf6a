//! Why an entry cannot be added to a server.

use super::name_taken::NameTaken;
use core::fmt;

/// Why a tool, a prompt, a resource or a template cannot be added. While a server is built, this is
/// a panic; [`Changes`](crate::Changes) returns the error, because names may come from data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddError {
    /// Another entry has this name, URI or template.
    NameTaken(NameTaken),
    /// The name, the URI or another member of the entry breaks a rule of the protocol.
    Invalid(String),
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken(taken) => fmt::Display::fmt(taken, f),
            Self::Invalid(reason) => f.write_str(reason),
        }
    }
}

impl core::error::Error for AddError {}

impl From<NameTaken> for AddError {
    fn from(taken: NameTaken) -> Self {
        Self::NameTaken(taken)
    }
}
