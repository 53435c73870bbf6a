//! Decodes the body of a request from its framing: `Content-Length` or chunked.

use super::{Fault, Framing};
use crate::json::{Sink, Slice};
use crate::limits;

/// Decodes the body of one request out of a byte stream.
///
/// A body that does not fit into its buffer is skipped to its end, up to [`limits::SKIPPED`] bytes,
/// so that the connection stays usable.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Body {
    state: State,
    /// The number of bytes that did not fit and were discarded.
    skipped: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// Reading a body with a length, of which this many bytes are left.
    Fixed(usize),
    /// Reading the size of a chunk: its value and its number of digits so far.
    Size(usize, u8),
    /// Reading a chunk extension: the size of the chunk, and the bytes that the extension may still
    /// have.
    Extension(usize, u8),
    /// Expecting the line feed after the size of a chunk.
    SizeEnd(usize),
    /// Reading the data of a chunk, of which this many bytes are left.
    Data(usize),
    /// Expecting the carriage return and the line feed after the data of a chunk.
    DataReturn,
    DataEnd,
    /// At the start of a line of the trailer, which may have this many more bytes.
    Trailer(u8),
    /// Inside a line of the trailer.
    TrailerLine(u8),
    /// Expecting the line feed that ends a line of the trailer.
    TrailerEnd(u8),
    /// Expecting the line feed that ends the body.
    LastEnd,
    Done,
}

impl Body {
    /// Creates a decoder for a body with this framing.
    pub const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Fixed(length),
            Framing::Chunked => State::Size(0, 0),
        };
        Self { state, skipped: 0 }
    }

    /// Whether the whole body was read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether a part of the body did not fit.
    pub const fn is_too_large(&self) -> bool {
        self.skipped > 0
    }

    /// Takes bytes from the front of `input`, appends the body's bytes to `out`, and advances
    /// `input` past them. Returns `true` at the end of the body.
    ///
    /// # Errors
    /// [`Fault::Chunk`] and [`Fault::BodyTooLarge`].
    pub fn feed(&mut self, input: &mut &[u8], out: &mut Slice<'_>) -> Result<bool, Fault> {
        while !self.is_done() && !input.is_empty() {
            self.state = match self.state {
                State::Fixed(left) => match self.take(left, input, out)? {
                    0 => State::Done,
                    left => State::Fixed(left),
                },
                State::Data(left) => match self.take(left, input, out)? {
                    0 => State::DataReturn,
                    left => State::Data(left),
                },
                other => {
                    let Some((&byte, rest)) = input.split_first() else {
                        break;
                    };
                    *input = rest;
                    other.after(byte).ok_or(Fault::Chunk)?
                }
            };
        }
        Ok(self.is_done())
    }

    /// Takes up to `left` bytes of data and returns how many are still missing.
    fn take(&mut self, left: usize, input: &mut &[u8], out: &mut Slice<'_>) -> Result<usize, Fault> {
        // Refuse a body that is too large as soon as that is known, before all of it has arrived.
        let room = if self.skipped > 0 { 0 } else { out.room() };
        if left > room.saturating_add(limits::SKIPPED.saturating_sub(self.skipped)) {
            return Err(Fault::BodyTooLarge);
        }
        let (taken, rest) = input.split_at_checked(left).unwrap_or((input, &[]));
        *input = rest;
        // Whether a body fits must not depend on the sizes of the pieces in which it arrives.
        if left > room || out.put(taken).is_err() {
            self.skipped = self.skipped.saturating_add(taken.len());
        }
        Ok(left.saturating_sub(taken.len()))
    }
}

impl State {
    /// Returns the state after a `byte` outside the data (RFC 9112 §7.1); `None` if the byte is not
    /// allowed there.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size(size, digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < limits::CHUNK_DIGITS => {
                let digit = if byte.is_ascii_digit() { byte & 0xF } else { (byte & 0xF).wrapping_add(9) };
                Self::Size(size << 4 | usize::from(digit), digits.wrapping_add(1))
            }
            (Self::Size(size, 1..), b'\r') | (Self::Extension(size, _), b'\r') => Self::SizeEnd(size),
            // RFC 9112 §7.1.1: unknown extensions are ignored.
            (Self::Size(size, 1..), b';') => Self::Extension(size, limits::CHUNK_WORDS),
            (Self::Extension(size, left), b'\t' | b' '..=b'~') => Self::Extension(size, left.checked_sub(1)?),
            (Self::SizeEnd(0), b'\n') => Self::Trailer(limits::CHUNK_WORDS),
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size(0, 0),
            // RFC 9112 §7.1.2: trailer fields may be discarded.
            (Self::Trailer(_), b'\r') => Self::LastEnd,
            (Self::TrailerLine(left), b'\r') => Self::TrailerEnd(left),
            (Self::Trailer(left) | Self::TrailerLine(left), b'\t' | b' '..=b'~') => {
                Self::TrailerLine(left.checked_sub(1)?)
            }
            (Self::TrailerEnd(left), b'\n') => Self::Trailer(left),
            (Self::LastEnd, b'\n') => Self::Done,
            _ => return None,
        })
    }
}
