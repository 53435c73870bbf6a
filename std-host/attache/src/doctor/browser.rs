//! Checks for clients in a browser: the preflight, and the headers that they can read.

use super::challenge::{BROWSER, First};
use super::finding::Code;
use super::http::Body;
use super::report::Step;
use super::walk::Walk;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// The headers that a client sends.
const SENT: [&str; 3] = ["authorization", "content-type", "mcp-protocol-version"];

impl Walk<'_> {
    /// Sends a preflight. A server that allows no origin at all is right, too.
    pub(super) async fn preflight(&mut self, first: &First) {
        let headers = [
            ("origin", BROWSER),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,mcp-protocol-version"),
        ];
        let headers: HeaderMap = headers
            .into_iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let url = self.url.clone();
        let Ok(answer) = self.http.send(Method::OPTIONS, &url, headers, String::new(), Body::Head).await else {
            return;
        };
        if answer.status == StatusCode::UNAUTHORIZED {
            return self.report.found(Step::Browser, Code::PreflightChallenged, "OPTIONS is answered with 401");
        }
        if answer.header("access-control-allow-origin").is_none() {
            return self.report.saw(Step::Browser, format!("clients in a browser at {BROWSER} are not allowed"));
        }
        let allows = |header: &&str| answer.lists("access-control-allow-headers", header);
        let all = answer.lists("access-control-allow-headers", "*");
        // Fetch: the wildcard does not cover authorization.
        let missing: Vec<_> =
            SENT.into_iter().filter(|header| !allows(header) && (!all || *header == "authorization")).collect();
        if missing.is_empty() {
            self.report.saw(Step::Browser, format!("clients in a browser at {BROWSER} are allowed"));
        } else {
            let seen = format!("access-control-allow-headers lacks {}", missing.join(", "));
            self.report.found(Step::Browser, Code::PreflightHeaders, seen);
        }
        if first.asks_for_sign_in() {
            let exposed = first.answer.lists("access-control-expose-headers", "www-authenticate");
            if !exposed && first.answer.header("access-control-allow-origin").is_some() {
                let seen = "access-control-expose-headers of the 401 lacks WWW-Authenticate";
                self.report.found(Step::Browser, Code::HeadersNotExposed, seen);
            }
        }
    }
}
