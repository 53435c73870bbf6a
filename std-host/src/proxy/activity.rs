//! The time of the last activity of an exchange, and bodies that note theirs.

use super::BoxError;
use axum::body::Body;
use bytes::Bytes;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use core::task::{Context, Poll};
use core::time::Duration;
use http_body::{Frame, SizeHint};
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// The activity of one exchange, or of one upgraded connection.
#[derive(Debug)]
pub(super) struct Activity {
    begun: Instant,
    /// Milliseconds from `begun` to the last activity.
    last: AtomicU64,
    limit: Duration,
    /// Whether the body of the request was read to its end.
    is_read: AtomicBool,
}

impl Activity {
    pub(super) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), last: AtomicU64::new(0), limit, is_read: AtomicBool::new(false) })
    }

    pub(super) fn note(&self) {
        let passed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(passed, Relaxed);
    }

    pub(super) fn is_read(&self) -> bool {
        self.is_read.load(Relaxed)
    }

    /// When the exchange ends, unless there is further activity.
    pub(super) fn end(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Relaxed)) + self.limit
    }

    /// Waits until there was no activity for the time of the limit.
    pub(super) async fn is_idle(&self) {
        while self.end() > Instant::now() {
            sleep_until(self.end()).await;
        }
    }
}

/// The body of a request on its way to the application. Its trailers are left out: RFC 9110 §6.5.1 allows that, and they could set
/// fields that nothing has checked.
#[derive(Debug)]
pub(super) struct RequestBody {
    body: Body,
    activity: Arc<Activity>,
}

impl RequestBody {
    pub(super) fn new(body: Body, activity: Arc<Activity>) -> Self {
        let is_read = http_body::Body::is_end_stream(&body);
        activity.is_read.store(is_read, Relaxed);
        Self { body, activity }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            let frame = core::task::ready!(Pin::new(&mut this.body).poll_frame(context));
            this.activity.note();
            let is_last = frame.is_none() || http_body::Body::is_end_stream(&this.body);
            if is_last {
                this.activity.is_read.store(true, Relaxed);
            }
            match frame {
                Some(Ok(frame)) if frame.is_trailers() => {}
                frame => return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(&self.body)
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}
