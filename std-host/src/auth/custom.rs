//! Authentication by the application itself.

use super::caller::Caller;
use core::fmt;
use core::pin::Pin;
use http::request::Parts;
use std::sync::Arc;

/// Why an application does not admit a caller ([`Auth::custom`](super::Auth::custom)). The text is
/// for the log; the caller gets a fixed sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The caller has not signed in, or shows credentials that are not valid (401).
    Unauthenticated(String),
    /// The caller has signed in, and may not call (403).
    Forbidden(String),
    /// The credentials cannot be checked now, for example because a database does not answer (503).
    Unavailable(String),
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unauthenticated(reason) | Self::Forbidden(reason) | Self::Unavailable(reason)) = self;
        f.write_str(reason)
    }
}

impl core::error::Error for Rejection {}

/// The function of an application that finds the caller of a request.
#[derive(Clone)]
pub(super) struct Custom(Arc<dyn Fn(Parts) -> Found + Send + Sync>);

type Found = Pin<Box<dyn Future<Output = Result<Caller, Rejection>> + Send>>;

impl Custom {
    pub(super) fn new<F, Fut>(find: F) -> Self
    where
        F: Fn(Parts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Caller, Rejection>> + Send + 'static,
    {
        Self(Arc::new(move |head| Box::pin(find(head))))
    }

    pub(super) async fn caller(&self, head: &Parts) -> Result<Caller, Rejection> {
        (self.0)(head.clone()).await
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").finish_non_exhaustive()
    }
}
