//! The body of the stream: its first event, the events of the session, and comments that keep it open.

use super::session::Opened;
use crate::limits::KEEP_ALIVE;
use attache_core::http::sse;
use bytes::Bytes;
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep};

pub(super) struct Events {
    first: Option<Bytes>,
    opened: Opened,
    /// Whether a piece of an event was sent, so that a comment cannot be sent now.
    is_inside: bool,
    silence: Pin<Box<Sleep>>,
}

impl Events {
    pub(super) fn new(first: Bytes, opened: Opened) -> Self {
        Self { first: Some(first), opened, is_inside: false, silence: Box::pin(sleep(KEEP_ALIVE)) }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let next = match this.first.take() {
            Some(first) => Some(first),
            None => match this.opened.events.poll_recv(context) {
                Poll::Ready(next) => next,
                Poll::Pending if this.is_inside || this.silence.as_mut().poll(context).is_pending() => {
                    return Poll::Pending;
                }
                Poll::Pending => Some(Bytes::from_static(sse::KEEP_ALIVE)),
            },
        };
        this.is_inside = next.as_ref().is_some_and(|piece| !piece.ends_with(sse::BACK));
        this.silence.as_mut().reset(Instant::now() + KEEP_ALIVE);
        Poll::Ready(next.map(Frame::data).map(Ok))
    }
}
