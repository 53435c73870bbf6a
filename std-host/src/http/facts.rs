//! The head of a request, as the protocol engine takes it.

use attache_core::http::Facts;
use http::request::Parts;

/// What the head says.
pub(super) fn facts(head: &Parts) -> Facts<'_> {
    let mut facts = Facts::new(head.method.as_str().as_bytes());
    for (name, value) in &head.headers {
        facts.note(name.as_str().as_bytes(), value.as_bytes());
    }
    // HTTP/2 has it in a pseudo-header, HTTP/1.1 in a target in absolute form.
    if let Some(authority) = head.uri.authority() {
        facts.target(authority.as_str().as_bytes());
    }
    facts
}
