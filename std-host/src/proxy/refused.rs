//! Requests that the proxy answers itself.

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode, Version};

/// Why the application does not get a request, or the client not its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The method would make the proxy a tunnel (CONNECT), or show the fields that it sets (TRACE).
    Method,
    /// The target is not a path.
    Target,
    /// The path has two readings, and the access checks differ by path.
    Ambiguous,
    /// The path is outside of the part of the application that is served.
    NotServed,
    /// The client may not switch protocols here.
    Upgrade,
    /// The application is being started.
    Starting,
    /// No connection can be made.
    Unreachable,
    /// The connection broke, or the answer is not HTTP.
    Broken,
    /// The answer has two lengths.
    Length,
    /// The application has switched protocols without being asked to.
    Switched,
    /// Nothing came for the time limit.
    Late,
    /// The policy has to filter the answer, and cannot read it.
    Withheld,
}

impl Refused {
    const fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Target | Self::Ambiguous | Self::Upgrade => StatusCode::BAD_REQUEST,
            Self::NotServed => StatusCode::NOT_FOUND,
            Self::Starting => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable | Self::Broken | Self::Length | Self::Switched | Self::Withheld => {
                StatusCode::BAD_GATEWAY
            }
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Method => "the methods CONNECT and TRACE are not served",
            Self::Target => "the target of the request must be a path",
            Self::Ambiguous => {
                "the path can be read in two ways: write it without //, \\, ;, dot segments, escapes of these, and escapes of letters \
                 and digits, and with the letters of the route in their case"
            }
            Self::NotServed => "nothing is served at this path",
            Self::Upgrade => "a change of the protocol (Upgrade) is not allowed on this path",
            Self::Starting => "the application is being started: try again",
            Self::Unreachable => "the application cannot be reached",
            Self::Broken => "the application has closed the connection, or its answer is not HTTP",
            Self::Length => "the answer of the application has two lengths",
            Self::Switched => "the application has changed the protocol without being asked to",
            Self::Withheld => "the answer of the application cannot be checked against the policy",
            Self::Late => "the application has not answered in time",
        }
    }

    /// The answer. The body of the request is not read, so the connection of HTTP/1 closes.
    pub(super) fn answer(self, version: Version) -> Response<Body> {
        let text = serde_json::json!({"error": self.reason()}).to_string();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::Starting => drop(fields.insert(RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::Method => {
                // RFC 9110 §15.5.6: the methods that are served. An application may have others.
                fields.insert(
                    http::header::ALLOW,
                    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
                );
            }
            _ => {}
        }
        if version < Version::HTTP_2 {
            fields.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
