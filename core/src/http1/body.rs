//! The body of a request, taken out of its framing.

use super::{Fault, Framing};
use crate::json::{Sink, Slice};
use crate::limits;

/// Takes the body of one request out of a stream of bytes.
///
/// A body that does not fit into its buffer is skipped to its end, up to [`limits::SKIPPED`] bytes, so that the connection
/// survives it.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Body {
    state: State,
    /// Bytes that did not fit or were not wanted.
    skipped: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// So many bytes are left of a body with a length.
    Fixed(usize),
    /// In the size of a chunk, which has so many digits so far.
    Size(usize, u8),
    /// In an extension, which may have so many bytes more.
    Extension(usize, u8),
    /// A line feed must follow; the chunk has so many bytes.
    SizeEnd(usize),
    /// So many bytes are left of the chunk.
    Data(usize),
    /// Carriage return and line feed must follow the chunk.
    DataReturn,
    DataEnd,
    /// At the beginning of a line of the trailer, which may have so many bytes more.
    Trailer(u8),
    /// Inside one.
    TrailerLine(u8),
    /// A line feed must follow the carriage return in one.
    TrailerEnd(u8),
    /// A line feed must follow, and ends the body.
    LastEnd,
    Done,
}

impl Body {
    /// A body with this framing.
    pub const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Fixed(length),
            Framing::Chunked => State::Size(0, 0),
        };
        Self { state, skipped: 0 }
    }

    /// Whether all of it has come.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether something of it did not fit.
    pub const fn is_too_large(&self) -> bool {
        self.skipped > 0
    }

    /// Takes bytes from the front of `input`, puts what belongs to the body into `out`, and moves `input` behind what was taken;
    /// `true` when the body has ended.
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

    /// Takes up to `left` bytes, and answers how many are left then.
    fn take(&mut self, left: usize, input: &mut &[u8], out: &mut Slice<'_>) -> Result<usize, Fault> {
        // Known before all of it has come.
        let room = if self.skipped > 0 { 0 } else { out.room() };
        if left > room.saturating_add(limits::SKIPPED.saturating_sub(self.skipped)) {
            return Err(Fault::BodyTooLarge);
        }
        let (taken, rest) = input.split_at_checked(left).unwrap_or((input, &[]));
        *input = rest;
        // Whether a body fits must not hang on the pieces it comes in.
        if left > room || out.put(taken).is_err() {
            self.skipped = self.skipped.saturating_add(taken.len());
        }
        Ok(left.saturating_sub(taken.len()))
    }
}

impl State {
    /// RFC 9112 §7.1, outside the data. `None` if `byte` may not stand there.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size(size, digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < limits::CHUNK_DIGITS => {
                let digit = if byte.is_ascii_digit() { byte & 0xF } else { (byte & 0xF).wrapping_add(9) };
                Self::Size(size << 4 | usize::from(digit), digits.wrapping_add(1))
            }
            (Self::Size(size, 1..), b'\r') | (Self::Extension(size, _), b'\r') => Self::SizeEnd(size),
            // RFC 9112 §7.1.1: extensions that are not known are ignored.
            (Self::Size(size, 1..), b';') => Self::Extension(size, limits::CHUNK_WORDS),
            (Self::Extension(size, left), b'\t' | b' '..=b'~') => Self::Extension(size, left.checked_sub(1)?),
            (Self::SizeEnd(0), b'\n') => Self::Trailer(limits::CHUNK_WORDS),
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size(0, 0),
            // RFC 9112 §7.1.2: fields behind the last chunk may be thrown away.
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
