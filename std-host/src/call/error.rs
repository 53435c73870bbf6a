//! Why a handler failed, and how much of it leaves the server.

use super::page::Page;
use serde_json::{Map, Value};

/// Why a handler failed.
///
/// What `user` is given reaches the model. Any other error stays here: `?` turns it into one fixed sentence with an
/// identifier, and its text goes to the log under that identifier, because it may hold what a peer must not see.
#[derive(Clone, Debug)]
pub struct ToolError(Failure);

#[derive(Clone, Debug)]
pub(crate) enum Failure {
    User(String),
    Internal(String),
    NotFound,
    /// The client sent what cannot be.
    Invalid(String),
    /// The client must answer this first.
    Asks(Map<String, Value>),
    /// A person has to go there first, and then the client makes the call anew.
    Page(Page),
    /// The client has not declared this capability.
    Needs(Value),
}

impl ToolError {
    /// A failure that the model may read, in words that let it do better.
    pub fn user(text: impl Into<String>) -> Self {
        Self(Failure::User(text.into()))
    }

    /// There is no resource with the URI that was asked for.
    pub const fn not_found() -> Self {
        Self(Failure::NotFound)
    }

    pub(super) fn internal(cause: &str) -> Self {
        Self(Failure::Internal(cause.to_owned()))
    }

    pub(crate) const fn from_failure(failure: Failure) -> Self {
        Self(failure)
    }

    pub(crate) fn into_failure(self) -> Failure {
        self.0
    }
}

impl<E: core::error::Error> From<E> for ToolError {
    fn from(error: E) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        Self(Failure::Internal(cause))
    }
}
