//! Answers in several messages: server-sent events (MCP 2026-07-28 streamable-http, "Response
//! stream").

use crate::budget::Permit;
use crate::engine::{Answer, Listening, Running, Step};
use crate::limits;
use crate::session::{Reader, Replayed, SessionStream};
use attache_core::http::sse;
use bytes::Bytes;
use core::fmt;
use core::future::ready;
use core::pin::Pin;
use core::task::{Context, Poll};
use http_body::{Body, Frame};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The source of a stream's messages.
pub(super) enum Source {
    /// A call. Dropping the stream drops the call.
    Running(Box<Running>),
    /// A call that continues without its stream.
    Detached(mpsc::Receiver<Step>),
    /// A subscription.
    Listening(Box<Listening>),
    /// A call of a legacy session. Its messages are kept for replay.
    Replayed {
        reader: Reader,
        /// The message that arrived first, and its number.
        due: Option<(u64, Bytes)>,
        /// Whether the stream begins with an event that has only an id.
        primed: bool,
        /// The time at which the client is asked to reconnect for the rest.
        leave: Option<Instant>,
    },
    /// The messages of a legacy session that belong to no call.
    SessionStream(SessionStream),
    /// No messages.
    Ended,
}

impl Source {
    /// A call that continues if its client disconnects.
    // MCP 2025-11-25 basic/transports: a disconnect is not a cancellation.
    pub(super) fn detached(mut running: Box<Running>) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let step = running.step().await;
                let last = matches!(step, Step::Last(_) | Step::Broken | Step::Gone);
                let _ = sender.send(step).await;
                if last {
                    break;
                }
            }
        });
        Self::Detached(receiver)
    }

    /// The answers to a batch, which continues if its client disconnects.
    pub(super) fn batch(answers: impl Future<Output = Answer> + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let _ = sender.send(Step::Last(answers.await)).await;
        });
        Self::Detached(receiver)
    }

    /// Waits for the next message or answer. `None` if the runtime has ended the call.
    pub(super) async fn step(&mut self) -> Option<Step> {
        match self {
            Self::Running(running) => Some(running.step().await),
            Self::Detached(steps) => steps.recv().await,
            Self::Listening(listening) => Some(listening.step().await),
            Self::SessionStream(hearing) => hearing.next().await.map(Step::Told),
            Self::Replayed { .. } | Self::Ended => None,
        }
    }

    /// Waits for the next event of a logged call. `None` if there are no more events.
    async fn event(&mut self) -> Option<(Event, Rest)> {
        let Self::Replayed { reader, due, primed, leave } = self else {
            return None;
        };
        if core::mem::replace(primed, false) {
            return Some((Event(reader.id(0), None, sse::PRIMING), Rest::Follows));
        }
        let (number, message, rest) = match due.take() {
            Some((number, message)) => (number, message, Rest::Follows),
            None => match next_until(reader, *leave).await {
                Some(Replayed::Message(number, message)) => (number, message, Rest::Follows),
                Some(Replayed::Last(number, message, _)) => (number, message, Rest::None),
                Some(Replayed::Gone) => return None,
                None => return Some((Event(reader.id(reader.behind()), None, sse::POLL), Rest::None)),
            },
        };
        Some((Event(reader.id(number), Some(message), sse::BACK), rest))
    }
}

/// An event with an id: the id, the message if there is one, and the bytes after both.
struct Event(String, Option<Bytes>, &'static [u8]);

impl Event {
    async fn framed(self, permit: &Permit) -> Bytes {
        let Self(id, message, end) = self;
        match message {
            None => joined(&[sse::ID, id.as_bytes(), end], permit).await,
            Some(message) => joined(&[sse::ID, id.as_bytes(), b"\n", sse::FRONT, &message, end], permit).await,
        }
    }
}

/// Waits for the next entry of `reader` until the time `leave`. `None` if that time has come.
pub(super) async fn next_until(reader: &mut Reader, leave: Option<Instant>) -> Option<Replayed> {
    match leave {
        None => Some(reader.next().await),
        Some(leave) => timeout_at(leave, reader.next()).await.ok(),
    }
}

/// Whether more events follow.
enum Rest {
    Follows,
    None,
}

/// The framing between the messages of an answer, and the position in it.
#[derive(Clone, Copy)]
pub(super) enum Framing {
    /// No framing: the answer is one message, sent in pieces.
    Plain,
    /// Events. The next event has not begun.
    Between,
    /// Events. A piece of the next event has been sent.
    Inside,
}

/// The body of an answer in several messages, or in several pieces.
pub(super) struct Stream {
    next: Option<Next>,
    /// The request to which the next frame is charged.
    permit: Arc<Permit>,
}

/// The next frame, and the source of the following frames.
type Next = Pin<Box<dyn Future<Output = (Option<(Source, Framing)>, Result<Bytes, Broken>)> + Send>>;

/// The answer cannot be completed, so its connection must be closed.
#[derive(Clone, Copy, Debug)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the result failed after a part of it was sent")
    }
}

impl core::error::Error for Broken {}

