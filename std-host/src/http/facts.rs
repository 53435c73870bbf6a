//! The head of a request, as the protocol engine takes it.

use attache_core::http::Facts;
use http::request::Parts;

/// What the head says.
pub(super) fn facts(head: &Parts) -> Facts<'_> {
    let mut facts = Facts::new(head.method.as_str().as_bytes());
    for (name, value) in &head.headers {
        facts.note(name.as_str().as_bytes(), value.as_bytes());
    }
    // RFC 9113 §8.3.1: HTTP/2 names the host in a pseudo-header.
    if let Some(authority) = head.uri.authority()
        && !head.headers.contains_key(http::header::HOST)
    {
        facts.note(b"host", authority.as_str().as_bytes());
    }
    facts
}
