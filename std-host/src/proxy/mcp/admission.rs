//! Requests on an MCP path: their bodies are held until each message is judged.

use super::message::{Message, Unfit, has_mirrors, read};
use super::policy::{Forbidden, McpPolicy};
use crate::auth::Caller;
use crate::door::Challenger;
use crate::limits::Limits;
use attache_core::tool::Kind;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RANGE, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::timeout;

/// The decision about a request.
pub(in crate::proxy) enum Admission {
    /// The proxy answers it.
    Answered(Response<Body>),
    /// The application gets it, with this body.
    Passed(Admitted),
}

/// A request that the application gets.
pub(in crate::proxy) struct Admitted {
    pub(in crate::proxy) body: Body,
    /// Whether the answer may have a list, or news of resources.
    pub(super) is_filtered: bool,
    /// The answers to the messages of a batch that the policy forbids.
    pub(super) refused: Vec<String>,
}

/// A refusal of one message: its status, and its JSON-RPC error.
struct Refusal {
    status: StatusCode,
    code: i32,
    text: String,
    challenge: Option<HeaderValue>,
}

impl McpPolicy {
    /// Judges a request. Its head loses the fields that would make the answer unreadable.
    pub(in crate::proxy) async fn admit(&self, head: &mut Parts, body: Body, limits: &Limits) -> Admission {
        head.headers.remove(ACCEPT_ENCODING);
        head.headers.remove(RANGE);
        let is_empty = http_body::Body::is_end_stream(&body);
        if is_empty && matches!(head.method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS) {
            return Admission::Passed(Admitted { body, is_filtered: true, refused: Vec::new() });
        }
        if let Some(answer) = unreadable(head) {
            return Admission::Answered(answer);
        }
        let read = timeout(limits.body_time, to_bytes(body, limits.body)).await;
        let body = match read {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                return Admission::Answered(refused(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "the body is too large, or was cut",
                ));
            }
            Err(_) => {
                return Admission::Answered(refused(StatusCode::REQUEST_TIMEOUT, "the body has not come in time"));
            }
        };
        self.judge_body(head, &body)
    }

    fn judge_body(&self, head: &mut Parts, body: &Bytes) -> Admission {
        let (messages, is_batch) = match read(body) {
            Ok(read) => read,
            Err(unfit) => return Admission::Answered(of_unfit(unfit, head).answer(None)),
        };
        if is_batch && has_mirrors(&head.headers) {
            return Admission::Answered(of_unfit(Unfit::Mirror, head).answer(None));
        }
        let judged: Vec<_> = messages.into_iter().map(|raw| self.judge_message(raw, head, is_batch)).collect();
        if !is_batch {
            let Some(one) = judged.into_iter().next() else {
                return Admission::Answered(of_unfit(Unfit::NotAMessage, head).answer(None));
            };
            return match one {
                Ok(message) => passed(body.clone(), message.asks_for_list() || listens(&message), Vec::new()),
                Err((id, refusal)) => Admission::Answered(refusal.answer(id)),
            };
        }
        let is_filtered = judged.iter().flatten().any(|message| message.asks_for_list() || listens(message));
        let refused: Vec<String> = judged
            .iter()
            .filter_map(|one| one.as_ref().err())
            .filter_map(|(id, refusal)| Some(refusal.json(Some((*id)?))))
            .collect();
        let kept: Vec<&str> = judged.iter().flatten().map(|message| message.raw.get()).collect();
        if judged.iter().all(Result::is_ok) {
            return passed(body.clone(), is_filtered, refused);
        }
        if kept.is_empty() {
            return Admission::Answered(batch(&refused));
        }
        let kept = format!("[{}]", kept.join(","));
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(kept.len()));
        passed(kept.into(), is_filtered, refused)
    }

    fn judge_message<'a>(
        &self,
        raw: &'a RawValue,
        head: &Parts,
        is_batch: bool,
    ) -> Result<Message<'a>, (Option<&'a RawValue>, Refusal)> {
        let message = Message::read(raw).map_err(|(id, unfit)| (id, of_unfit(unfit, head)))?;
        if !is_batch && let Err(unfit) = message.check_mirrors(&head.headers) {
            return Err((message.id, of_unfit(unfit, head)));
        }
        let guest = Caller::guest();
        let caller = head.extensions.get::<Caller>().unwrap_or(&guest);
        match self.now().judge(&message, caller) {
            Ok(()) => Ok(message),
            Err(forbidden) => Err((message.id, of_forbidden(forbidden, head))),
        }
    }
}

