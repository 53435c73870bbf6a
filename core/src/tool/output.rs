//! The result of a call, written in place into a buffer that the user of the engine provides:
//! blocks of content for a tool, messages for a prompt, contents for a resource, values for a
//! completion.

use super::ArgumentError;
use super::block::{Block, TextBlock};
use super::caller::{Caller, Runner};
use super::error::{ToolError, ToolResult};
use super::streaming::{Content, Streaming};
use super::structured::{Object, Outcome};
use crate::era::Version;
use crate::json::{Full, Sink, escape};
use crate::limits;
use crate::rpc::Code;
use core::fmt;

/// The writer for a handler's result.
///
/// A tool writes its result here directly: blocks of `content`, one after the other. It may write
/// none at all; `content` is then an empty array. [`messages`](Output::messages),
/// [`contents`](Output::contents) and [`values`](Output::values) return the writers for the results
/// of other calls.
pub struct Output<'o> {
    pub(super) sink: &'o mut (dyn Sink + Send),
    /// The driver that sends the handler's messages apart from the result, if there is one.
    pub(super) runner: Option<&'o dyn Runner>,
    version: Version,
    /// The beginning of the answer, and its id.
    begun: usize,
    id: &'o [u8],
    /// The URI of the resource, as the client wrote it; empty for other calls.
    uri: &'o [u8],
    /// The beginning of the content: text behind it can be removed.
    mark: usize,
    items: usize,
    failed: bool,
    content: Content,
    /// Set if the sink holds something other than a result.
    instead: Option<Instead>,
}

/// The kinds of answers that replace a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Instead {
    /// A whole error.
    Error(Code),
    /// Questions to the client.
    Questions,
    /// The members of the result of another server.
    Result,
}

/// The end of a finished output.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct End {
    /// The tool failed.
    pub(crate) failed: bool,
    /// The content array is closed already.
    pub(crate) closed: bool,
    /// The handler wrote more values than a completion may have.
    pub(crate) more: bool,
    /// The kind of answer that replaces a result.
    pub(crate) instead: Option<Instead>,
}

impl<'o> Output<'o> {
    /// An output after the front of an answer, which began at `begun` with `id`; its content begins
    /// at the end of `sink`.
    pub(crate) fn new(
        sink: &'o mut (dyn Sink + Send),
        version: Version,
        begun: usize,
        id: &'o [u8],
        uri: &'o [u8],
    ) -> Self {
        let mark = sink.len();
        Self {
            sink,
            runner: None,
            version,
            begun,
            id,
            uri,
            mark,
            items: 0,
            failed: false,
            content: Content::Open,
            instead: None,
        }
    }

    /// Returns the same output, for a handler that `runner` runs.
    #[cfg(feature = "embassy")]
    pub(crate) fn run_by(self, runner: &'o dyn Runner) -> Self {
        Self { runner: Some(runner), ..self }
    }

