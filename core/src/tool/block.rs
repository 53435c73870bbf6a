//! Writes one block of content in place, and the text in it.

use super::structured::Quoted;
use crate::era::Version;
use crate::json::{Decimal, Full, Sink, Text, encode_base64, escape};
use core::fmt;

/// A writer of one block of content (MCP server/tools, "ContentBlock"). One call writes the whole
/// block.
pub struct Block<'w> {
    pub(super) sink: &'w mut (dyn Sink + Send),
    pub(super) cut: &'w mut bool,
    /// The revision of the client: it knows only the blocks of this revision.
    pub(super) version: Version,
}

impl Block<'_> {
    /// Writes a block of text.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn text(self, text: &str) -> Result<(), Full> {
        self.text_with(|block| block.push(text))
    }

    /// Writes a block of text, which `write` writes in pieces.
    ///
    /// # Errors
    /// The error of `write`.
    pub fn text_with(self, write: impl FnOnce(&mut TextBlock<'_>) -> Result<(), Full>) -> Result<(), Full> {
        self.sink.put(br#"{"type":"text","text":""#)?;
        write(&mut TextBlock { sink: self.sink, cut: self.cut })?;
        self.sink.put(br#""}"#)
    }

    /// Appends the block that `write` writes, and adds `members` to it, such as `annotations` and
    /// `_meta`. `members` are members of a JSON object on one line, with commas between them and
    /// none at the ends. They are sent as they are: the caller must make sure that they are valid.
    ///
    /// # Errors
    /// The error of `write`, or [`Full`].
    pub fn with(self, members: &str, write: impl FnOnce(Block<'_>) -> Result<(), Full>) -> Result<(), Full> {
        write(Block { sink: self.sink, cut: self.cut, version: self.version })?;
        // Every block ends with the brace that closes its object.
        self.sink.truncate(self.sink.len().saturating_sub(1));
        self.sink.put(b",")?;
        self.sink.put(members.as_bytes())?;
        self.sink.put(b"}")
    }

    /// Writes an image.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn image(self, mime_type: &str, bytes: &[u8]) -> Result<(), Full> {
        self.media(br#"{"type":"image","data":""#, mime_type, bytes)
    }

    /// Writes a sound. A client of 2024-11-05 does not know sounds and gets a text that says so.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn audio(self, mime_type: &str, bytes: &[u8]) -> Result<(), Full> {
        if self.version < Version::V2025_03_26 {
            return self.text_with(|text| {
                ["A sound of type ", mime_type, ", which your client cannot take"]
                    .into_iter()
                    .try_for_each(|piece| text.push(piece))
            });
        }
        self.media(br#"{"type":"audio","data":""#, mime_type, bytes)
    }

    fn media(self, front: &[u8], mime_type: &str, bytes: &[u8]) -> Result<(), Full> {
        self.sink.put(front)?;
        encode_base64(bytes, self.sink)?;
        self.sink.put(br#"","mimeType":""#)?;
        escape(mime_type, self.sink)?;
        self.sink.put(br#""}"#)
    }

    /// Writes a link to a resource; for clients of revisions before 2025-06-18, a text with its
    /// name and URI.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn link(self, uri: &str, name: &str) -> Result<(), Full> {
        if self.version < Version::V2025_06_18 {
            return self.text_with(|text| [name, ": ", uri].into_iter().try_for_each(|piece| text.push(piece)));
        }
        self.sink.put(br#"{"type":"resource_link","uri":""#)?;
        escape(uri, self.sink)?;
        self.sink.put(br#"","name":""#)?;
        escape(name, self.sink)?;
        self.sink.put(br#""}"#)
    }

    /// Writes a resource of text into the result itself.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn resource_text(self, uri: &str, mime_type: &str, text: &str) -> Result<(), Full> {
        self.resource(uri, mime_type, |block| block.text_member(|block| block.push(text)))
    }

    /// Writes a resource of bytes into the result itself.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn resource_blob(self, uri: &str, mime_type: &str, bytes: &[u8]) -> Result<(), Full> {
        self.resource(uri, mime_type, |block| block.blob_member(bytes))
    }

    fn resource(
        mut self,
        uri: &str,
        mime_type: &str,
        member: impl FnOnce(&mut Block<'_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.sink.put(br#"{"type":"resource","resource":{"uri":""#)?;
        escape(uri, self.sink)?;
        self.of_type(mime_type)?;
        member(&mut self)?;
        self.sink.put(b"}}")
    }

    /// Writes one entry of a resource's contents; `uri` is already escaped for a string.
    pub(super) fn contents(
        mut self,
        uri: &[u8],
        mime_type: &str,
        member: impl FnOnce(&mut Block<'_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.sink.put(br#"{"uri":""#)?;
        self.sink.put(uri)?;
        self.of_type(mime_type)?;
        member(&mut self)?;
        self.sink.put(b"}")
    }

    /// Writes the beginning of text contents, up to the first character of the text.
    pub(super) fn open_text(mut self, uri: &[u8], mime_type: &str) -> Result<(), Full> {
        self.sink.put(br#"{"uri":""#)?;
        self.sink.put(uri)?;
        self.of_type(mime_type)?;
        self.sink.put(br#","text":""#)
    }

    fn of_type(&mut self, mime_type: &str) -> Result<(), Full> {
        self.sink.put(br#"","mimeType":""#)?;
        escape(mime_type, self.sink)?;
        self.sink.put(b"\"")
    }

    pub(super) fn text_member(
        &mut self,
        write: impl FnOnce(&mut TextBlock<'_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.sink.put(br#","text":""#)?;
        write(&mut TextBlock { sink: self.sink, cut: self.cut })?;
        self.sink.put(b"\"")
    }

    pub(super) fn blob_member(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.sink.put(br#","blob":""#)?;
        encode_base64(bytes, self.sink)?;
        self.sink.put(b"\"")
    }
}

impl fmt::Debug for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").finish_non_exhaustive()
    }
}

/// A writer of a text.
pub struct TextBlock<'w> {
    pub(super) sink: &'w mut (dyn Sink + Send),
    /// Set when something did not fit, so that the written text is incomplete.
    pub(super) cut: &'w mut bool,
}

impl TextBlock<'_> {
    /// Appends `text`.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn push(&mut self, text: &str) -> Result<(), Full> {
        let pushed = escape(text, self.sink);
        *self.cut |= pushed.is_err();
        pushed
    }

    /// Appends a number in decimal.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn number(&mut self, number: i64) -> Result<(), Full> {
        self.put(Decimal::new(number).as_bytes())
    }

    /// Appends `value` divided by ten to the power of `places`: `fixed(215, 1)` is `21.5`.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn fixed(&mut self, value: i64, places: u8) -> Result<(), Full> {
        self.put(Decimal::fixed(value, places).as_bytes())
    }

    /// Appends formatted text: `write!(text, "{} rpm", speed)?`. For the cost of formatting see
    /// [`Output::write_fmt`](super::Output::write_fmt).
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Result<(), Full> {
        fmt::Write::write_fmt(self, text).map_err(|fmt::Error| Full)
    }

    /// Appends JSON as text.
    pub(super) fn quoted(&mut self, write: &dyn Fn(&mut dyn Sink) -> Result<(), Full>) -> Result<(), Full> {
        let written = write(&mut Quoted(self.sink));
        *self.cut |= written.is_err();
        written
    }

    /// Appends a text from a message, exactly as it was written there.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn echo(&mut self, text: Text<'_>) -> Result<(), Full> {
        self.put(text.raw())
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn put(&mut self, escaped: &[u8]) -> Result<(), Full> {
        let put = self.sink.put(escaped);
        *self.cut |= put.is_err();
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