fn passed(body: Bytes, is_filtered: bool, refused: Vec<String>) -> Admission {
    Admission::Passed(Admitted { body: Body::from(body), is_filtered, refused })
}

/// Whether the answer of a message is a stream of news.
fn listens(message: &Message<'_>) -> bool {
    message.subjects.iter().any(|(kind, _)| *kind == Kind::Resource)
}

/// Refuses a body in an encoding that is not read here.
fn unreadable(head: &Parts) -> Option<Response<Body>> {
    let is_encoded = head
        .headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let charset = |kind: &HeaderValue| {
        let text = kind.to_str().unwrap_or_default().to_ascii_lowercase();
        let charset = text.split_once("charset=").map(|(_, charset)| charset.trim_matches(['"', ' ', ';']).to_owned());
        charset.is_some_and(|charset| charset != "utf-8")
    };
    let mut kinds = head.headers.get_all(CONTENT_TYPE).iter();
    let is_foreign = kinds.next().is_some_and(charset) || kinds.next().is_some();
    (is_encoded || is_foreign).then(|| {
        refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON in UTF-8, without a content encoding, because a policy is in force",
        )
    })
}

fn refused(status: StatusCode, text: &str) -> Response<Body> {
    Refusal { status, code: -32600, text: text.to_owned(), challenge: None }.answer(None)
}

/// Whether a client of revision 2026-07-28 or later has sent the request.
fn is_modern(head: &Parts) -> bool {
    head.headers.get("mcp-protocol-version").is_some_and(|version| version.as_bytes() >= b"2026".as_slice())
}

fn of_unfit(unfit: Unfit, head: &Parts) -> Refusal {
    let (status, code, text) = match unfit {
        Unfit::NotJson => (StatusCode::BAD_REQUEST, -32700, "the body is not JSON in UTF-8"),
        Unfit::NotAMessage => (StatusCode::BAD_REQUEST, -32600, "the message is not a JSON-RPC message"),
        Unfit::Ambiguous => (
            StatusCode::BAD_REQUEST,
            -32600,
            "a member of the message is there twice, or in another case than it has to be",
        ),
        Unfit::Unnamed => (StatusCode::OK, -32602, "the parameters do not name what the method needs"),
        // MCP 2026-07-28 streamable-http: 404 for modern clients; to others it means that the session has ended.
        Unfit::Method if is_modern(head) => (StatusCode::NOT_FOUND, -32601, "Method not found"),
        Unfit::Method => (StatusCode::OK, -32601, "Method not found"),
        Unfit::Mirror => (StatusCode::BAD_REQUEST, -32020, "Mcp-Method or Mcp-Name differs from the message"),
    };
    Refusal { status, code, text: text.to_owned(), challenge: None }
}

fn of_forbidden(forbidden: Forbidden, head: &Parts) -> Refusal {
    match forbidden {
        // An entry that the policy hides does not exist for callers, so the answer is that of a server which does not have it.
        Forbidden::Hidden(kind, key) => {
            let (code, what) = match kind {
                Kind::Tool => (-32602, "Unknown tool"),
                Kind::Prompt => (-32602, "Unknown prompt"),
                // MCP 2026-07-28 server/resources: -32602; -32002 before.
                Kind::Resource | Kind::Template if is_modern(head) => (-32602, "Resource not found"),
                Kind::Resource | Kind::Template => (-32002, "Resource not found"),
            };
            Refusal { status: StatusCode::OK, code, text: format!("{what}: {key}"), challenge: None }
        }
        Forbidden::Permission(refusal, scopes) => {
            let challenger = head.extensions.get::<Challenger>();
            let challenge = challenger.and_then(|challenger| challenger.challenge(refusal, head, &scopes));
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
            Refusal { status, code: -32600, text: refusal.reason().to_owned(), challenge }
        }
    }
}

impl Refusal {
    fn json(&self, id: Option<&RawValue>) -> String {
        let error = json!({"code": self.code, "message": self.text});
        let id = id.map_or("null", RawValue::get);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
    }

    /// The answer to a single message. A notification has none.
    fn answer(&self, id: Option<&RawValue>) -> Response<Body> {
        tracing::info!(code = self.code, reason = self.text, "a message to an application was refused");
        let mut response = Response::new(Body::from(self.json(id)));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(challenge) = &self.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge.clone());
        }
        response
    }
}

/// The answer to a batch of which the application gets nothing.
fn batch(refused: &[String]) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    if refused.is_empty() {
        *response.status_mut() = StatusCode::ACCEPTED;
        return response;
    }
    *response.body_mut() = Body::from(format!("[{}]", refused.join(",")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
