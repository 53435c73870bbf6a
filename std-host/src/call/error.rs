//! Errors of handlers, and the part of them that a peer may see.

use super::page::UserPage;
use core::fmt;
use serde_json::{Map, Value};

/// The error of a handler.
///
/// Two kinds matter to an author. The text of [`user`](ToolError::user) reaches the model, which can
/// act on it. Every other error stays on the server: the model gets one fixed sentence with an
/// identifier, and the log gets the cause under that identifier, because the cause may contain
/// details that a client must not see.
///
/// `?` makes the second kind of error of whatever converts into a boxed error: types that implement
/// [`Error`](core::error::Error), `Box<dyn Error + Send + Sync>`, `anyhow::Error`, and texts. For an
/// error that cannot be sent to another thread, such as that of a poisoned lock, use
/// `map_err(ToolError::internal)`. [`OrUser`] makes the first kind.
///
/// ```
/// use attache_host::{OrUser, ToolError};
///
/// fn half(text: &str) -> Result<u8, ToolError> {
///     let number: u8 = text.parse().or_user("write a number from 0 to 255")?;
///     let bytes = std::fs::read("/proc/self/stat")?;
///     Ok(if bytes.is_empty() { 0 } else { number / 2 })
/// }
/// assert_eq!(half("x").unwrap_err().to_string(), "write a number from 0 to 255");
/// ```
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

    /// A failure that the model must not read. The cause goes to the log, under an identifier that
    /// the model gets.
    ///
    /// ```
    /// # use attache_host::ToolError;
    /// # use std::sync::Mutex;
    /// fn count(visits: &Mutex<u32>) -> Result<u32, ToolError> {
    ///     let mut visits = visits.lock().map_err(ToolError::internal)?;
    ///     *visits += 1;
    ///     Ok(*visits)
    /// }
    /// # assert_eq!(count(&Mutex::new(1)).unwrap(), 2);
    /// ```
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self(Failure::Internal(cause.to_string()))
    }

    pub(crate) const fn from_failure(failure: Failure) -> Self {
        Self(failure)
    }

    pub(crate) fn into_failure(self) -> Failure {
        self.0
    }
}

/// Shows the text for the log. For a failure with [`user`](ToolError::user) it is what the model reads.
impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Failure::User(text) | Failure::Internal(text) | Failure::Invalid(text) => f.write_str(text),
            Failure::NotFound => f.write_str("not found"),
            Failure::Asks(_) => f.write_str("the client has to answer a question first"),
            Failure::Page(page) => write!(f, "the user has to visit page {:?} first", page.id()),
            Failure::Needs(capability) => write!(f, "the client has not declared a capability: {capability}"),
        }
    }
}

// `ToolError` itself does not implement `Error`, so that this does not overlap with `From<T> for T`.
impl<E: Into<Box<dyn core::error::Error + Send + Sync>>> From<E> for ToolError {
    fn from(error: E) -> Self {
        let error: Box<dyn core::error::Error + Send + Sync> = error.into();
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        Self(Failure::Internal(cause))
    }
}

/// Turns a missing value or an error into a failure that the model reads: see
/// [`or_user`](OrUser::or_user).
pub trait OrUser<T> {
    /// Returns the value, or a [`ToolError::user`] with this text. The cause of an error is logged at
    /// level `debug`, and does not reach the model.
    ///
    /// ```
    /// # use attache_host::{OrUser, ToolError};
    /// fn second(words: &[&'static str]) -> Result<&'static str, ToolError> {
    ///     words.get(1).copied().or_user("there is no second word")
    /// }
    /// assert_eq!(second(&["one"]).unwrap_err().to_string(), "there is no second word");
    /// ```
    ///
    /// # Errors
    /// If there is no value.
    fn or_user(self, text: impl Into<String>) -> Result<T, ToolError>;
}

impl<T> OrUser<T> for Option<T> {
    fn or_user(self, text: impl Into<String>) -> Result<T, ToolError> {
        self.ok_or_else(|| ToolError::user(text))
    }
}

impl<T, E: fmt::Display> OrUser<T> for Result<T, E> {
    fn or_user(self, text: impl Into<String>) -> Result<T, ToolError> {
        self.map_err(|cause| {
            let text = text.into();
            tracing::debug!(%cause, %text, "a handler refuses a call");
            ToolError(Failure::User(text))
        })
    }
}
