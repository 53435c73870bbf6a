//! The requests that processes of one server send each other, and their answers.

use crate::limits::NEIGHBOUR_BYTES;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The parts of an answer, in order. Dropping the stream ends what it is read from: a call that was resumed is cancelled.
pub type Parts = Pin<Box<dyn Stream<Item = Part> + Send>>;

/// Why no process has served a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missed {
    /// The process does not have the call or the stream any more.
    Unknown,
    /// The process cannot be reached.
    Unreached,
    /// The process is short of memory.
    Busy,
}

/// A request for one process of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    pub(super) home: [u8; 4],
    pub(super) what: What,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum What {
    /// Cancel the call of this session whose request has this id, in JSON.
    Cancel { session: [u8; 16], id: String },
    /// Give this answer to a question of a call of this session.
    Answer { session: [u8; 16], question: u64, outcome: Result<Value, Value> },
    /// Send what follows the event with this id.
    Events { session: [u8; 16], after: String },
    /// Continue the parked call with these answers; its progress goes out under this token, in JSON.
    Resume { call: u64, answers: Map<String, Value>, token: Option<String> },
}

impl Request {
    /// The process that the request is for, as `Local::home` returns it there.
    pub const fn home(&self) -> [u8; 4] {
        self.home
    }
}

/// One part of the answer to a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part(pub(super) Content);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Content {
    /// An event of a stream: its number and its message; with the status if it is the answer.
    Replayed { number: u64, message: String, last: Option<u16> },
    /// A notification of a call that was resumed.
    Event(String),
    /// The result of that call.
    Result { members: String, meta: String, is_error: bool },
    /// The failure of that call, in words for the model.
    Failed(String),
    /// The protocol error of that call.
    Error { code: String, message: String, data: Option<String> },
    /// The next questions of that call, and the sealed state that leads back to it.
    Asks { questions: Map<String, Value>, state: Option<String> },
}

/// The next part of an answer; `None` when there are no more.
pub(super) async fn next(parts: &mut Parts) -> Option<Part> {
    poll_fn(|context| parts.as_mut().poll_next(context)).await
}

/// Creates a channel for the parts of an answer. Its sender waits while [`NEIGHBOUR_BYTES`] wait to
/// be read.
pub(super) fn channel() -> (Sender, Received) {
    let (parts, received) = mpsc::channel(PARTS);
    (Sender { parts, room: Arc::new(Semaphore::new(NEIGHBOUR_BYTES)) }, Received(received))
}

/// Parts that wait, however small they are.
const PARTS: usize = 64;

/// Sends the parts of an answer.
#[derive(Clone)]
pub(super) struct Sender {
    parts: mpsc::Sender<(Part, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
}

impl Sender {
    /// Sends a part, when there is room for it. A part that is larger than the room waits until no other part waits to be read.
    ///
    /// # Errors
    /// If the reader of the parts is gone.
    pub(super) async fn send(&self, content: Content) -> Result<(), Closed> {
        let bytes = content.len().clamp(1, NEIGHBOUR_BYTES);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| Closed)?;
        self.parts.send((Part(content), room)).await.map_err(|_| Closed)
    }

    /// Waits until the reader of the parts is gone.
    pub(super) async fn closed(&self) {
        self.parts.closed().await;
    }
}

/// Nobody reads the parts any more.
pub(super) struct Closed;

/// The parts that come through a channel.
pub(super) struct Received(mpsc::Receiver<(Part, OwnedSemaphorePermit)>);

impl Stream for Received {
    type Item = Part;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Part>> {
        self.0.poll_recv(context).map(|received| received.map(|(part, _room)| part))
    }
}

impl Content {
    /// The bytes of its texts.
    fn len(&self) -> usize {
        match self {
            Self::Replayed { message, .. } | Self::Event(message) | Self::Failed(message) => message.len(),
            Self::Result { members, meta, .. } => members.len() + meta.len(),
            Self::Error { code, message, data } => code.len() + message.len() + data.as_ref().map_or(0, String::len),
            Self::Asks { questions, state } => size(questions) + state.as_ref().map_or(0, String::len),
        }
    }
}

fn size(questions: &Map<String, Value>) -> usize {
    questions.iter().map(|(key, question)| key.len() + question.to_string().len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use tokio::time::timeout;

    fn event(bytes: usize) -> Content {
        Content::Event("x".repeat(bytes))
    }

    #[tokio::test(start_paused = true)]
    async fn parts_wait_for_their_reader_by_their_bytes_and_a_larger_one_passes_alone() {
        let (sender, received) = channel();
        let mut parts: Parts = Box::pin(received);
        let waits = async |content| timeout(Duration::from_secs(1), sender.send(content)).await.is_err();
        assert!(!waits(event(NEIGHBOUR_BYTES / 2)).await);
        assert!(!waits(event(NEIGHBOUR_BYTES / 2)).await);
        assert!(waits(event(1)).await);
        assert!(next(&mut parts).await.is_some());
        assert!(!waits(event(1)).await);
        assert!(waits(event(4 * NEIGHBOUR_BYTES)).await);
        for _ in 0..2 {
            assert!(next(&mut parts).await.is_some());
        }
        assert!(!waits(event(4 * NEIGHBOUR_BYTES)).await);
        assert!(waits(event(1)).await);
    }
}
