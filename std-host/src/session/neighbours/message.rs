//! The requests that processes of one server send each other, and their answers.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

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

/// The parts that come through a channel.
pub(super) struct Received(pub(super) mpsc::Receiver<Part>);

impl Stream for Received {
    type Item = Part;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Part>> {
        self.0.poll_recv(context)
    }
}
