//! The form of an answer: JSON or a stream of events, depending on what the client accepts and on
//! the call.

use super::answer::{Answered, pieces, response, stream};
use super::stream::{Source, Stream};
use crate::budget::Permit;
use crate::engine::{Answer, Step};
use crate::limits;
use attache_core::http::{Accept, HeadFacts, OK};
use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::time::{Instant, timeout_at};

/// The forms that the client of a request accepts, and the latest time at which the answer must
/// begin.
pub(super) struct Form {
    accept: Accept,
    begins_by: Instant,
    /// The request to which the buffers of a stream are charged.
    permit: Permit,
}

impl Form {
    /// The form of the answer to a request that has just arrived with this head.
    pub(super) fn of(facts: &HeadFacts<'_>, permit: &Permit) -> Self {
        Self { accept: facts.accept, begins_by: Instant::now() + limits::KEEP_ALIVE, permit: permit.another() }
    }

    /// A stream with all events of `source`.
    pub(super) fn stream(&self, source: Source) -> Response<Answered> {
        stream(Stream::events(None, source, &self.permit))
    }

    /// A stream that begins with a keep-alive comment, because its source has been silent for too
    /// long.
    pub(super) fn silent(&self, source: Source) -> Response<Answered> {
        stream(Stream::silent(source, &self.permit))
    }

    /// The time at which a stream begins even without an event. Its keep-alive comment tells the
    /// client that the call is still running. `None` if the client does not accept streams and has
    /// to wait for the answer.
    pub(super) fn begins_by(&self) -> Option<Instant> {
        self.accept.events().then_some(self.begins_by)
    }

    /// A complete answer. A successful answer has a form that the client accepts. A refusal is
    /// always JSON.
    // RFC 9110 §15.5.7: the server chooses the form of a refusal.
    pub(super) fn whole(&self, status: u16, bytes: Bytes) -> Response<Answered> {
        match status == OK && !self.accept.json() {
            true => stream(Stream::events(Some(bytes), Source::Ended, &self.permit)),
            false => response(status, bytes),
        }
    }

    /// Waits for the first step of `source`, which decides the form: the answer itself is sent
    /// whole, with its status. A message before the answer, or silence, begins a stream.
    pub(super) async fn answer(&self, mut source: Source) -> Response<Answered> {
        loop {
            let step = match self.begins_by() {
                None => Ok(source.step().await),
                Some(by) => timeout_at(by, source.step()).await,
            };
            return match step {
                Err(_) => self.silent(source),
                // A JSON answer cannot carry the message, so it is dropped.
                Ok(Some(Step::Told(_))) if !self.accept.events() => continue,
                Ok(Some(Step::Told(first))) => stream(Stream::events(Some(first), source, &self.permit)),
                Ok(Some(Step::Last(Answer { status, bytes, .. }))) => self.whole(status, bytes),
                Ok(Some(Step::Piece(first))) if self.accept.json() => {
                    pieces(Stream::pieces(first, source, &self.permit))
                }
                Ok(Some(Step::Piece(first))) => stream(Stream::event_in_pieces(first, source, &self.permit)),
                // Panics of handlers are caught, so only the end of the runtime removes a call, and
                // then no client reads this answer. Before its answer has begun, a call cannot be
                // broken, and a call without a session cannot be cancelled.
                Ok(None | Some(Step::Broken | Step::Gone)) => {
                    response(StatusCode::INTERNAL_SERVER_ERROR.as_u16(), Bytes::new())
                }
            };
        }
    }
}
