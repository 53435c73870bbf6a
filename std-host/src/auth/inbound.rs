//! The access token of a caller, for the issuer that exchanges it.

use core::fmt;
use std::sync::Arc;

/// The verified access token of a caller. Only this crate can read it, so that no handler can pass
/// it on.
#[derive(Clone)]
pub(crate) struct Inbound(Arc<str>);

impl Inbound {
    pub(crate) fn new(token: &str) -> Self {
        Self(token.into())
    }

    pub(crate) fn token(&self) -> &str {
        &self.0
    }
}

// The token must not be logged.
impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbound(…)")
    }
}
