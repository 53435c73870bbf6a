//! Writes the head of an HTTP/1.1 response, and the framing of its body.

use crate::http::{fields, sse};
use crate::json::{Decimal, Full, Sink};

/// The body that follows the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Content {
    /// No body.
    Nothing,
    /// A message of this many bytes.
    Message(usize),
    /// A message in chunks, because its length is not known yet.
    Chunks,
    /// A stream of server-sent events, in chunks.
    Events,
}

/// Whether the connection is kept open after the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum After {
    /// The connection accepts another request.
    KeepAlive,
    /// The connection is closed.
    Close,
}

/// Writes the head of a response.
///
/// # Errors
/// [`Full`] if `out` is too small; 192 bytes always suffice.
pub fn head(status: u16, content: Content, after: After, out: &mut dyn Sink) -> Result<(), Full> {
    open_head(status, content, out)?;
    close_head(after, out)
}

/// Writes the head without its end, so that the caller can add fields before it calls
/// [`close_head`].
///
/// # Errors
/// The same as [`head`].
pub fn open_head(status: u16, content: Content, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(b"HTTP/1.1 ")?;
    out.put(Decimal::new(status.into()).as_bytes())?;
    // RFC 9112 §4: the reason phrase may be empty, and clients ignore it.
    out.put(b" \r\n")?;
    let fields = match content {
        Content::Nothing => &[],
        Content::Message(_) | Content::Chunks => fields(status),
        Content::Events => sse::FIELDS,
    };
    for (name, value) in fields {
        [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"].into_iter().try_for_each(|part| out.put(part))?;
    }
    match content {
        Content::Chunks | Content::Events => out.put(b"transfer-encoding: chunked\r\n")?,
        Content::Message(len) => length(len, out)?,
        Content::Nothing => length(0, out)?,
    }
    Ok(())
}

/// Writes the end of a head.
///
/// # Errors
/// The same as [`head`].
pub fn close_head(after: After, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(match after {
        After::KeepAlive => b"\r\n",
        After::Close => b"connection: close\r\n\r\n",
    })
}

fn length(len: usize, out: &mut dyn Sink) -> Result<(), Full> {
    out.put(b"content-length: ")?;
    out.put(Decimal::new(i64::try_from(len).unwrap_or(i64::MAX)).as_bytes())?;
    out.put(b"\r\n")
}

/// Returns the size line of a chunk of `len` bytes, which must not be 0. A line ending must follow
/// the chunk.
pub fn chunk(len: usize) -> [u8; 10] {
    let mut line = *b"00000000\r\n";
    let mut rest = len;
    for digit in line.iter_mut().take(8).rev() {
        let low = (rest & 0xF) as u8;
        *digit = if low < 10 { b'0' + low } else { b'a' + low - 10 };
        rest >>= 4;
    }
    line
}
