//! Converts failures of an upstream to the errors that clients of the gate get.
//!
//! An error of the upstream is forwarded where it means the same to the client. Everything else becomes an error of the gate, -32603
//! with a member `kind` in `data` that programs can tell apart. A credential, a challenge or an HTTP status of an upstream never
//! reaches a client.

use super::connection::Connection;
use super::domain::can_visit;
use super::json::raw_value;
use super::upstream::{Unconnected, Upstream};
use crate::backend::{Answer, Call, Kind};
#[cfg(feature = "oauth-client")]
use crate::client::OAuthError;
use crate::client::{Error, RawJson, RpcError, Version};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The outcome of a call that has failed.
pub(super) enum Failed {
    Answer(Answer),
    /// The person has to visit pages first: the parameters of elicitations.
    Pages(Vec<Map<String, Value>>),
}

/// The answer to a call that has no connection.
pub(super) fn unconnected(upstream: &Upstream, reason: Unconnected) -> Answer {
    match reason {
        Unconnected::Failed(Some(error)) => {
            tracing::warn!(backend = upstream.name, %error, "a call has no connection to its backend");
            local(upstream, &error)
        }
        Unconnected::Failed(None) => {
            failed(&format!("The backend {} is not connected yet: try again later", upstream.name), "unreachable")
        }
        Unconnected::TooMany => {
            let message = format!("Too many callers use the backend {} at once: try again later", upstream.name);
            failed(&message, "busy")
        }
    }
}

/// The answer of a bridge that was stopped.
pub(super) fn stopped() -> Answer {
    failed("The server is stopping", "stopped")
}

/// The answer to a result that breaks the protocol.
pub(super) fn broken(what: &str) -> Answer {
    failed(&format!("The answer of the backend breaks the protocol: {what}"), "invalid")
}

/// Decides the outcome of a call that the upstream has refused or not answered.
pub(super) fn of_call(upstream: &Upstream, call: &Call, connection: &Connection, error: Error) -> Failed {
    match error {
        Error::Rpc(error) => match pages(call, connection, &error) {
            Some(pages) => Failed::Pages(pages),
            None => Failed::Answer(refused(upstream, call, &error)),
        },
        error => {
            tracing::warn!(backend = upstream.name, call = call.name(), %error, "a call of a backend has failed");
            Failed::Answer(local(upstream, &error))
        }
    }
}

/// An error of the gate itself.
fn failed(message: &str, kind: &str) -> Answer {
    error(INTERNAL, message, Some(json!({ "kind": kind })))
}

fn error(code: i64, message: &str, data: Option<Value>) -> Answer {
    let data = data.and_then(|data| RawValue::from_string(data.to_string()).ok());
    Answer::Error { code, message: message.to_owned(), data }
}

/// Describes a failure that is not an error of JSON-RPC, without details that callers must not see.
fn local(upstream: &Upstream, error: &Error) -> Answer {
    let (kind, what) = match error {
        // The exit status and the last lines of standard error are in it.
        Error::Exited(_) => ("exited", error.to_string()),
        Error::Spawn { .. } => ("unreachable", "it could not be started".to_owned()),
        Error::Unreachable(_) | Error::PlainHttp | Error::Redirect(_) | Error::NoRevision(_) => {
            ("unreachable", "it cannot be reached".to_owned())
        }
        #[cfg(feature = "oauth-client")]
        Error::OAuth(error) if error.needs_person() => {
            ("sign_in", "it needs the person to sign in again, or to consent".to_owned())
        }
        #[cfg(feature = "oauth-client")]
        Error::OAuth(OAuthError::Unavailable { .. }) => {
            ("unavailable", "its authorization server is unavailable: try again later".to_owned())
        }
        #[cfg(feature = "oauth-client")]
        Error::OAuth(_) => ("no_token", "its authorization server has issued no usable token".to_owned()),
        Error::Unauthorized(_) => ("unauthorized", "it refuses the credential of this server (HTTP 401)".to_owned()),
        Error::Forbidden(_) => {
            ("forbidden", "it does not allow this with the credential of this server (HTTP 403)".to_owned())
        }
        Error::Status { status, .. } => {
            ("status", format!("it answered with HTTP status {status} and without a result"))
        }
        Error::Timeout(_) => ("timeout", "it did not answer in time".to_owned()),
        Error::Lost(_) | Error::SessionLost | Error::Closed => {
            ("lost", "the connection broke before the answer came; the call may have been carried out".to_owned())
        }
        Error::Unanswered(reason) => ("unanswered", format!("it asked a question that was not answered: {reason}")),
        Error::TooManyRounds(rounds) => ("rounds", format!("it asked more than {rounds} times")),
        Error::TooLarge(limit) => ("too_large", format!("it sent a message of more than {limit} bytes")),
        _ => ("invalid", "its answer breaks the protocol".to_owned()),
    };
    failed(&format!("The backend {} failed: {what}", upstream.name), kind)
}