    /// Returns the channel to the caller, for messages that are sent before the result.
    pub const fn caller(&mut self) -> Caller<'_> {
        Caller { sink: &mut *self.sink, runner: self.runner }
    }

    /// Makes the driver run the handler to its end even if the caller disconnects or cancels: for
    /// work that must not be left half done. Without it the driver of a device drops the handler at
    /// its next await. The deadline for calls still applies.
    pub fn must_finish(&mut self) {
        if let Some(runner) = self.runner {
            runner.must_finish();
        }
    }

    /// Adds a block of text.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn text(&mut self, text: &str) -> ToolResult {
        self.text_with(|block| block.push(text))
    }

    /// Adds a block of text that is written in pieces, with [`TextBlock::push`] or `write!`.
    ///
    /// # Errors
    /// The error of `write`; or [`ToolError::Full`] if a piece did not fit, even if `write` ignores
    /// that. The whole block is then removed, and the handler may try a shorter one.
    pub fn text_with(&mut self, write: impl FnOnce(&mut TextBlock<'_>) -> Result<(), Full>) -> ToolResult {
        self.block(|block| block.text_with(write))
    }

    /// Adds a block of any kind.
    ///
    /// # Errors
    /// As [`text_with`](Output::text_with).
    pub fn block(&mut self, write: impl FnOnce(Block<'_>) -> Result<(), Full>) -> ToolResult {
        self.item(b"", b"", write)
    }

    /// Adds a block of text that may be longer than the buffer: a device sends it in pieces while
    /// the handler runs. Once a piece was sent the result cannot be removed. If the call fails
    /// after that, the answer ends with a broken line or connection, and with an error if there is
    /// room for one. To report a failure in the streamed text, use
    /// [`mark_failed`](Output::mark_failed).
    ///
    /// # Errors
    /// [`ToolError::Full`] if not even the beginning of the block fits.
    pub fn stream(&mut self) -> Result<Streaming<'_>, ToolError> {
        self.item(b"", b"", |block| block.sink.put(br#"{"type":"text","text":""#))?;
        Ok(self.streaming())
    }

    fn streaming(&mut self) -> Streaming<'_> {
        self.content = Content::Streaming;
        Streaming::new(self.sink, &mut self.content)
    }

    /// Ends the content with a structured result: `json` in a block of text, for clients that read
    /// only text, and as `structuredContent` (MCP server/tools, "Structured Content"). Revisions
    /// before 2025-06-18 do not know `structuredContent`, and those before 2026-07-28 allow only
    /// objects. No block may follow.
    ///
    /// `json` must be JSON on one line: it is sent as it is.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn structured(&mut self, json: &str) -> ToolResult {
        self.structured_with(json.starts_with('{'), &|out| out.put(json.as_bytes()))
    }

    /// Ends the content with a structured result that is an object, as
    /// [`structured`](Output::structured) does. It is written in place: `write` is called twice,
    /// once for the text and once for `structuredContent`, and must write the same both times. So
    /// measure first, then write.
    ///
    /// ```
    /// # use attache_core::tool::{Output, ToolResult};
    /// fn flow(out: &mut Output<'_>, litres: i32) -> ToolResult {
    ///     out.object(|object| object.field("rate", litres)?.field("unit", "l/min"))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn object(&mut self, write: impl Fn(Object<'_>) -> Result<Object<'_>, Full>) -> ToolResult {
        self.structured_with(true, &|out| Object::write(out, &write))
    }

    /// Ends the content with the result of a tool that declares its type: see [`results!`](crate::results).
    ///
    /// # Errors
    /// The error of the tool; [`ToolError::Full`] if its result does not fit.
    pub fn outcome<O: Outcome>(&mut self, ended: Result<O, ToolError>) -> ToolResult {
        let outcome = ended?;
        self.object(|object| outcome.members(object))
    }

    fn structured_with(&mut self, is_object: bool, write: &dyn Fn(&mut dyn Sink) -> Result<(), Full>) -> ToolResult {
        self.text_with(|block| block.quoted(write))?;
        if self.version.is_modern() || is_object && self.version >= Version::V2025_06_18 {
            let before = self.sink.len();
            let written = self.sink.put(br#"],"structuredContent":"#).and_then(|()| write(self.sink));
            if written.is_err() {
                self.sink.truncate(before);
            }
            written?;
            self.content = Content::Closed;
        }
        Ok(())
    }

    /// Adds a block of text: `write!(out, "{} rpm", speed)?`. Formatting takes flash: 1.5 K for
    /// integers and texts, 10 K for floating-point numbers; [`TextBlock::number`] and
    /// [`TextBlock::fixed`] take next to none.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> ToolResult {
        self.text_with(|block| block.write_fmt(text))
    }

    /// Makes the result a failure. It keeps its blocks, and more may follow.
    pub const fn mark_failed(&mut self) {
        self.failed = true;
    }

    /// Makes the result a failure with `reason` as its only block. Blocks that were written before
    /// are removed.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn fail(&mut self, reason: &str) -> ToolResult {
        self.fail_with(|block| block.push(reason))
    }

    /// Makes the result a failure that tells the model which argument to correct.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn refuse(&mut self, error: ArgumentError<'_>) -> ToolResult {
        self.fail_with(|block| error.sentence(&mut |piece| block.put(piece)))
    }

    /// Makes the result a failure with one block: the text that `write` writes, such as
    /// `out.fail_with(|text| write!(text, "pump {} is dry", number))`. Blocks that were written
    /// before are removed.
    ///
    /// # Errors
    /// The error of `write`; [`ToolError::Full`] if it does not fit.
    pub fn fail_with(&mut self, write: impl FnOnce(&mut TextBlock<'_>) -> Result<(), Full>) -> ToolResult {
        if self.instead.is_some() {
            return Err(ToolError::Failed(FOLLOWS));
        }
        self.sink.truncate(self.mark);
        self.items = 0;
        self.content = Content::Open;
        self.mark_failed();
        self.text_with(write)
    }

    /// Answers with a protocol error instead of a result. Use it for a prompt, a resource or a
    /// completion with invalid parameters, and for a client without a capability that the call
    /// needs. The content written before is removed, and nothing may follow. For invalid arguments
    /// of a tool, use [`fail`](Output::fail), so that the model sees the error. `data` is JSON on
    /// one line.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn reject(&mut self, code: Code, message: &str, data: Option<&str>) -> ToolResult {
        self.error(code, code.digits(), message, data)
    }

    /// Answers with the error of another server: `code` is an integer as that server wrote it.
    /// Otherwise like [`reject`](Output::reject).
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn forward_error(&mut self, code: &str, message: &str, data: Option<&str>) -> ToolResult {
        self.error(Code::forwarded(code), code, message, data)
    }

    fn error(&mut self, code: Code, digits: &str, message: &str, data: Option<&str>) -> ToolResult {
        self.replace(Instead::Error(code), br#","error":{"code":"#)?;
        self.sink.put(digits.as_bytes())?;
        self.sink.put(br#","message":""#)?;
        escape(message, self.sink)?;
        self.sink.put(b"\"")?;
        if let Some(data) = data {
            self.put_all([br#","data":"#.as_slice(), data.as_bytes()])?;
        }
        self.sink.put(b"}}")?;
        self.content = Content::Closed;
        Ok(())
    }

    /// Asks the client for input before the call can end (MCP 2026-07-28 basic/patterns/mrtr).
    /// `requests` is a JSON object of the questions by key, on one line. The client returns `state`
    /// with its answers. The content written before is removed, and nothing may follow. Not for a
    /// completion, nor for a legacy client.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn ask(&mut self, requests: &str, state: Option<&str>) -> ToolResult {
        self.replace(Instead::Questions, br#","result":{"inputRequests":"#)?;
        self.sink.put(requests.as_bytes())?;
        if let Some(state) = state {
            self.put_all([br#","requestState":""#.as_slice(), state.as_bytes(), b"\""])?;
        }
        self.content = Content::Closed;
        Ok(())
    }

    /// Asks the client for input, with a state that `seal` writes.
    #[cfg(feature = "seal")]
    pub(super) fn ask_sealed(
        &mut self,
        requests: &str,
        seal: impl FnOnce(&mut dyn Sink) -> Result<(), Full>,
    ) -> ToolResult {
        self.ask(requests, None)?;
        self.sink.put(br#","requestState":""#)?;
        seal(self.sink)?;
        self.sink.put(b"\"")?;
        Ok(())
    }

    /// Answers with the result of another server: `members` are those of the result object and
    /// `meta` those of its `_meta`, each as JSON on one line with commas between and none at the
    /// ends, or empty. They must not contain `resultType` or a key of `_meta` that the protocol
    /// reserves: this function writes them. The content written before is removed, and nothing may
    /// follow.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn forward_result(&mut self, members: &str, meta: &str) -> ToolResult {
        self.replace(Instead::Result, br#","result":{"#)?;
        let between = |before: &str| if before.is_empty() { b"".as_slice() } else { b"," };
        self.sink.put(members.as_bytes())?;
        // MCP 2026-07-28 basic/index: `resultType` in every result, and `serverInfo` in its `_meta`, which `Ticket::finish` writes.
        if self.version.is_modern() {
            let front = br#""resultType":"complete","_meta":{"#.as_slice();
            self.put_all([between(members), front, meta.as_bytes(), between(meta)])?;
        } else if !meta.is_empty() {
            self.put_all([between(members), br#""_meta":{"#, meta.as_bytes(), b"}"])?;
        }
        self.content = Content::Closed;
        Ok(())
    }

    fn replace(&mut self, instead: Instead, front: &[u8]) -> Result<(), Full> {
        self.sink.truncate(self.begun);
        self.instead = Some(instead);
        self.content = Content::Spoilt;
        self.put_all([br#"{"jsonrpc":"2.0","id":"#, self.id, front])
    }

    /// Returns the writer for the messages of a prompt.
    pub const fn messages(&mut self) -> Messages<'_, 'o> {
        Messages { out: self }
    }

    /// Returns the writer for the contents of a resource.
    pub const fn contents(&mut self) -> Contents<'_, 'o> {
        Contents { out: self }
    }

    /// Returns the writer for the values of a completion.
    pub const fn values(&mut self) -> Values<'_, 'o> {
        Values { out: self }
    }

    /// Writes one item of the result's list: the text that `write` writes, between `front` and
    /// `back`.
    fn item(&mut self, front: &[u8], back: &[u8], write: impl FnOnce(Block<'_>) -> Result<(), Full>) -> ToolResult {
        let mut write = Some(write);
        self.item_by(front, back, &mut |block| write.take().map_or(Ok(()), |write| write(block)))
    }

    /// The body of `item`, compiled once for all kinds of items.
    #[inline(never)]
    fn item_by(
        &mut self,
        front: &[u8],
        back: &[u8],
        write: &mut dyn FnMut(Block<'_>) -> Result<(), Full>,
    ) -> ToolResult {
        if self.content != Content::Open {
            return Err(ToolError::Failed(FOLLOWS));
        }
        let before = self.sink.len();
        let mut cut = false;
        let comma: &[u8] = if self.items > 0 { b"," } else { b"" };
        let written = self
            .put_all([comma, front])
            .and_then(|()| write(Block { sink: self.sink, cut: &mut cut, version: self.version }))
            .and_then(|()| if cut { Err(Full) } else { self.put_all([back]) });
        match written {
            Ok(()) => self.items += 1,
            Err(Full) => self.sink.truncate(before),
        }
        Ok(written?)
    }

    fn put_all<'p>(&mut self, pieces: impl IntoIterator<Item = &'p [u8]>) -> Result<(), Full> {
        pieces.into_iter().filter(|piece| !piece.is_empty()).try_for_each(|piece| self.sink.put(piece))
    }

    /// Ends the content. Returns the sink, and the end of the output.
    pub(crate) fn end(
        mut self,
        result: ToolResult,
        of_tool: bool,
    ) -> (&'o mut (dyn Sink + Send), Result<End, ToolError>) {
        let result = match (self.content, result) {
            (Content::Streaming, Ok(())) => Err(ToolError::Failed("a text that was streamed has no end")),
            (Content::Spoilt, Ok(())) => Err(ToolError::Full),
            // The result cannot report the failure, because a part of it was already sent, so an
            // error does.
            (_, Err(ToolError::Failed(reason))) if of_tool => self.fail(reason).map_err(|_| ToolError::Failed(reason)),
            (_, other) => other,
        };
        let end = End {
            failed: self.failed,
            closed: self.content == Content::Closed,
            more: self.items > limits::COMPLETIONS,
            instead: self.instead,
        };
        (self.sink, result.map(|()| end))
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("mark", &self.mark).field("failed", &self.failed).finish_non_exhaustive()
    }
}

const FOLLOWS: &str = "nothing may follow what was written last";

/// The speaker of a message of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// Returns the role as a message contains it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// The messages of a prompt (MCP server/prompts, "PromptMessage"): one block each.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Messages<'r, 'o> {
    out: &'r mut Output<'o>,
}

impl<'o> Messages<'_, 'o> {
    /// Returns the channel to the caller, for messages that are sent before the result.
    pub const fn caller(&mut self) -> Caller<'_> {
        self.out.caller()
    }

    /// Adds a message of text.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn text(&mut self, role: Role, text: &str) -> ToolResult {
        self.message(role, |block| block.text(text))
    }

    /// Adds a message of any kind of block.
    ///
    /// # Errors
    /// The error of `write`; then the whole message is removed.
    pub fn message(&mut self, role: Role, write: impl FnOnce(Block<'_>) -> Result<(), Full>) -> ToolResult {
        let front: &[u8] = match role {
            Role::User => br#"{"role":"user","content":"#,
            Role::Assistant => br#"{"role":"assistant","content":"#,
        };
        self.out.item(front, b"}", write)
    }
}

/// The contents of a resource (MCP server/resources, "ResourceContents"), under the requested URI.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Contents<'r, 'o> {
    out: &'r mut Output<'o>,
}

impl<'o> Contents<'_, 'o> {
    /// Returns the channel to the caller, for messages that are sent before the result.
    pub const fn caller(&mut self) -> Caller<'_> {
        self.out.caller()
    }

    /// Adds contents of text.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn text(&mut self, mime_type: &str, text: &str) -> ToolResult {
        self.text_with(mime_type, |block| block.push(text))
    }

    /// Adds contents of text that is written in pieces.
    ///
    /// # Errors
    /// The error of `write`; then the whole contents are removed.
    pub fn text_with(
        &mut self,
        mime_type: &str,
        write: impl FnOnce(&mut TextBlock<'_>) -> Result<(), Full>,
    ) -> ToolResult {
        let uri = self.out.uri;
        self.out.item(b"", b"", |block| block.contents(uri, mime_type, |block| block.text_member(write)))
    }

    /// Adds contents of text that may be longer than the buffer, as [`Output::stream`] does.
    ///
    /// # Errors
    /// [`ToolError::Full`] if not even their beginning fits.
    pub fn stream(&mut self, mime_type: &str) -> Result<Streaming<'_>, ToolError> {
        let uri = self.out.uri;
        self.out.item(b"", b"", |block| block.open_text(uri, mime_type))?;
        Ok(self.out.streaming())
    }

    /// Adds contents of bytes.
    ///
    /// # Errors
    /// [`ToolError::Full`] if they do not fit.
    pub fn blob(&mut self, mime_type: &str, bytes: &[u8]) -> ToolResult {
        let uri = self.out.uri;
        self.out.item(b"", b"", |block| block.contents(uri, mime_type, |block| block.blob_member(bytes)))
    }
}

/// The values of a completion (MCP server/utilities/completion), best first.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Values<'r, 'o> {
    out: &'r mut Output<'o>,
}

impl Values<'_, '_> {
    /// Adds a value. After the hundredth value the answer only reports that there are more.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit.
    pub fn value(&mut self, value: &str) -> ToolResult {
        if self.out.items >= limits::COMPLETIONS {
            self.out.items = limits::COMPLETIONS + 1;
            return Ok(());
        }
        self.out.item(b"\"", b"\"", |block| escape(value, block.sink))
    }
}
