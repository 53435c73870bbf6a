//! An outgoing message, and the task that sends it.

use super::credential::Credential;
use attache_core::era::Version;
use bytes::Bytes;
use core::fmt;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use http::{HeaderName, HeaderValue};
use std::borrow::Cow;
use tokio::task::AbortHandle;

/// An outgoing request, with the values for its HTTP head.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) id: u64,
    pub(super) body: Bytes,
    pub(super) head: Head,
}

/// The values of a request that a POST repeats in its head.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) version: Version,
    pub(super) method: Cow<'static, str>,
    pub(super) name: Option<String>,
    pub(super) mirrored: Vec<(HeaderName, HeaderValue)>,
    /// The credential of the request, if it differs from that of the client.
    pub(super) credential: Option<Credential>,
}

/// The party that polls the future which sends a request and reads its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drive {
    /// A task of its own, so that the request makes progress while its caller does something else.
    Task,
    /// The caller, which waits for the answer all the time. This saves a task, and wakes none.
    Caller,
}

/// A request that is being sent. Dropping it cancels the sending and, over HTTP, the stream of the
/// answer.
#[derive(Default)]
pub(super) enum Sending {
    /// Nothing is left to do.
    #[default]
    Ended,
    Task(Task),
    Caller(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Sending {
    pub(super) fn of(drive: Drive, exchange: impl Future<Output = ()> + Send + 'static) -> Self {
        match drive {
            Drive::Task => Self::Task(Task(Some(tokio::spawn(exchange).abort_handle()))),
            Drive::Caller => Self::Caller(Box::pin(exchange)),
        }
    }

    /// Waits for `arrival`, which comes of this request. Nothing is lost if the future is dropped.
    pub(super) async fn until<T>(&mut self, arrival: impl Future<Output = T>) -> T {
        let mut arrival = pin!(arrival);
        poll_fn(|context| {
            if let Self::Caller(exchange) = self
                && exchange.as_mut().poll(context).is_ready()
            {
                *self = Self::Ended;
            }
            arrival.as_mut().poll(context)
        })
        .await
    }

    /// Lets the sending end by itself, because the answer has arrived. What is left of a stream is
    /// read, so that its connection can be used again.
    pub(super) fn finish(&mut self) {
        match core::mem::take(self) {
            Self::Ended => {}
            Self::Task(mut task) => task.0 = None,
            Self::Caller(exchange) => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(exchange);
                }
            }
        }
    }
}

/// A task that is aborted when this value is dropped.
pub(super) struct Task(Option<AbortHandle>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "Ended",
            Self::Task(_) => "Task",
            Self::Caller(_) => "Caller",
        })
    }
}
