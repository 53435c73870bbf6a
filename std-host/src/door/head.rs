//! The head of a request: its facts for the protocol engine, and the checks that need no policy.

use crate::limits::Limits;
use attache_core::http::{HeadFacts, Refusal};
use core::net::IpAddr;
use core::time::Duration;
use http::HeaderValue;
use http::request::Parts;

/// The address of the peer that sent a request. The code that accepts connections puts it into the extensions of the request. The rate
/// limit ([`Limits::rate`](crate::Limits)) tells callers apart by it, and counts all requests without it as those of one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Marks a request that came over TLS. The code that accepts connections puts it into the extensions of the request; without
/// it, a page of the server itself may call by `http` and by `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverTls;

/// Marks a request that another transport forwards: it was counted for the rate limits, and its client cannot resume a
/// stream. Only code of this crate can put it into the extensions of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed;

/// Whether another transport forwards the request.
pub(crate) fn is_relayed(head: &Parts) -> bool {
    head.extensions.get::<Relayed>().is_some()
}

/// A refusal by the head alone, and how long the caller has to wait if the refusal ends by itself.
pub(crate) type HeadRefusal = (Refusal, Option<Duration>);

/// The facts of the head.
pub(crate) fn facts(head: &Parts) -> HeadFacts<'_> {
    let mut facts = HeadFacts::new(head.method.as_str().as_bytes());
    facts.is_tls = head.extensions.get::<OverTls>().is_some();
    for (name, value) in &head.headers {
        facts.note(name.as_str().as_bytes(), value.as_bytes());
    }
    // HTTP/2 has it in a pseudo-header, HTTP/1.1 in a target in absolute form.
    if let Some(authority) = head.uri.authority() {
        facts.target(authority.as_str().as_bytes());
    }
    facts
}

/// The bytes of the header fields as HTTP/1 has them: a name, a colon, a space, a value, the end of the line.
pub(crate) fn size(head: &Parts) -> usize {
    head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// The address of the peer, if the code that accepted the connection has set it.
pub(super) fn peer(head: &Parts) -> Option<IpAddr> {
    head.extensions.get::<Peer>().map(|Peer(address)| *address)
}

/// The limits of a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimits {
    fields: usize,
    bytes: usize,
}

impl HeadLimits {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self { fields: limits.fields, bytes: limits.head }
    }

    /// Checks a head of so many bytes whatever the policy of its endpoint is.
    pub(super) fn refusal(&self, head: &Parts, size: usize) -> Option<Refusal> {
        // RFC 9112 §6.1: codings before `chunked`, and several fields, are ways to have two readers see two messages.
        let mut codings = head.headers.get_all(http::header::TRANSFER_ENCODING).iter();
        let is_chunked = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        if codings.next().is_some_and(|first| !is_chunked(first) || codings.next().is_some()) {
            return Some(Refusal::Framing);
        }
        // RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host
        // header field and to any request message that contains more than one".
        let hosts = head.headers.get_all(http::header::HOST).iter().count();
        if hosts > 1 || hosts == 0 && head.version == http::Version::HTTP_11 {
            return Some(Refusal::Authority);
        }
        (head.headers.len() > self.fields || size > self.bytes).then_some(Refusal::Fields)
    }
}
