//! Errors of handlers, and the part of them that a peer may see.

use super::page::UserPage;
use serde_json::{Map, Value};

/// The error of a handler.
///
/// The text given to [`user`](ToolError::user) reaches the model. Any other error stays on the
/// server: `?` replaces it by one fixed sentence with an identifier, and writes its text to the log
/// under that identifier, because the text may contain details that a peer must not see.
#[derive(Clone, Debug)]
pub struct ToolError(Failure);

#[derive(Clone, Debug)]
pub(crate) enum Failure {
    User(String),
    Internal(String),
    NotFound,
    /// The client sent an invalid value.
    Invalid(String),
    /// The client must answer these questions first.
    Asks(Map<String, Value>),
    /// The user must visit this page first; then the client repeats the call.
    Page(UserPage),
    /// The client has not declared this capability.
    Needs(Value),
}

impl ToolError {
    /// A failure that the model may read. Its text should help the model to do better.
    pub fn user(text: impl Into<String>) -> Self {
        Self(Failure::User(text.into()))
    }

    /// The requested resource does not exist.
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
