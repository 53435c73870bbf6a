//! A message on its way to the server, and the sending of it.

use attache_core::era::Version;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
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
