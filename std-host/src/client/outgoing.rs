//! An outgoing message, and the task that sends it.

use super::http::Credential;
use attache_core::era::Version;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
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
    pub(super) method: String,
    pub(super) name: Option<String>,
    pub(super) mirrored: Vec<(HeaderName, HeaderValue)>,
    /// The credential of the request, if it differs from that of the client.
    pub(super) credential: Option<Credential>,
}

/// A request that is being sent. Dropping it cancels the sending and, over HTTP, the stream of the
/// answer.
#[derive(Debug, Default)]
pub(super) struct Sending(Option<AbortHandle>);

impl Sending {
    pub(super) const fn task(handle: AbortHandle) -> Self {
        Self(Some(handle))
    }

    /// Lets the sending task end by itself, because the answer has arrived.
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
