//! Answers that come in several messages: server-sent events (MCP 2026-07-28 streamable-http, "Response stream").

use crate::engine::{Listening, Running, Step};
use crate::limits;
use attache_core::http::sse;
use bytes::{BufMut, Bytes, BytesMut};
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Where the messages come from.
pub(super) enum Source {
    /// A call: when the stream is dropped, so is the call.
    Running(Running),
    /// A call that goes on without its stream.
    Detached(mpsc::Receiver<Step>),
    /// A subscription.
    Listening(Listening),
}

impl Source {
    /// A call that goes on when nobody reads what it says.
    // MCP 2025-11-25 basic/transports: a disconnect is no cancellation.
    pub(super) fn detached(mut running: Running) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let step = running.step().await;
                let last = matches!(step, Step::Last(_));
                let _ = sender.send(step).await;
                if last {
                    break;
                }
            }
        });
        Self::Detached(receiver)
    }

    /// The next thing to be sent; `None` if the runtime has ended the call.
    pub(super) async fn step(&mut self) -> Option<Step> {
        match self {
            Self::Running(running) => Some(running.step().await),
            Self::Detached(steps) => steps.recv().await,
            Self::Listening(listening) => Some(listening.step().await),
        }
    }
}

/// The next frame, and where those behind it come from.
type Next = Pin<Box<dyn Future<Output = (Option<Source>, Bytes)> + Send>>;

/// The body of an answer in several messages.
pub(super) struct Stream {
    next: Option<Next>,
}

impl Stream {
    /// A stream of what `source` gives, behind the message that was `first`.
    pub(super) fn new(first: Option<Bytes>, source: Source) -> Self {
        let next: Next = match first {
            Some(message) => Box::pin(core::future::ready((Some(source), event(&message)))),
            None => Box::pin(frame(source)),
        };
        Self { next: Some(next) }
    }
}

async fn frame(mut source: Source) -> (Option<Source>, Bytes) {
    match timeout(limits::KEEP_ALIVE, source.step()).await {
        Err(_) => (Some(source), Bytes::from_static(sse::KEEP_ALIVE)),
        Ok(Some(Step::Told(message))) => (Some(source), event(&message)),
        Ok(Some(Step::Last(answer))) => (None, event(&answer.bytes)),
        Ok(None) => (None, Bytes::new()),
    }
}

fn event(message: &[u8]) -> Bytes {
    let mut event = BytesMut::with_capacity(sse::FRONT.len() + message.len() + sse::BACK.len());
    event.put(sse::FRONT);
    event.put(message);
    event.put(sse::BACK);
    event.freeze()
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.next else {
            return Poll::Ready(None);
        };
        let Poll::Ready((source, bytes)) = next.as_mut().poll(context) else {
            return Poll::Pending;
        };
        self.next = source.map(|source| Box::pin(frame(source)) as Next);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}
