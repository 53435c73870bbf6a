//! Answers to clients and browsers.

use super::error::OAuthError;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

/// An answer that no cache may keep (RFC 6749 §5.1).
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    let fields = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, fields, body.to_string()).into_response()
}

impl IntoResponse for OAuthError {
    /// The answer to a direct request of a client (RFC 6749 §5.2).
    fn into_response(self) -> Response {
        let body = json!({"error": self.code.as_str(), "error_description": self.description});
        let mut response = json(self.status, &body);
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if self.is_basic {
            // RFC 6749 §5.2: the scheme that the client has used.
            let challenge = HeaderValue::from_static("Basic realm=\"clients have no secret here\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The fields of every answer to a browser.
const OF_BROWSERS: [(HeaderName, &str); 4] = [
    (http::header::CONTENT_SECURITY_POLICY, POLICY),
    (http::header::X_FRAME_OPTIONS, "DENY"),
    // Without it, browsers would tell a client on loopback the URL from which the person comes, and codes could leak.
    (http::header::REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
];

/// The Content-Security-Policy of pages. It has no `form-action`: browsers apply that to every hop of the redirects after a form,
/// also to the client's own hop to a scheme such as `claude:`, which would block the sign-in without a message.
const POLICY: &str = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page for a person.
pub(crate) fn page(status: StatusCode, html: String) -> Response {
    let mut response = (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    for_browsers(&mut response);
    response
}

/// Sends the browser to a URL. 303 makes it use GET (RFC 9700 §4.12: never 307, which would repeat a form).
pub(crate) fn see_other(url: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    match HeaderValue::from_str(url) {
        Ok(location) => response.headers_mut().insert(LOCATION, location),
        // A redirect URI was checked for such characters, so this does not occur.
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    for_browsers(&mut response);
    response
}

fn for_browsers(response: &mut Response) {
    for (name, value) in OF_BROWSERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}
