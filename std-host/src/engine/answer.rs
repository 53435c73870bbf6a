//! Answers and other messages to a peer, step by step.

use attache_core::rpc::Code;
use bytes::Bytes;

/// A complete answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: Bytes,
    /// The error that was sent in place of the intended answer.
    pub(crate) spoilt: Option<Code>,
}

impl Answer {
    /// Creates an answer with the intended content.
    pub(crate) const fn of(status: u16, bytes: Bytes) -> Self {
        Self { status, bytes, spoilt: None }
    }
}

/// The next data to send.
pub(crate) enum Step {
    /// A message, followed by others.
    Told(Bytes),
    /// A piece of the last message, followed by others.
    Piece(Bytes),
    /// The last message, or the rest of it.
    Last(Answer),
    /// The end, although the last message is incomplete.
    Broken,
    /// The end, because the client has cancelled the call.
    Gone,
}
