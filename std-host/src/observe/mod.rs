//! Observability: one record for each answered message, which observers receive.
//!
//! A record contains only names that the server has declared, and words of the protocol. Text that
//! a peer has made up is never in a record, so the names may be labels of a metric. Arguments,
//! results and header fields are not in records. The caller's name comes from verified credentials,
//! and belongs in a log but not in a label.

mod audit;
mod log;
#[cfg(feature = "metrics")]
mod metrics;
mod refusals;
#[cfg(feature = "traces")]
mod traces;
mod watch;

pub use crate::call::SpanIds;
use crate::call::{Metadata, TraceContext};
use attache_core::era::Version;
use attache_core::rpc::Code;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

pub use audit::AuditLog;
pub use log::ExchangeLog;
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
use refusals::Refusals;
#[cfg(feature = "traces")]
pub use traces::{Traces, chosen_ids};
pub(crate) use watch::Watch;

/// An observer of answered messages. It is called on the task that answers, so it must neither
/// block nor panic.
pub trait Observe: Send + Sync + 'static {
    /// Called when a message was answered, or when it will not be answered any more.
    fn exchange(&self, exchange: &Exchange<'_>);

    /// Whether this observer needs the arguments of calls ([`Exchange::arguments`]). They are copied
    /// only if an observer needs them.
    fn needs_arguments(&self) -> bool {
        false
    }

    /// Whether this observer needs the messages themselves ([`Exchange::request`] and
    /// [`Exchange::answer`]). Their bytes are kept only if an observer needs them.
    fn needs_messages(&self) -> bool {
        false
    }

    /// Whether this observer exports spans with the ids of [`Exchange::span`].
    fn needs_spans(&self) -> bool {
        false
    }
}

/// One message and its outcome.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// The name of the server.
    pub server: &'a str,
    /// The transport of the message.
    pub transport: Transport,
    /// The address of the peer, if the code that accepted the connection has recorded it.
    pub peer: Option<IpAddr>,
    /// The caller: `key NAME`, or the issuer and the subject of the token, separated by a space.
    /// `None` if the server does not distinguish callers, or if the message was refused before.
    pub caller: Option<&'a str>,
    /// The application that calls, by the name in its token (`azp`, `appid`, `client_id` or `cid`).
    pub application: Option<&'a str>,
    /// The arguments of a call as JSON, printable and truncated, if an observer needs them. Text of
    /// the caller.
    pub arguments: Option<&'a str>,
    /// The protocol revision of the request. `None` if the message was refused before the revision
    /// was known.
    pub revision: Option<Version>,
    /// The method if the protocol has it, `unknown` if not, `none` if it could not be read.
    pub method: &'static str,
    /// The tool, prompt, resource or template, by its declared name.
    pub name: Option<&'a str>,
    /// The backend that has published it, by the name that
    /// [`Publisher::set_name`](crate::backend::Publisher::set_name) has given to it.
    pub backend: Option<&'a str>,
    /// The outcome.
    pub end: End,
    /// The HTTP status. `None` on a line.
    pub status: Option<u16>,
    /// The code of the error in the answer.
    pub code: Option<Code>,
    /// The reason for a refusal, from a fixed set of names.
    pub reason: Option<&'static str>,
    /// The time from the first byte of the message, or from its head, to the last byte of its
    /// answer.
    pub took: Duration,
    /// Bytes of the message.
    pub received: usize,
    /// Bytes of the answer and of the messages before it, without framing.
    pub sent: usize,
    /// The message, if an observer needs it. Text of the caller.
    pub request: Option<&'a [u8]>,
    /// The beginning of the answer and of the messages before it, one after the other, if an observer needs
    /// them: at most [`ANSWER_KEPT`](crate::limits::ANSWER_KEPT) bytes.
    pub answer: Option<&'a [u8]>,
    /// The ids of the span of a call that a backend has run, if an observer exports spans. The spans of
    /// the backend's server have this span as their parent.
    pub span: Option<SpanIds>,
    meta: Option<&'a Metadata>,
}

impl Exchange<'_> {
    /// The trace context that the client has sent. It is parsed when this is called.
    pub fn trace(&self) -> Option<TraceContext> {
        self.meta?.trace()
    }
}

/// The transport of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP.
    Http,
    /// A stream of lines, such as standard input and output.
    Line,
}

impl Transport {
    /// The name as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Line => "line",
        }
    }
}

/// The outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// A result was sent, or a notification was accepted.
    Done,
    /// A tool ran and reported a failure.
    Failed,
    /// The result is a question to the client, which will call again with the answer.
    Asked,
    /// A handler, or a failure of this server, caused a protocol error.
    Rejected,
    /// The message was refused before a handler ran.
    Refused,
    /// The client has cancelled the message or disconnected, or the server has stopped.
    Cancelled,
    /// The answer was broken off in the middle.
    Broken,
}

impl End {
    /// The name as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Asked => "asked",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Broken => "broken",
        }
    }
}

/// The observers of one server.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    pub(crate) server: String,
    pub(crate) list: Vec<Arc<dyn Observe>>,
    refusals: Arc<Refusals>,
}

impl Observers {
    /// An empty list of observers, for the server of this name.
    pub(crate) fn of(server: &str) -> Self {
        Self { server: server.to_owned(), ..Self::default() }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").field("server", &self.server).field("list", &self.list.len()).finish()
    }
}
