//! CORS: web pages of other origins that may call (Fetch Standard §3.3), see
//! [`ServerBuilder::origins`](crate::ServerBuilder::origins).

use super::answer::Answered;
use crate::door::facts;
use crate::engine::Server;
use attache_core::auth::{Access, Gate};
use attache_core::http::{Door, Policy, gate_route};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{Either, Full};

/// The answer to a preflight request of a browser. Preflights carry no credentials, so none are
/// required.
pub(super) fn preflight(server: &Server, head: &Parts) -> Option<Response<Answered>> {
    let asks = head.method == Method::OPTIONS && head.headers.contains_key("access-control-request-method");
    let origin = asks.then(|| allowed(server, head)).flatten()?;
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, DELETE"));
    // A page may send any field. The request itself is checked as usual.
    let asked = head.headers.get("access-control-request-headers").cloned();
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HeaderValue::from_static("content-type")));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.insert(VARY, HeaderValue::from_static("Origin, Access-Control-Request-Headers"));
    Some(response)
}

/// Allows the page that sent the request to read the answer, and the header fields that its client
/// needs.
pub(super) fn expose<B>(server: &Server, head: &Parts, response: &mut Response<B>) {
    if let Some(origin) = allowed(server, head) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("Mcp-Session-Id, WWW-Authenticate, Retry-After"),
        );
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}

/// Returns the origin of the request if that origin may call.
fn allowed(server: &Server, head: &Parts) -> Option<HeaderValue> {
    let origin = head.headers.get(ORIGIN)?;
    let open = Policy { access: Gate::Open(Access::Anonymous), ..server.checks.policy() };
    matches!(gate_route(&facts(head), &open), Door::In(_)).then(|| origin.clone())
}
