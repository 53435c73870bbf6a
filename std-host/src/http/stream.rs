//! Answers that come in several messages: server-sent events (MCP 2026-07-28 streamable-http, "Response stream").

use crate::budget::Permit;
use crate::engine::{Answer, Listening, Running, Step};
use crate::limits;
use crate::session::{Hearing, Logged, Reader};
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

/// Where the messages come from.
pub(super) enum Source {
    /// A call: when the stream is dropped, so is the call.
    Running(Running),
    /// A call that goes on without its stream.
    Detached(mpsc::Receiver<Step>),
    /// A subscription.
    Listening(Listening),
    /// A call of a legacy session, whose messages are kept.
    Logged {
        reader: Reader,
        /// The message that came first, and its number.
        due: Option<(u64, Bytes)>,
        /// The stream begins with an event that has an id and nothing else.
        primed: bool,
        /// When the client is to be sent away, to come back for the rest.
        leave: Option<Instant>,
    },
    /// What belongs to none of the calls of a legacy session.
    Hearing(Hearing),
    /// Nothing.
    Ended,
}

impl Source {
    /// A call that goes on when nobody reads what it says.
    // MCP 2025-11-25 basic/transports: a disconnect is no cancellation.
    pub(super) fn detached(mut running: Running) -> Self {
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

    /// The answers to a batch, which goes on when its client does not wait for them.
    pub(super) fn batch(answers: impl Future<Output = Answer> + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let _ = sender.send(Step::Last(answers.await)).await;
        });
        Self::Detached(receiver)
    }

    /// The next thing to be sent; `None` if the runtime has ended the call.
    pub(super) async fn step(&mut self) -> Option<Step> {
        match self {
            Self::Running(running) => Some(running.step().await),
            Self::Detached(steps) => steps.recv().await,
            Self::Listening(listening) => Some(listening.step().await),
            Self::Hearing(hearing) => hearing.next().await.map(Step::Told),
            Self::Logged { .. } | Self::Ended => None,
        }
    }

    /// The next event; `None` if there is no other.
    async fn event(&mut self) -> Option<(Event, Rest)> {
        let Self::Logged { reader, due, primed, leave } = self else {
            return None;
        };
        if core::mem::replace(primed, false) {
            return Some((Event(reader.id(0), None, sse::PRIMING), Rest::Follows));
        }
        let (number, message, rest) = match due.take() {
            Some((number, message)) => (number, message, Rest::Follows),
            None => match next_until(reader, *leave).await {
                Some(Logged::Message(number, message)) => (number, message, Rest::Follows),
                Some(Logged::Last(number, message, _)) => (number, message, Rest::None),
                Some(Logged::Gone) => return None,
                None => return Some((Event(reader.id(reader.behind()), None, sse::POLL), Rest::None)),
            },
        };
        Some((Event(reader.id(number), Some(message), sse::BACK), rest))
    }
}

/// An event with an id: that, the message if it has one, and what stands behind both.
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

/// What `reader` meets next; `None` if there is nothing at that time.
pub(super) async fn next_until(reader: &mut Reader, leave: Option<Instant>) -> Option<Logged> {
    match leave {
        None => Some(reader.next().await),
        Some(leave) => timeout_at(leave, reader.next()).await.ok(),
    }
}

/// What comes behind an event.
enum Rest {
    Follows,
    None,
}

/// What stands between the messages of an answer, and where in them it is.
#[derive(Clone, Copy)]
pub(super) enum Framing {
    /// Nothing: the answer is one message, of which pieces come.
    Plain,
    /// Events, and the next one has not begun.
    Between,
    /// Events, and a piece of the next one has gone out.
    Inside,
}

/// The body of an answer in several messages, or in several pieces.
pub(super) struct Stream {
    next: Option<Next>,
    /// What it is about to send is charged to the request.
    permit: Arc<Permit>,
}

/// The next frame, and where those behind it come from.
type Next = Pin<Box<dyn Future<Output = (Option<(Source, Framing)>, Result<Bytes, Broken>)> + Send>>;

/// The answer cannot be made whole, so its connection has to end.
#[derive(Clone, Copy, Debug)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the result failed after a part of it was sent")
    }
}

impl core::error::Error for Broken {}

impl Stream {
    /// A stream of events: what `source` gives, behind the message that was `first`.
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

    /// A stream of events whose source has said nothing for so long that a comment has to show that it is alive.
    pub(super) fn silent(source: Source, permit: &Permit) -> Self {
        Self::beginning(Bytes::from_static(sse::KEEP_ALIVE), source, Framing::Between, permit)
    }

    /// A stream whose last event has begun with a piece of its message.
    pub(super) fn event_in_pieces(first: Bytes, source: Source, permit: &Permit) -> Self {
        let permit = Arc::new(permit.another());
        let charge = Arc::clone(&permit);
        let next =
            Box::pin(
                async move { (Some((source, Framing::Inside)), Ok(joined(&[sse::FRONT, &first], &charge).await)) },
            );
        Self { next: Some(next), permit }
    }

    /// One message, behind the piece of it that was `first`.
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
    if let Source::Logged { .. } = source {
        return match timeout(limits::KEEP_ALIVE, source.event()).await {
            Err(_) => (Some((source, Between)), Ok(Bytes::from_static(sse::KEEP_ALIVE))),
            Ok(Some((event, Rest::Follows))) => (Some((source, Between)), Ok(event.framed(&permit).await)),
            Ok(Some((event, Rest::None))) => (None, Ok(event.framed(&permit).await)),
            Ok(None) => (None, Ok(Bytes::new())),
        };
    }
    let step = match framing {
        // Only between events a comment can be sent.
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

/// These parts in one buffer. It waits until the budget has room for that: what other streams hold is freed when it is read, or when
/// those that do not read are cut.
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
