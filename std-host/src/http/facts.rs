//! The head of a request in the form that the protocol engine reads.

use attache_core::http::Facts;
use http::Version;
use http::header::HOST;
use http::request::Parts;

/// Marks a request that arrived over TLS. The code that accepts connections puts it into the
/// extensions of the request. Without it, pages of the server's own hosts may call from both `http`
/// and `https` origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverTls;

/// Collects the facts of the head.
pub(super) fn facts(head: &Parts) -> Facts<'_> {
    let mut facts = Facts::new(head.method.as_str().as_bytes());
    facts.is_tls = head.extensions.get::<OverTls>().is_some();
    for (name, value) in &head.headers {
        facts.note(name.as_str().as_bytes(), value.as_bytes());
    }
    // HTTP/2 has the authority in a pseudo-header, HTTP/1.1 in a target in absolute form.
    if let Some(authority) = head.uri.authority() {
        facts.target(authority.as_str().as_bytes());
    }
    facts
}

/// Whether the request has one `Host`; before and after HTTP/1.1 none is good, too.
// RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host
// header field and to any request message that contains more than one".
pub(super) fn has_one_host(head: &Parts) -> bool {
    match head.headers.get_all(HOST).iter().count() {
        0 => head.version != Version::HTTP_11,
        hosts => hosts == 1,
    }
}
