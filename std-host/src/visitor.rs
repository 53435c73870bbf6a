//! The peer of a line: who it is, and the extensions of its requests.

use crate::auth::Caller;
use attache_core::auth::{Access, Authenticated, Denied, Verified};
use http::Extensions;
use std::sync::Arc;

/// The peer of a line.
pub(crate) struct Visitor {
    who: Who,
    /// The request extensions that handlers see.
    pub(crate) request: Option<Arc<Extensions>>,
}

enum Who {
    /// The operating system has controlled access to the pipe, so the peer may use everything.
    Anonymous,
    Guest,
    Vouched(Box<Verified<Vec<u8>>>),
}

impl Visitor {
    /// The process at the other end of a pipe.
    pub(crate) const fn anonymous() -> Self {
        Self { who: Who::Anonymous, request: None }
    }

    /// A caller that the application knows.
    ///
    /// # Errors
    /// If a claim of the caller has the wrong type.
    pub(crate) fn of(caller: &Caller) -> Result<Self, Denied<'static>> {
        let who = caller.vouched()?.map_or(Who::Guest, |verified| Who::Vouched(Box::new(verified)));
        Ok(Self { who, request: None })
    }

    pub(crate) fn who(&self) -> Authenticated<'_> {
        match &self.who {
            Who::Anonymous => Authenticated::anonymous(&Access::Anonymous),
            Who::Guest => Authenticated::anonymous(&Access::Guest),
            Who::Vouched(verified) => Authenticated::token(verified),
        }
    }
}
