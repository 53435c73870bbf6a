//! Answers that are sent while they are written (streaming).

use super::answer::Answer;
use super::server::Moment;
use super::stop::Stop;
use crate::budget::Permit;
use crate::call::{StreamedText, TextStream, ToolError};
use crate::limits;
use crate::sink::Growing;
use attache_core::exchange::Ticket;
use attache_core::json::{Full, Sink};
use attache_core::tool::{Output, Streaming, ToolResult};
use bytes::Bytes;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Instant, timeout_at};

/// The next part of an answer.
pub(crate) enum Part {
    /// A piece, followed by others.
    Piece(Bytes),
    /// The last part; the whole answer if it was not split.
    Last(Answer),
    /// The end, although the answer is incomplete.
    Broken,
}

/// The way in which a streamed text is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In pieces.
    Pieces,
    /// In one message, which is buffered until it is complete. A line needs this, because aborting
    /// a message there would end all other messages of the connection.
    Whole,
}

impl Way {
    /// Creates a buffer for the data that is sent together.
    fn sink(self, permit: &Permit) -> Growing {
        Growing::charged(
            permit,
            match self {
                Self::Pieces => limits::PIECE,
                Self::Whole => limits::RESULT,
            },
        )
    }
}

/// An answer that is being written and sent. Dropping it ends it.
pub(crate) struct Piped {
    write: Pin<Box<dyn Future<Output = Part> + Send>>,
    /// The result of the writer.
    last: Option<Part>,
    /// The piece that the writer has finished. Writer and reader are polled by one task, so no
    /// wake-up is needed.
    slot: Slot,
}

type Slot = Arc<Mutex<Option<Bytes>>>;

/// A text, the deadline by which it must be complete, and the stop signal.
type Bounded = (StreamedText, Instant, Stop);

/// The deadline by which a text must be complete, and the stop signal.
type Until<'a> = (Instant, &'a mut Stop);

impl Piped {
    /// Starts the answer to the call of `ticket`, which was read from `body`. The content comes
    /// from `text`, until the deadline or the stop signal. Bytes that wait to be sent are charged
    /// to the request of `permit`.
    pub(crate) fn new(moment: Moment, ticket: Ticket, body: Bytes, text: Bounded, way: Way, permit: &Permit) -> Self {
        let slot = Slot::default();
        let sink = Pipe {
            sink: way.sink(permit),
            permit: permit.another(),
            gone: 0,
            spoilt: false,
            way,
            slot: Arc::clone(&slot),
        };
        Self { write: Box::pin(write(moment, ticket, body, text, sink)), last: None, slot }
    }

    /// Returns the next part. Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> Part {
        poll_fn(|context| {
            if self.last.is_none()
                && let Poll::Ready(last) = self.write.as_mut().poll(context)
            {
                self.last = Some(last);
            }
            // A finished piece is sent before the last part.
            let piece = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take().map(Part::Piece);
            piece.or_else(|| self.last.take()).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

async fn write(
    moment: Moment,
    mut ticket: Ticket,
    body: Bytes,
    (mut text, deadline, mut stop): Bounded,
    mut sink: Pipe,
) -> Part {
    let reply = match ticket.begin(&body, &mut sink) {
        Err(reply) => reply,
        Ok(mut out) => match fill(&mut text, (deadline, &mut stop), &mut out).await {
            Ok(written) => ticket.finish(&moment.server(), out, written),
            Err(error) => {
                let failed = text.failed(error);
                let is_begun = sink.gone > 0;
                return if is_begun {
                    Part::Broken
                } else {
                    Part::Last(moment.of_call(ticket, &body, &failed, &sink.permit))
                };
            }
        },
    };
    match (reply.error_reported(), sink.gone) {
        (None, _) => Part::Last(Answer::of(reply.status(), sink.sink.into_bytes())),
        (Some(_), 0) => Part::Last(moment.spoilt(&reply, &body, sink.sink.overdrawn(), &sink.permit)),
        (Some(_), _) => Part::Broken,
    }
}

/// Writes the result. The outer error is that of the stream, the inner one that of the output.
async fn fill(text: &mut StreamedText, until: Until<'_>, out: &mut Output<'_>) -> Result<ToolResult, ToolError> {
    let StreamedText { text, mime_type } = text;
    match mime_type {
        None => match out.stream() {
            Ok(to) => copy(text, until, to).await,
            Err(full) => Ok(Err(full)),
        },
        Some(mime_type) => match out.contents().stream(mime_type) {
            Ok(to) => copy(text, until, to).await,
            Err(full) => Ok(Err(full)),
        },
    }
}

async fn copy(
    text: &mut TextStream,
    (deadline, stop): Until<'_>,
    mut to: Streaming<'_>,
) -> Result<ToolResult, ToolError> {
    let late = || ToolError::user("The call took longer than this server allows, and was ended");
    // Slow readers are covered by their own timeout.
    loop {
        let piece = tokio::select! {
            biased;
            piece = timeout_at(deadline, text.next()) => piece.map_err(|_| late())?,
            () = stop.wait() => return Err(ToolError::user(super::stop::STOPPED)),
        };
        let Some(piece) = piece else { break };
        if let Err(Full) = to.push(&piece?).await {
            return Ok(Err(Full.into()));
        }
    }
    Ok(to.end().await)
}

/// A sink that passes its buffer on for sending whenever it is full.
struct Pipe {
    sink: Growing,
    permit: Permit,
    /// The number of bytes that were passed on.
    gone: usize,
    /// Whether bytes were to be removed that had already been passed on.
    spoilt: bool,
    way: Way,
    slot: Slot,
}

impl Sink for Pipe {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.spoilt { Err(Full) } else { self.sink.put(bytes) }
    }

    fn len(&self) -> usize {
        self.gone + self.sink.len()
    }

    fn truncate(&mut self, len: usize) {
        match len.checked_sub(self.gone) {
            Some(len) => self.sink.truncate(len),
            None => self.spoilt = true,
        }
    }

    fn poll_room(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Full>> {
        if self.sink.len() == 0 || self.spoilt || self.way == Way::Whole {
            return Poll::Ready(Err(Full));
        }
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_some() {
            return Poll::Pending;
        }
        self.gone += self.sink.len();
        *slot = Some(core::mem::replace(&mut self.sink, self.way.sink(&self.permit)).into_bytes());
        Poll::Ready(Ok(()))
    }
}
