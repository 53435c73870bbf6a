//! What is sent to a peer, step by step.

use attache_core::rpc::Code;
use bytes::Bytes;

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: Bytes,
    /// The error that stands in it instead of what was to be answered.
    pub(crate) spoilt: Option<Code>,
}

impl Answer {
    /// An answer that says what it was to say.
    pub(crate) const fn of(status: u16, bytes: Bytes) -> Self {
        Self { status, bytes, spoilt: None }
    }
}

/// The next thing to be sent.
pub(crate) enum Step {
    /// A message, and others will follow.
    Told(Bytes),
    /// A piece of the last message, and others will follow.
    Piece(Bytes),
    /// The last one, or what is left of it.
    Last(Answer),
    /// There is no more, though the last message is not whole.
    Broken,
    /// There is no more: the client has cancelled the call.
    Gone,
}
