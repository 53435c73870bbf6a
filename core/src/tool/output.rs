//! The result of a tool, written in place into the buffer that the caller of the engine lends.

use super::ArgumentError;
use crate::json::{Full, Sink, Text, escape};
use core::fmt;

/// What a handler ends with: `Ok` once the result stands in the [`Output`].
pub type ToolResult = Result<(), ToolError>;

/// Why a tool has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolError {
    /// The result does not fit into the buffer. The peer gets a protocol error, never a part of the result.
    Full,
    /// The tool failed, and this is what the model may know of it: a result with `isError`.
    Failed(&'static str),
}

impl From<Full> for ToolError {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the result does not fit into the buffer",
            Self::Failed(reason) => reason,
        })
    }
}

impl core::error::Error for ToolError {}

/// Where a handler writes its result: the blocks of `content`, one after the other.
///
/// A result may have no block at all; `content` is then an empty array.
pub struct Output<'o> {
    sink: &'o mut (dyn Sink + Send),
    /// Where the content begins: what is written behind it can be taken back.
    mark: usize,
    failed: bool,
}

impl<'o> Output<'o> {
    /// An output whose content begins at the end of `sink`.
    pub(crate) fn new(sink: &'o mut (dyn Sink + Send)) -> Self {
        let mark = sink.len();
        Self { sink, mark, failed: false }
    }

    /// Adds a block of text.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn text(&mut self, text: &str) -> ToolResult {
        self.text_with(|block| block.push(text))
    }

    /// Adds a block of text that is written bit by bit, with [`TextBlock::push`] or `write!`.
    ///
    /// # Errors
    /// What `write` says; or [`ToolError::Full`] if a bit did not fit, whether `write` minds or not. The block is then
    /// taken back whole, and a shorter one may be tried.
    pub fn text_with(&mut self, write: impl FnOnce(&mut TextBlock<'_>) -> Result<(), Full>) -> ToolResult {
        let before = self.sink.len();
        let written = self.block(write);
        if written.is_err() {
            self.sink.truncate(before);
        }
        Ok(written?)
    }

    fn block(&mut self, write: impl FnOnce(&mut TextBlock<'_>) -> Result<(), Full>) -> Result<(), Full> {
        if self.sink.len() > self.mark {
            self.sink.put(b",")?;
        }
        self.sink.put(br#"{"type":"text","text":""#)?;
        let mut block = TextBlock { sink: self.sink, cut: false };
        write(&mut block)?;
        if block.cut {
            return Err(Full);
        }
        self.sink.put(br#""}"#)
    }

    /// Makes the result a failure that keeps the blocks it has and may get.
    pub const fn mark_failed(&mut self) {
        self.failed = true;
    }

    /// Makes the result a failure whose only block is `reason`; what was written is taken back.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn fail(&mut self, reason: &str) -> ToolResult {
        self.fail_with(|block| block.push(reason))
    }

    /// Makes the result a failure that tells the model which argument to mend.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn refuse(&mut self, error: ArgumentError<'_>) -> ToolResult {
        self.fail_with(|block| error.sentence().into_iter().try_for_each(|piece| block.put(piece)))
    }

    fn fail_with(&mut self, write: impl FnOnce(&mut TextBlock<'_>) -> Result<(), Full>) -> ToolResult {
        self.sink.truncate(self.mark);
        self.mark_failed();
        self.text_with(write)
    }

    /// Ends the content: gives the sink back, and whether the tool failed, or that its result did not fit.
    pub(crate) fn end(mut self, result: ToolResult) -> (&'o mut (dyn Sink + Send), Result<bool, Full>) {
        let written = match result {
            Err(ToolError::Failed(reason)) => self.fail(reason),
            other => other,
        };
        (self.sink, written.map(|()| self.failed).map_err(|_| Full))
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("mark", &self.mark).field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// A block of text while it is written.
pub struct TextBlock<'o> {
    sink: &'o mut (dyn Sink + Send),
    /// Something did not fit, so what stands here is not the whole text.
    cut: bool,
}

impl TextBlock<'_> {
    /// Appends `text`.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn push(&mut self, text: &str) -> Result<(), Full> {
        let pushed = escape(text, self.sink);
        self.cut |= pushed.is_err();
        pushed
    }

    /// Appends a text that came in a message, exactly as it was written there.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn echo(&mut self, text: Text<'_>) -> Result<(), Full> {
        self.put(text.raw())
    }

    fn put(&mut self, escaped: &[u8]) -> Result<(), Full> {
        let put = self.sink.put(escaped);
        self.cut |= put.is_err();
        put
    }
}

impl fmt::Write for TextBlock<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text).map_err(|Full| fmt::Error)
    }
}

impl fmt::Debug for TextBlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextBlock").finish_non_exhaustive()
    }
}
