//! The transport to a server: a pipe or HTTP, with the same three operations.

use super::error::Error;
use super::http::Http;
use super::outgoing::{Drive, Outgoing, Sending};
use super::pipe::Pipe;
use bytes::Bytes;
use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

#[derive(Debug)]
pub(super) enum Link {
    Pipe(Pipe),
    Http(Arc<Http>),
}

impl Link {
    /// Sends a request. Its answer, or the failure to send it, arrives in its mailbox.
    pub(super) fn start(&self, outgoing: Outgoing, drive: Drive) -> Sending {
        match self {
            Self::Pipe(pipe) => pipe.start(outgoing),
            Self::Http(http) => http.start(outgoing, drive),
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

    /// Whether a request waits for another token.
    pub(super) fn is_waiting_for_token(&self) -> bool {
        match self {
            Self::Pipe(_) => false,
            Self::Http(http) => http.is_waiting_for_token(),
        }
    }

    /// Waits for the answer to a request within a time, which begins again while a request waits for another token.
    pub(super) async fn within<T>(&self, time: Duration, answered: impl Future<Output = T>) -> Result<T, Elapsed> {
        let mut answered = pin!(answered);
        loop {
            match timeout(time, answered.as_mut()).await {
                Err(_) if self.is_waiting_for_token() => {}
                answered => return answered,
            }
        }
    }

    pub(super) const fn is_http(&self) -> bool {
        matches!(self, Self::Http(_))
    }
}
