//! A text that is sent while it is made, so that nobody ever holds it whole.

use super::error::ToolError;
use core::fmt;
use core::future::poll_fn;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use futures_core::Stream;
use std::panic::catch_unwind;

/// A text that is sent while it is made: the result of a tool, or the contents of a resource, of any length.
///
/// Over HTTP it goes out piece by piece, as fast as the client reads; on a line, where each message is one line, it is
/// collected up to [`RESULT`](crate::limits::RESULT). If the stream fails before the first piece has gone out, the call fails like
/// any other; behind that the connection is broken off, because half a text must not pass for a whole one.
pub struct Streamed(Pin<Box<dyn Stream<Item = Result<String, ToolError>> + Send>>);

impl Streamed {
    /// The pieces of a text, in their order.
    pub fn new(pieces: impl Stream<Item = Result<String, ToolError>> + Send + 'static) -> Self {
        Self(Box::pin(pieces))
    }

    /// The next piece; `None` at the end. A panic in the stream is a failure of it.
    pub(crate) async fn next(&mut self) -> Option<Result<String, ToolError>> {
        poll_fn(|context| {
            let poll = catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll_next(context)));
            poll.unwrap_or_else(|_| Some(Err(ToolError::internal("the stream of a result panicked"))).into())
        })
        .await
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").finish_non_exhaustive()
    }
}
