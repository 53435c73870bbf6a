//! The way a message arrived: its transport, and whether it was alone or in a batch.

use crate::era::{Session, Version};
use crate::http::{Field, HeadFacts};
use crate::rpc::Error;

/// The transport by which a message arrived, and what the transport tells about its revision.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Carrier<'h> {
    /// The body of an HTTP POST with this head.
    Http(&'h HeadFacts<'h>),
    /// A line of a connection, with the revision of its handshake, if there was one.
    Line(Option<Version>),
    /// The body of an HTTP POST with this head, in this session.
    Session(&'h HeadFacts<'h>, Session),
    /// The body of an HTTP POST with this head, which names a session that does not exist. Only
    /// `initialize` is served, because it opens a new session; anything else is
    /// [`Error::UnknownSession`].
    // MCP 2025-11-25 basic/transports, "Session Management": after a 404 the client MUST start a
    // new session with a new `InitializeRequest`. Some clients leave the old id in the head of that
    // request.
    UnknownSession(&'h HeadFacts<'h>),
}

impl Carrier<'_> {
    /// Returns the error for a message that is not a request; `error` is the fault of the message.
    pub(super) const fn refuse(&self, error: Error) -> Error {
        match self {
            Self::UnknownSession(_) => Error::UnknownSession,
            _ => error,
        }
    }

    /// Whether a body may be a batch.
    pub(super) fn has_batches(&self) -> bool {
        match self {
            _ if !cfg!(feature = "batches") => false,
            Self::Line(agreed) => agreed.is_some_and(Version::has_batches),
            Self::Session(_, session) => session.version.has_batches(),
            // MCP 2025-06-18 basic/transports: a request without the header belongs to 2025-03-26.
            Self::Http(facts) => match facts.protocol_version {
                Field::Absent => true,
                Field::Once(date) => Version::parse(date).is_some_and(Version::has_batches),
                Field::Repeated => false,
            },
            Self::UnknownSession(_) => false,
        }
    }
}

/// Whether a message arrived alone or in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Batching {
    /// The message is the whole body or the whole line.
    Alone,
    /// The message is an element of an array.
    Batched,
}
