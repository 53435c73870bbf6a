//! The body of an answer, handed out piece by piece as its reader takes them.

use super::metrics::Metrics;
use super::timers::Open;
use axum::body::Body;
use bytes::Bytes;
use core::pin::Pin;
use core::task::{Context, Poll};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use std::sync::Arc;
use tokio::time::Instant;

/// The body of an answer. Its request counts as open until this is dropped.
#[derive(Debug)]
pub(super) struct TimedBody {
    body: Body,
    /// The rest of a frame that is sent in pieces.
    rest: Bytes,
    open: Open,
    /// The number of this answer on an HTTP/2 connection.
    number: Option<u64>,
    #[expect(dead_code, reason = "written when it is dropped")]
    exchange: Exchange,
}

/// Most bytes of an answer that HTTP/2 gets at once: one frame of the usual size (RFC 9113 §6.5.2).
const PIECE: usize = 16 * 1024;

/// The metrics of one exchange, recorded when this is dropped.
#[derive(Debug)]
pub(super) struct Exchange {
    status: StatusCode,
    begun: Instant,
    metrics: Arc<Metrics>,
}

impl Exchange {
    pub(super) const fn new(status: StatusCode, begun: Instant, metrics: Arc<Metrics>) -> Self {
        Self { status, begun, metrics }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.metrics.answered(self.status, self.begun.elapsed());
    }
}

impl TimedBody {
    /// The body of an answer to an open request. `number` is that of its answer on an HTTP/2 connection.
    pub(super) const fn new(body: Body, open: Open, number: Option<u64>, exchange: Exchange) -> Self {
        Self { body, rest: Bytes::new(), open, number, exchange }
    }
}

impl http_body::Body for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(number) = this.number else {
            return Pin::new(&mut this.body).poll_frame(context);
        };
        if this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => {
                    this.open.timers().owe(number, other.is_ready());
                    return other;
                }
            }
        }
        this.open.timers().owe(number, true);
        // Sends pieces, because each piece that the peer takes shows progress of the answer.
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, mut hint) = (self.rest.len() as u64, self.body.size_hint());
        if rest > 0 {
            let upper = hint.upper();
            hint.set_lower(hint.lower() + rest);
            if let Some(upper) = upper {
                hint.set_upper(upper + rest);
            }
        }
        hint
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.open.timers().owe(number, false);
        }
    }
}
