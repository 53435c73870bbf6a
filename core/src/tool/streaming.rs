//! A text that may be longer than its buffer.

use super::block::TextBlock;
use super::error::ToolResult;
use crate::json::{Full, Sink, escape_bytes};
use crate::limits;
use core::fmt;
use core::future::poll_fn;

/// A writer of a streamed text (see [`Output::stream`](super::Output::stream)). Whenever the buffer
/// is full, the writer waits until the driver has sent it. A buffer that grows is never full, so
/// the same handler works with both.
///
/// The handler must end it: a text without an end is an error, never a shorter text.
pub struct Streaming<'w> {
    sink: &'w mut (dyn Sink + Send),
    content: &'w mut Content,
}

impl<'w> Streaming<'w> {
    pub(super) fn new(sink: &'w mut (dyn Sink + Send), content: &'w mut Content) -> Self {
        Self { sink, content }
    }

    /// Appends `text`, of any length.
    ///
    /// # Errors
    /// [`Full`] if no driver sends the buffer, or if the buffer is smaller than a few characters.
    pub async fn push(&mut self, text: &str) -> Result<(), Full> {
        for run in text.as_bytes().chunks(RUN) {
            self.put(|sink| escape_bytes(run, sink)).await?;
        }
        Ok(())
    }

    /// Appends the text of `write` as a whole; it must fit into an empty buffer. If it does not fit
    /// into the rest of the buffer, `write` is called again.
    ///
    /// # Errors
    /// [`Full`] as for [`push`](Streaming::push), or if the text does not fit into an empty buffer.
    pub async fn piece(&mut self, write: impl Fn(&mut TextBlock<'_>) -> Result<(), Full>) -> Result<(), Full> {
        self.put(|sink| {
            let mut cut = false;
            write(&mut TextBlock { sink, cut: &mut cut })?;
            if cut { Err(Full) } else { Ok(()) }
        })
        .await
    }

    /// Ends the text.
    ///
    /// # Errors
    /// [`ToolError::Full`](super::ToolError::Full) as for [`push`](Streaming::push).
    pub async fn end(mut self) -> ToolResult {
        self.put(|sink| sink.put(br#""}"#)).await?;
        // The text behind the content is written without waiting. A buffer that is smaller than it
        // is at least empty now.
        let _ = self.put(reserve).await;
        *self.content = Content::Open;
        Ok(())
    }

    async fn put(&mut self, write: impl Fn(&mut (dyn Sink + Send)) -> Result<(), Full>) -> Result<(), Full> {
        loop {
            let before = self.sink.len();
            if write(self.sink).is_ok() {
                return Ok(());
            }
            self.sink.truncate(before);
            poll_fn(|context| self.sink.poll_room(context)).await?;
        }
    }
}

fn reserve(sink: &mut (dyn Sink + Send)) -> Result<(), Full> {
    let before = sink.len();
    sink.put(&[0; limits::TAIL])?;
    sink.truncate(before);
    Ok(())
}

/// Number of bytes that are escaped together. A run that does not fit as a whole waits until the
/// buffer is empty.
const RUN: usize = 16;

/// The state of the content: it decides which writes are allowed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Content {
    /// Another item.
    Open,
    /// Nothing, because other text follows the content already.
    Closed,
    /// More of the text that is streamed.
    Streaming,
    /// Nothing, because the sink holds an incomplete answer.
    Spoilt,
}

impl fmt::Debug for Streaming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").finish_non_exhaustive()
    }
}
