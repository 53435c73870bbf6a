//! The form of an answer: JSON or a stream of events, as the client takes it and as the call needs it.

use super::answer::{Answered, pieces, response, stream};
use super::stream::{Source, Stream};
use crate::budget::Permit;
use crate::engine::{Answer, Step};
use crate::limits;
use attache_core::http::{Accept, Facts, OK};
use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::time::{Instant, timeout_at};

/// What the client of a request takes, and when its answer begins at the latest.
pub(super) struct Form {
    accept: Accept,
    begins_by: Instant,
    /// The buffers of a stream are charged to the request.
    permit: Permit,
}

impl Form {
    /// The form of the answer to the request with this head, which has just come in.
    pub(super) fn of(facts: &Facts<'_>, permit: &Permit) -> Self {
        Self { accept: facts.accept, begins_by: Instant::now() + limits::KEEP_ALIVE, permit: permit.another() }
    }

    /// A stream of events, all of which `source` gives.
    pub(super) fn stream(&self, source: Source) -> Response<Answered> {
        stream(Stream::events(None, source, &self.permit))
    }

    /// A stream of events whose source has sent nothing for so long that a comment has to show that it is alive.
    pub(super) fn silent(&self, source: Source) -> Response<Answered> {
        stream(Stream::silent(source, &self.permit))
    }

    /// When a stream begins even if nothing was said yet: its client hears by a comment that the call still runs. `None` for a
    /// client that takes no stream, and so has to wait for the answer.
    pub(super) fn begins_by(&self) -> Option<Instant> {
        self.accept.events().then_some(self.begins_by)
    }

    /// A whole answer. A successful one has a form that the client takes; a refusal is JSON in any case.
    // RFC 9110 §15.5.7: what stands in a refusal is for the server to choose.
    pub(super) fn whole(&self, status: u16, bytes: Bytes) -> Response<Answered> {
        match status == OK && !self.accept.json() {
            true => stream(Stream::events(Some(bytes), Source::Ended, &self.permit)),
            false => response(status, bytes),
        }
    }

    /// The answer that `source` gives. What comes first decides: the answer itself is sent whole, with its status; a message
    /// before it, or silence, begins a stream.
    pub(super) async fn answer(&self, mut source: Source) -> Response<Answered> {
        loop {
            let step = match self.begins_by() {
                None => Ok(source.step().await),
                Some(by) => timeout_at(by, source.step()).await,
            };
            return match step {
                Err(_) => self.silent(source),
                // JSON has no place for it.
                Ok(Some(Step::Told(_))) if !self.accept.events() => continue,
                Ok(Some(Step::Told(first))) => stream(Stream::events(Some(first), source, &self.permit)),
                Ok(Some(Step::Last(Answer { status, bytes, .. }))) => self.whole(status, bytes),
                Ok(Some(Step::Piece(first))) if self.accept.json() => {
                    pieces(Stream::pieces(first, source, &self.permit))
                }
                Ok(Some(Step::Piece(first))) => stream(Stream::event_in_pieces(first, source, &self.permit)),
                // Handlers are guarded, so only the end of the runtime takes a call away, and then no client reads this either.
                // A call whose answer has not begun does not break, and one without a session is not cancelled.
                Ok(None | Some(Step::Broken | Step::Gone)) => {
                    response(StatusCode::INTERNAL_SERVER_ERROR.as_u16(), Bytes::new())
                }
            };
        }
    }
}