/// An error of the upstream, as the revision of the client has it.
fn refused(upstream: &Upstream, call: &Call, refused: &RpcError) -> Answer {
    let is_modern = call.version().is_modern();
    let RpcError { code, message, data, .. } = refused;
    let own = |code: i64| Answer::Error { code, message: message.clone(), data: data.as_ref().and_then(raw_value) };
    let instead = |kind: &str| {
        let message = format!("The backend {} refused the call: {message}", upstream.name);
        error(INTERNAL, &message, Some(json!({ "kind": kind, "code": code })))
    };
    // JSON-RPC 2.0 §5.1: an error has a code and a message. The client reads what is absent as 0 and as empty.
    if *code == 0 && message.is_empty() {
        return local(upstream, &Error::Invalid("an error without a code and a message".to_owned()));
    }
    let is_read = matches!(call.kind(), Kind::Resource | Kind::Template);
    match *code {
        // MCP 2026-07-28 server/resources: -32602 with the URI; -32002 before.
        NO_RESOURCE if is_modern => error(INVALID_PARAMS, message, Some(json!({ "uri": call.uri() }))),
        INVALID_PARAMS if is_read && !is_modern && names_uri(data.as_ref(), call) => own(NO_RESOURCE),
        // The client has declared what it can be asked, and the bridge has forwarded it.
        NEEDS_CAPABILITY if is_modern => own(*code),
        NEEDS_CAPABILITY => instead("capability"),
        PAGE_REQUIRED if call.version() == Version::V2025_11_25 => own(*code),
        // MCP 2026-07-28 basic/index, "Error codes": the client learns which capability it lacks.
        PAGE_REQUIRED if is_modern && !can_visit(call) => {
            let required = json!({ "requiredCapabilities": { "elicitation": { "url": {} } } });
            error(NEEDS_CAPABILITY, message, Some(required))
        }
        // JSON-RPC 2.0 §5.1: these describe the message of the bridge, and not that of the client.
        PARSE_ERROR | INVALID_REQUEST => instead("refused"),
        // MCP 2026-07-28 basic/index, "Error codes": codes of this range that are not defined must not be used.
        -32099..=-32020 => instead("refused"),
        -32019..=-32000 if is_modern => instead("refused"),
        _ => own(*code),
    }
}

fn names_uri(data: Option<&RawJson>, call: &Call) -> bool {
    data.and_then(|data| data.member("uri")?.string()).is_some_and(|uri| Some(uri.as_str()) == call.uri())
}

/// The pages that a person has to visit first, for a client that can be asked to and does not know this error.
// MCP 2025-11-25 client/elicitation, "URL Elicitation Required Error"; 2026-07-28 asks for them by a result.
fn pages(call: &Call, connection: &Connection, error: &RpcError) -> Option<Vec<Map<String, Value>>> {
    let is_asked = error.code == PAGE_REQUIRED && call.version().is_modern() && can_visit(call);
    if !is_asked || connection.client.version().is_modern() {
        return None;
    }
    let pages = error.data.as_ref()?.member("elicitations")?;
    let pages: Vec<_> = pages.elements().filter_map(|page| page.read().ok()).collect();
    (!pages.is_empty()).then_some(pages)
}

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const INVALID_PARAMS: i64 = -32602;
const INTERNAL: i64 = -32603;
const NO_RESOURCE: i64 = -32002;
const NEEDS_CAPABILITY: i64 = -32021;
const PAGE_REQUIRED: i64 = -32042;
