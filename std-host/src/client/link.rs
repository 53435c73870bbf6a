//! The way to a server: a pipe or HTTP, behind the same three operations.

use super::error::Error;
use super::http::Http;
use super::pipe::Pipe;
use attache_core::era::Version;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use tokio::task::AbortHandle;

/// A message on its way out, with what the HTTP head says of it.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) id: u64,
    pub(super) body: Bytes,
    pub(super) head: Head,
}

/// What the head of a POST says of its body.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) version: Version,
    pub(super) method: String,
    pub(super) name: Option<String>,
    pub(super) mirrored: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
pub(super) enum Link {
    Pipe(Pipe),
    Http(Arc<Http>),
}

/// A request that is being sent. Dropping it gives up the sending and, over HTTP, the stream of the answer.
#[derive(Debug, Default)]
pub(super) struct Sending(Option<AbortHandle>);

impl Sending {
    pub(super) const fn task(handle: AbortHandle) -> Self {
        Self(Some(handle))
    }

    /// Lets the sending end by itself: the answer is here.
    pub(super) fn finish(&mut self) {
        self.0 = None;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Link {
    /// Sends a request. Its answer, or the failure to send it, arrives in its mailbox.
    pub(super) fn start(&self, outgoing: Outgoing) -> Sending {
        match self {
            Self::Pipe(pipe) => pipe.start(outgoing),
            Self::Http(http) => http.start(outgoing),
        }
    }

    /// Sends a notification or a response.
    pub(super) async fn notify(&self, body: Bytes) -> Result<(), Error> {
        match self {
            Self::Pipe(pipe) => pipe.notify(body).await,
            Self::Http(http) => http.notify(body).await,
        }
    }

    /// Sends a notification without waiting for it.
    pub(super) fn notify_later(&self, body: Bytes) {
        match self {
            Self::Pipe(pipe) => pipe.notify_later(body),
            Self::Http(http) => {
                let http = Arc::clone(http);
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move { http.notify(body).await });
                }
            }
        }
    }

    pub(super) const fn is_http(&self) -> bool {
        matches!(self, Self::Http(_))
    }
}
