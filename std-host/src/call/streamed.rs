//! Texts that are sent while they are produced, so that they are never held in memory as a whole.

use super::error::ToolError;
use core::fmt;
use core::future::poll_fn;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use futures_core::Stream;
use std::panic::catch_unwind;

/// A text of any length that is sent while it is produced: the result of a tool or the contents of
/// a resource.
///
/// Over HTTP, the text is sent piece by piece, as fast as the client reads. On a line, where each
/// message is one line, it is collected first, up to [`RESULT`](crate::limits::RESULT) bytes. If
/// the stream fails before the first piece was sent, the call fails like any other. If it fails
/// later, the connection is aborted, because a partial text must not look complete.
pub struct TextStream(Pin<Box<dyn Stream<Item = Result<String, ToolError>> + Send>>);

impl TextStream {
    /// Creates a text from its pieces, in order.
    pub fn new(pieces: impl Stream<Item = Result<String, ToolError>> + Send + 'static) -> Self {
        Self(Box::pin(pieces))
    }

    /// Returns the next piece, or `None` at the end. A panic in the stream counts as its failure.
    pub(crate) async fn next(&mut self) -> Option<Result<String, ToolError>> {
        poll_fn(|context| {
            let poll = catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll_next(context)));
            poll.unwrap_or_else(|_| Some(Err(ToolError::internal("the stream of a result panicked"))).into())
        })
        .await
    }
}

impl fmt::Debug for TextStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").finish_non_exhaustive()
    }
}
