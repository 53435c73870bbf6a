//! Answers on an MCP path: lists lose the entries that the policy hides.

use super::admission::Admitted;
use super::events::Events;
use super::policy::{Filtered, McpPolicy};
use crate::limits::RESULT;
use crate::proxy::refused::Refused;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderValue, Response, StatusCode};

/// The work of the policy on the answer to a request.
pub(in crate::proxy) struct Due {
    is_filtered: bool,
    refused: Vec<String>,
}

impl Admitted {
    /// Takes the request apart into its body and what is due of its answer.
    pub(in crate::proxy) fn parts(self) -> (Body, Due) {
        (self.body, Due { is_filtered: self.is_filtered, refused: self.refused })
    }
}

impl McpPolicy {
    /// Returns the answer after the policy.
    pub(in crate::proxy) async fn filter(&self, answer: Response<Body>, due: Due) -> Result<Response<Body>, Refused> {
        if !due.is_filtered && due.refused.is_empty() {
            return Ok(answer);
        }
        // An application may encode its answers although the request does not accept that.
        if answer.headers().contains_key(CONTENT_ENCODING) {
            return withheld("it has a content encoding");
        }
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "text/event-stream" => Ok(self.filter_events(answer, &due)),
            "application/json" => self.filter_json(answer, &due).await,
            _ if http_body::Body::is_end_stream(answer.body()) || !answer.status().is_success() => {
                Ok(with_refused(answer, &due))
            }
            _ => withheld("it is neither JSON nor a stream of events"),
        }
    }

    fn filter_events(&self, answer: Response<Body>, due: &Due) -> Response<Body> {
        let (mut head, body) = answer.into_parts();
        head.headers.remove(CONTENT_LENGTH);
        head.headers.remove(ETAG);
        let first: String = due.refused.iter().map(|json| format!("event: message\ndata: {json}\n\n")).collect();
        let first = Some(Bytes::from(first)).filter(|first| !first.is_empty());
        Response::from_parts(head, Body::new(Events::new(body, self.clone(), first)))
    }

    async fn filter_json(&self, answer: Response<Body>, due: &Due) -> Result<Response<Body>, Refused> {
        let (mut head, body) = answer.into_parts();
        let Ok(body) = to_bytes(body, RESULT).await else {
            return withheld("it is too large to be judged, or was cut");
        };
        if body.is_empty() {
            return Ok(with_refused(Response::from_parts(head, Body::empty()), due));
        }
        let filtered = core::str::from_utf8(&body).map_or(Filtered::Unreadable, |json| self.now().filtered(json));
        let own = match filtered {
            Filtered::Same => None,
            Filtered::Other(text) => Some(text),
            Filtered::Gone => Some("[]".to_owned()),
            Filtered::Unreadable => return withheld("two parsers may read it in two ways"),
        };
        if own.is_none() && due.refused.is_empty() {
            return Ok(Response::from_parts(head, body.into()));
        }
        let text = own.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        let inside = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let text = match (inside, due.refused.is_empty()) {
            (_, true) => text,
            (Some(inside), false) => joined(inside, &due.refused),
            (None, false) => joined(&text, &due.refused),
        };
        head.headers.remove(ETAG);
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        Ok(Response::from_parts(head, text.into()))
    }
}

/// An array with further answers.
fn joined(inside: &str, refused: &[String]) -> String {
    let own = Some(inside.trim()).filter(|inside| !inside.is_empty());
    let all: Vec<&str> = own.into_iter().chain(refused.iter().map(String::as_str)).collect();
    format!("[{}]", all.join(","))
}

/// The answer to a batch if the application has nothing to say to the rest of it.
fn with_refused(answer: Response<Body>, due: &Due) -> Response<Body> {
    if due.refused.is_empty() || !answer.status().is_success() {
        return answer;
    }
    let (mut head, _) = answer.into_parts();
    let text = joined("", &due.refused);
    head.status = StatusCode::OK;
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    Response::from_parts(head, text.into())
}

fn withheld(why: &'static str) -> Result<Response<Body>, Refused> {
    tracing::warn!(why, "an answer of an application was withheld, because the policy cannot read it");
    Err(Refused::Withheld)
}