impl Stream {
    /// A stream of events: first the message `first`, then the messages of `source`.
    pub(super) fn events(first: Option<Bytes>, source: Source, permit: &Permit) -> Self {
        let permit = Arc::new(permit.another());
        let charge = Arc::clone(&permit);
        let next: Next = match first {
            Some(message) => {
                Box::pin(async move { (Some((source, Framing::Between)), Ok(event(&message, &charge).await)) })
            }
            None => Box::pin(frame(source, Framing::Between, charge)),
        };
        Self { next: Some(next), permit }
    }

    /// A stream that begins with a keep-alive comment, because its source has been silent for too
    /// long.
    pub(super) fn silent(source: Source, permit: &Permit) -> Self {
        Self::beginning(Bytes::from_static(sse::KEEP_ALIVE), source, Framing::Between, permit)
    }

    /// A stream with one event, whose message begins with the piece `first`.
    pub(super) fn event_in_pieces(first: Bytes, source: Source, permit: &Permit) -> Self {
        let permit = Arc::new(permit.another());
        let charge = Arc::clone(&permit);
        let next =
            Box::pin(
                async move { (Some((source, Framing::Inside)), Ok(joined(&[sse::FRONT, &first], &charge).await)) },
            );
        Self { next: Some(next), permit }
    }

    /// One message, which begins with the piece `first`.
    pub(super) fn pieces(first: Bytes, source: Source, permit: &Permit) -> Self {
        Self::beginning(first, source, Framing::Plain, permit)
    }

    fn beginning(first: Bytes, source: Source, framing: Framing, permit: &Permit) -> Self {
        let next: Next = Box::pin(ready((Some((source, framing)), Ok(first))));
        Self { next: Some(next), permit: Arc::new(permit.another()) }
    }
}

async fn frame(
    mut source: Source,
    framing: Framing,
    permit: Arc<Permit>,
) -> (Option<(Source, Framing)>, Result<Bytes, Broken>) {
    use Framing::{Between, Inside, Plain};
    if let Source::Replayed { .. } = source {
        return match timeout(limits::KEEP_ALIVE, source.event()).await {
            Err(_) => (Some((source, Between)), Ok(Bytes::from_static(sse::KEEP_ALIVE))),
            Ok(Some((event, Rest::Follows))) => (Some((source, Between)), Ok(event.framed(&permit).await)),
            Ok(Some((event, Rest::None))) => (None, Ok(event.framed(&permit).await)),
            Ok(None) => (None, Ok(Bytes::new())),
        };
    }
    let step = match framing {
        // A comment can be sent only between events.
        Between => timeout(limits::KEEP_ALIVE, source.step()).await,
        Plain | Inside => Ok(source.step().await),
    };
    match (step, framing) {
        (Err(_), _) => (Some((source, Between)), Ok(Bytes::from_static(sse::KEEP_ALIVE))),
        (Ok(Some(Step::Told(message))), _) => (Some((source, Between)), Ok(event(&message, &permit).await)),
        (Ok(Some(Step::Piece(piece))), Between) => {
            (Some((source, Inside)), Ok(joined(&[sse::FRONT, &piece], &permit).await))
        }
        (Ok(Some(Step::Piece(piece))), _) => (Some((source, framing)), Ok(piece)),
        // A batch of notifications has no answer.
        (Ok(Some(Step::Last(answer))), Between) if answer.bytes.is_empty() => (None, Ok(Bytes::new())),
        (Ok(Some(Step::Last(answer))), Plain) => (None, Ok(answer.bytes)),
        (Ok(Some(Step::Last(answer))), Between) => (None, Ok(event(&answer.bytes, &permit).await)),
        (Ok(Some(Step::Last(answer))), Inside) => (None, Ok(joined(&[&answer.bytes, sse::BACK], &permit).await)),
        (Ok(Some(Step::Broken)), _) => (None, Err(Broken)),
        (Ok(None | Some(Step::Gone)), _) => (None, Ok(Bytes::new())),
    }
}

async fn event(message: &[u8], permit: &Permit) -> Bytes {
    joined(&[sse::FRONT, message, sse::BACK], permit).await
}

/// Concatenates these parts into one buffer. Waits until the budget has room for it: the memory of
/// other streams is freed when their clients read, or when slow readers are disconnected.
async fn joined(parts: &[&[u8]], permit: &Permit) -> Bytes {
    let bytes = parts.iter().map(|part| part.len()).sum();
    let mut room = permit.another();
    while room.more(bytes).is_err() {
        sleep(limits::ROOM_AGAIN).await;
    }
    room.into_bytes(parts.concat())
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(next) = &mut self.next else {
            return Poll::Ready(None);
        };
        let Poll::Ready((rest, frame)) = next.as_mut().poll(context) else {
            return Poll::Pending;
        };
        let permit = &self.permit;
        self.next = rest.map(|(source, framing)| Box::pin(self::frame(source, framing, Arc::clone(permit))) as Next);
        Poll::Ready(Some(frame.map(Frame::data)))
    }
}
