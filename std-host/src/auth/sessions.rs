//! Sessions of people who have signed in with a browser, as the access checks see them.

use super::seen::Seen;
use crate::budget::Budget;
use attache_core::http::Refusal;
use core::fmt;
use core::pin::Pin;
use http::request::Parts;
use std::sync::Arc;

/// Finds the session of a request.
pub(crate) trait Sessions: Send + Sync + fmt::Debug {
    /// The session that a request without a token belongs to.
    fn find<'s>(&'s self, head: &'s Parts) -> Session<'s>;

    /// The URL of the sign-in page, if a person has opened the URL of this request in a browser.
    fn sign_in_url(&self, head: &Parts) -> Option<String>;

    /// Charges the cache of sessions to this budget.
    fn draw_from(&self, budget: &Budget);
}

/// The session of a request. Only sign-in pages have sessions.
#[cfg_attr(not(feature = "authorization-server"), expect(dead_code, reason = "there are no sign-in pages"))]
pub(crate) enum Session<'s> {
    /// The request has no session.
    None,
    /// The session was checked before.
    Known(Arc<Seen>),
    /// The session has to be checked.
    Unknown(Pin<Box<dyn Future<Output = Result<Arc<Seen>, Refusal>> + Send + 's>>),
}
