//! Makes the request to an upstream for a call.

use super::connection::{Connection, Lent};
use super::domain::{Per, Profile};
use super::limits::{CALL, METADATA};
use super::upstream::Upstream;
use crate::backend::{Call, Kind};
use crate::client::{RawJson, Request};

/// Makes the request for a call.
pub(super) fn request(upstream: &Upstream, call: &Call, connection: &Lent) -> Request {
    let is_modern = connection.client.version().is_modern();
    // They were checked with the message of the client.
    let arguments = || RawJson::checked(call.raw_arguments());
    let request = match call.kind() {
        Kind::Tool => Request::call(call.name(), arguments()),
        Kind::Prompt => Request::new("prompts/get").text("name", call.name()).param("arguments", arguments()),
        Kind::Resource | Kind::Template => {
            Request::new("resources/read").text("uri", call.uri().unwrap_or_else(|| call.name()))
        }
    };
    let mut request = asking(described(request, call, connection), upstream, call, connection);
    if call.wants_progress() {
        request = request.progress();
    }
    if let Some(level) = call.log_level() {
        request = request.level(level);
    }
    if is_modern {
        request = request.capabilities(Profile::of_call(call).json());
    }
    request
}

/// The request, so that questions of the upstream reach the client of the call.
pub(super) fn asking(request: Request, upstream: &Upstream, call: &Call, connection: &Connection) -> Request {
    let request = request.timeout(CALL).total_timeout(CALL);
    // A question of an earlier call could reach another caller.
    if upstream.target.per == Per::Process && connection.is_spoilt() {
        return request;
    }
    match call.session() {
        Some(session) => request.questions_of(session),
        None => request.questions(),
    }
}

/// The request with what `_meta` of the call says, the times of a call, and the token of its caller.
pub(super) fn described(request: Request, call: &Call, connection: &Lent) -> Request {
    let mut request = request.timeout(CALL).total_timeout(CALL);
    if let Some(credential) = &connection.credential {
        request = request.credential(credential.clone());
    }
    if let Some(trace) = call.onward_trace() {
        request = request.meta("traceparent", RawJson::text(&trace.parent));
        if let Some(state) = &trace.state {
            request = request.meta("tracestate", RawJson::text(state));
        }
    }
    let metadata = call.metadata();
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.get().len()).sum();
    if bytes > METADATA {
        tracing::debug!(bytes, "the metadata of a call was left out: it is too large");
        return request;
    }
    metadata.into_iter().fold(request, |request, (key, value)| match RawJson::parse(value.get().to_owned()) {
        Ok(value) => request.meta(key, value),
        Err(_) => request,
    })
}
