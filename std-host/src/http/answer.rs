//! Turns the answers of the engine into HTTP responses.

use super::stream::{Broken, Stream};
use crate::budget::Overdrawn;
use crate::engine::{Answer, Server};
use crate::observe::Watch;
use attache_core::era::Version as Revision;
use attache_core::exchange::Standalone;
use attache_core::http::{OK, Refusal, fields, sse};
use attache_core::rpc::Error;
use bytes::Bytes;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use std::sync::Arc;

/// A complete answer, or a stream of events.
pub(super) type Answered = Either<Full<Bytes>, Stream>;

/// The body of an answer.
pub struct AnswerBody(pub(super) Answered);

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        // Only a stream can fail, and only in one way. `Either` boxes the error.
        Pin::new(&mut self.0).poll_frame(context).map_err(|_| Broken)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").finish_non_exhaustive()
    }
}

/// Closes the connection after the answer to a request that was not read to its end. The rest of
/// the request must not be read as another message.
pub(super) fn closing(mut response: Response<Answered>, version: Version) -> Response<Answered> {
    // RFC 9113 §8.2.2: in HTTP/2, a stream ends without its connection.
    if version < Version::HTTP_2 {
        response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The answer of a hidden endpoint, equal to that of a path that is not served. There, too, the
/// request is not read to its end.
pub(super) fn not_found(version: Version) -> Response<Answered> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let mut response = closing(response, version);
    // Routers differ in whether they add the field to an answer to HEAD.
    response.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// Answers a person who opens the endpoint in a browser with a sentence instead of a JSON-RPC error.
/// An answer that says nothing stays as it is.
pub(super) fn for_people(head: &Parts, response: Response<Answered>) -> Response<Answered> {
    // Browsers ask for HTML when a person opens a URL. MCP clients never do.
    let accept = head.headers.get(http::header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if head.method != Method::GET || !accept.contains("text/html") || response.body().is_end_stream() {
        return response;
    }
    let mut response = response.map(|_| Either::Left(Full::from(SENTENCE)));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

const SENTENCE: &str = "This is an endpoint of the Model Context Protocol (MCP), for programs and not for browsers.\n\
                        To use it, enter the URL of this page into an MCP client.\n";

pub(super) fn refuse_at_door(server: &Arc<Server>, refusal: Refusal, mut watch: Watch) -> Response<Answered> {
    watch.refused(refusal.name());
    let mut response = refuse(server, Standalone::refused(refusal), watch);
    if refusal == Refusal::Method {
        // RFC 9110 §15.5.6: sessions have streams (GET) and can be ended (DELETE).
        response.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
    }
    response
}

/// The answer to a caller that has exceeded its rate limit, with the time to wait.
pub(super) fn too_often(server: &Arc<Server>, wait: Duration, watch: Watch) -> Response<Answered> {
    let mut response = refuse_at_door(server, Refusal::Rate, watch);
    // RFC 9110 §10.2.3: in whole seconds.
    response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    response
}

/// Refuses a request after only its head was read.
pub(super) fn refuse(server: &Arc<Server>, refusal: Standalone, mut watch: Watch) -> Response<Answered> {
    let Answer { status, bytes, .. } = server.now().refused(refusal, &mut watch);
    response(status, bytes)
}

/// The answer to a request for which the memory budget has no room.
pub(super) fn short_of_memory(server: &Arc<Server>, short: Overdrawn, watch: Watch) -> Response<Answered> {
    refuse(server, Standalone::error(Error::Busy(short.reason()), Revision::NEWEST_LEGACY), watch)
}

/// An answer in JSON, or one without a body.
pub(super) fn response(status: u16, body: Bytes) -> Response<Answered> {
    let is_empty = body.is_empty();
    let mut response = Response::new(Either::Left(Full::new(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    head(&mut response, fields(status));
    if is_empty {
        // RFC 9110 §8.3: the field describes the content, and this answer has none.
        response.headers_mut().remove(http::header::CONTENT_TYPE);
    }
    response
}

/// An answer that is a stream of events.
pub(super) fn stream(stream: Stream) -> Response<Answered> {
    let mut response = Response::new(Either::Right(stream));
    head(&mut response, sse::FIELDS);
    response
}

/// An answer in JSON that is sent in pieces.
pub(super) fn pieces(stream: Stream) -> Response<Answered> {
    let mut response = Response::new(Either::Right(stream));
    head(&mut response, fields(OK));
    response
}

fn head(response: &mut Response<Answered>, fields: &[(&'static str, &'static str)]) {
    for (name, value) in fields {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
}
