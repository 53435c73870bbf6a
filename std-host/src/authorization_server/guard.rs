//! The checks that every request passes, and cross-origin access.

use super::AuthorizationServer;
use crate::door::{facts, size};
use attache_core::auth::{Access, Gate};
use attache_core::http::{Door, Field, Policy, gate_route};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    CACHE_CONTROL, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use std::sync::Arc;

/// Refuses requests with a foreign `Host` (DNS rebinding), with a head that has two readings, or beyond the rate limit.
/// `Origin` is not looked at: public endpoints answer every page, and consent is protected by its cookie.
pub(super) async fn guard(State(server): State<Arc<AuthorizationServer>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    if let Some(response) = refusal(&server, &head) {
        return response;
    }
    let mut response = next.run(Request::from_parts(head, body)).await;
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn refusal(server: &AuthorizationServer, head: &Parts) -> Option<Response> {
    let refused = |refusal: attache_core::http::Refusal| {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
        (status, format!("{}\n", refusal.reason())).into_response()
    };
    if let Some((refusal, wait)) = server.checks.refused(head, size(head)) {
        let mut response = refused(refusal);
        if let Some(wait) = wait {
            // RFC 9110 §10.2.3: in whole seconds.
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        return Some(response);
    }
    let mut facts = facts(head);
    facts.origin = Field::Absent;
    let policy = Policy { access: Gate::Open(Access::Anonymous), ..server.checks.policy() };
    match gate_route(&facts, &policy) {
        Door::Out(refusal) => Some(refused(refusal)),
        Door::In(_) | Door::NeedKey(_) => None,
    }
}

/// Lets pages of every origin call an endpoint without credentials, as clients in browsers do (Fetch Standard §3.3).
pub(super) async fn share(request: Request, next: Next) -> Response {
    let asked = request.headers().get("access-control-request-headers").cloned();
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key("access-control-request-method");
    let mut response = if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if is_preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HeaderValue::from_static("content-type")));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
