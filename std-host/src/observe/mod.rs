//! What an operator sees of a server: one record for each message that was answered, handed to whoever observes.
//!
//! Names in a record are names that the server has declared, and words of the protocol. What a peer made up never gets into
//! one, so that they may become labels of a metric; arguments, results and header fields are in none. The caller is who its
//! checked credentials say, and belongs in a log, not in a label.

mod log;
#[cfg(feature = "metrics")]
mod metrics;
mod refusals;
#[cfg(feature = "traces")]
mod traces;
mod watch;
mod why;

use crate::call::{Metadata, TraceContext};
use attache_core::era::Version;
use attache_core::rpc::Code;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

pub use log::ExchangeLog;
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub(crate) use refusals::{Refusals, Refused};
#[cfg(feature = "traces")]
pub use traces::Traces;
pub(crate) use watch::Watch;
pub(crate) use why::{note as note_why, scope as scope_why};

/// Hears of each message that was answered. It is called on the task that answers, so it must neither wait nor panic.
pub trait Observe: Send + Sync + 'static {
    /// One message was answered, or will not be any more.
    fn exchange(&self, exchange: &Exchange<'_>);
}

/// One message and what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// The name of the server.
    pub server: &'a str,
    /// What it came over.
    pub transport: Transport,
    /// The address of the peer, where whoever accepted the connection has said it.
    pub peer: Option<IpAddr>,
    /// Who called: `key NAME`, or the issuer and the subject of the token with a space in between. `None` if the server does not tell
    /// its callers apart, or did not get as far.
    pub caller: Option<&'a str>,
    /// The revision of the protocol that it was served by; `None` where it did not get as far.
    pub revision: Option<Version>,
    /// Its method if the protocol has it, `unknown` if not, `none` where it could not be read.
    pub method: &'static str,
    /// The tool, prompt, resource or template that it was about, as the server has declared it.
    pub name: Option<&'a str>,
    /// How it ended.
    pub end: End,
    /// The HTTP status; `None` on a line.
    pub status: Option<u16>,
    /// The code of the error that was answered.
    pub code: Option<Code>,
    /// Why it was refused: one of a fixed set of names.
    pub reason: Option<&'static str>,
    /// From its first byte, or its head, to the last byte of its answer.
    pub took: Duration,
    /// Bytes of the message.
    pub received: usize,
    /// Bytes of the answer and of what was told before it, without framing.
    pub sent: usize,
    meta: Option<&'a Metadata>,
}

impl Exchange<'_> {
    /// The trace that the call belongs to, as its client says. It is read when it is asked for.
    pub fn trace(&self) -> Option<TraceContext> {
        self.meta?.trace()
    }
}

/// What a message came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP.
    Http,
    /// A stream of lines, such as standard input and output.
    Line,
}

impl Transport {
    /// One word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Line => "line",
        }
    }
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Answered with a result, or a notification that was taken.
    Done,
    /// A tool ran and says that it failed.
    Failed,
    /// The client was asked something; it will call again.
    Asked,
    /// A handler, or a failure of this server, answered with a protocol error.
    Rejected,
    /// Refused before anything ran.
    Refused,
    /// Nobody waits any more: the client has cancelled it or gone, or the server has stopped.
    Cancelled,
    /// The answer broke off in the middle.
    Broken,
}

impl End {
    /// One word.
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

/// Those who observe one server.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    pub(crate) server: String,
    pub(crate) list: Vec<Arc<dyn Observe>>,
    refusals: Arc<Refusals>,
}

impl Observers {
    /// Nobody yet, of the server of this name.
    pub(crate) fn of(server: &str) -> Self {
        Self { server: server.to_owned(), ..Self::default() }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").field("server", &self.server).field("list", &self.list.len()).finish()
    }
}
