//! The result of opening a body: the next step of the driver, and a summary for its log.

use super::Batch;
use super::listen::Listen;
use super::reply::{Reply, Standalone};
use super::ticket::Ticket;
use crate::era::Version;
use crate::json::{Item, Span};
use crate::mcp::MessageLabel;
use crate::tool::Level;

/// A body that was opened: the next step of the driver, and a summary of the message for logs and
/// metrics.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Opened {
    /// The next step of the driver.
    pub next: Next,
    /// The method of the message.
    pub method: MessageLabel,
    /// The revision by which the request is served; `None` if the message is not a request, or is
    /// refused before its revision is known.
    pub version: Option<Version>,
}

impl Opened {
    /// Makes a result without a revision.
    pub(super) const fn new(next: Next, method: MessageLabel) -> Self {
        Self { next, method, version: None }
    }
}

/// The result for a body that was not read, such as one that is too large.
impl From<Standalone> for Opened {
    fn from(reply: Standalone) -> Self {
        Self::new(Next::Reply(reply.into()), MessageLabel::Unreadable)
    }
}

/// The next step for a body that was opened.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Next {
    /// Run the call that the ticket names, then pass its result to [`Ticket::finish`].
    Call(Ticket),
    /// Send this reply.
    Reply(Reply),
    /// Open a subscription: keep a stream open and send the changes that it selects.
    Listen(Listen),
    /// Stop the call or the subscription with this request id, on this connection or in this
    /// session, and do not respond to it; if there is none, do nothing. Over HTTP without a
    /// session, a cancellation is an [`Ack`](Next::Ack).
    Cancel(Span),
    /// Pass this response to the call of this session or connection that asked the question with
    /// this number ([`Inflight::ask`](super::Inflight::ask)). A driver that never asks questions
    /// treats it as an [`Ack`](Next::Ack).
    Answer(u64, Result<Item, Item>),
    /// Store this for the session or connection, then send the reply.
    Remember(SessionChange, Reply),
    /// Serve the messages of the batch, one after the other.
    Batch(Batch),
    /// Do nothing; over HTTP respond with status 202 and an empty body.
    Ack,
}

/// Session state that a legacy client asks the server to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SessionChange {
    /// The least severe level of log messages that the client wants.
    Level(Level),
    /// Subscribe to changes of the resource with this URI, a string in the body.
    Subscribe(Item),
    /// Unsubscribe from changes of the resource with this URI.
    Unsubscribe(Item),
}
