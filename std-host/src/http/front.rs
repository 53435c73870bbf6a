//! Checks of a request before its credentials, for routes next to an MCP endpoint.

use super::facts::{facts, has_one_host};
use super::service::Peer;
use crate::admission::Admission;
use crate::limits::Limits;
use crate::observe::{self, Refusals, Transport};
use attache_core::auth::{Access, Gate};
use attache_core::http::{Door, Policy, Refusal, gate_session};
use core::time::Duration;
use http::request::Parts;
use std::sync::Arc;

/// Checks `Host`, `Origin` and the rate limit of a caller, as an MCP endpoint does. For other
/// routes of the same server that need protection.
#[derive(Debug)]
pub struct Front {
    hosts: Vec<String>,
    origins: Vec<String>,
    admission: Admission,
    refusals: Arc<Refusals>,
}

/// A refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status of the answer.
    pub status: u16,
    /// One word for the log: `authority`, `host`, `origin` or `rate`.
    pub reason: &'static str,
    /// The time after which the caller may retry, for `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl Front {
    /// Creates the checks from these host names and origins, which have the same meaning as in
    /// [`Server::hosts`](crate::Server::hosts) and [`Server::origins`](crate::Server::origins), and
    /// from the rate limit in `limits`.
    pub fn new(
        hosts: impl IntoIterator<Item = String>,
        origins: impl IntoIterator<Item = String>,
        limits: &Limits,
    ) -> Self {
        Self {
            hosts: hosts.into_iter().collect(),
            origins: origins.into_iter().collect(),
            admission: Admission::new(limits),
            refusals: Arc::default(),
        }
    }

    /// Checks the head of a request. Its caller is the [`Peer`] in its extensions.
    ///
    /// # Errors
    /// Why the request is refused.
    pub fn check(&self, head: &Parts) -> Result<(), Refused> {
        let policy = Policy { hosts: &self.hosts, origins: &self.origins, access: Gate::Open(Access::Anonymous) };
        let refused = |refusal: Refusal, retry_after| {
            Err(Refused { status: refusal.status(), reason: refusal.name(), retry_after })
        };
        if !has_one_host(head) {
            return refused(Refusal::Authority, None);
        }
        if let Door::Out(refusal @ (Refusal::Authority | Refusal::Host | Refusal::Origin)) =
            gate_session(&facts(head), &policy)
        {
            return refused(refusal, None);
        }
        let peer = head.extensions.get::<Peer>().map(|Peer(address)| *address);
        match self.admission.count(peer) {
            Ok(()) => Ok(()),
            Err(wait) => refused(Refusal::Rate, Some(wait)),
        }
    }

    /// Logs that the request with this head was refused, with the name of the route, the status of the answer and one word for the
    /// reason. As for an endpoint, a line that repeats within ten seconds is counted.
    pub fn log_refused(&self, route: &str, head: &Parts, status: u16, reason: Option<&'static str>) {
        self.refusals.log(observe::Refused {
            server: route.to_owned(),
            transport: Transport::Http.as_str(),
            peer: head.extensions.get::<Peer>().map(|Peer(address)| *address),
            caller: None,
            method: "none",
            reason,
            why: None,
            status: Some(status),
            code: None,
        });
    }
}
