//! The parts of a response. A response is never assembled in memory. It is a sequence of sections;
//! each section puts a few pieces, which are in flash or in the request's body, and the sender
//! copies as many bytes of them as its buffer has room for.

use super::{Error, Unanswerable};
use crate::json::{Decimal, Span};
use crate::limits;

/// The part of a section that a sender copies next. The section puts all its pieces each time; the
/// bytes that were sent before are skipped, and the bytes that do not fit wait for the next window.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window<'w> {
    buffer: &'w mut [u8],
    used: usize,
    /// The number of bytes still to skip.
    skip: usize,
    /// The number of bytes that did not fit.
    left: usize,
}

impl<'w> Window<'w> {
    /// Creates a window that begins `skip` bytes behind the start of a section.
    pub const fn new(buffer: &'w mut [u8], skip: usize) -> Self {
        Self { buffer, used: 0, skip, left: 0 }
    }

    /// Copies a piece, or the part of it that is in this window.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn put(&mut self, piece: &[u8]) {
        let Some(rest) = piece.get(self.skip..) else {
            self.skip -= piece.len();
            return;
        };
        self.skip = 0;
        let free = self.buffer.get_mut(self.used..).unwrap_or_default();
        let taken = rest.len().min(free.len());
        for (slot, byte) in free.iter_mut().zip(rest) {
            *slot = *byte;
        }
        self.used += taken;
        self.left += rest.len() - taken;
    }

    /// Copies several pieces.
    pub fn put_all<'p>(&mut self, pieces: impl IntoIterator<Item = &'p [u8]>) {
        pieces.into_iter().for_each(|piece| self.put(piece));
    }

    /// Copies a number.
    pub fn number(&mut self, number: usize) {
        self.put(Decimal::new(i64::try_from(number).unwrap_or(i64::MAX)).as_bytes());
    }

    /// Returns the number of bytes that were copied.
    pub const fn used(&self) -> usize {
        self.used
    }

    /// Returns the number of bytes that did not fit.
    pub const fn left(&self) -> usize {
        self.left
    }
}

/// Puts the front of a response, up to the start of the result object.
pub fn head(id: &[u8], out: &mut Window<'_>) {
    out.put_all([br#"{"jsonrpc":"2.0","id":"#, id, br#","result":"#]);
}

/// Puts a whole error response. `supported` goes into the `data` of an unsupported version.
pub fn error(refused: &Unanswerable, body: &[u8], supported: &'static str, out: &mut Window<'_>) {
    let Unanswerable { error, id } = refused;
    // A text that is not in the body at hand is left out, so that the answer is JSON in any case.
    let quoted = |span: Span| Some(span.of(body)).filter(|text| !text.is_empty());
    out.put(br#"{"jsonrpc":"2.0""#);
    if let Some(id) = id.and_then(quoted) {
        out.put(br#","id":"#);
        out.put(id);
    }
    out.put(br#","error":{"code":"#);
    out.put(error.code().digits().as_bytes());
    out.put(br#","message":""#);
    out.put_all(error.message().map(str::as_bytes));
    if let Some(about) = error.about().filter(|name| name.len() <= limits::ECHOED_NAME).and_then(quoted) {
        out.put(b": ");
        out.put(about);
    }
    out.put(b"\"");
    match *error {
        Error::UnsupportedVersion(requested) => {
            out.put(br#","data":{"supported":["#);
            out.put(supported.as_bytes());
            out.put(br#"],"requested":"#);
            out.put(quoted(requested).unwrap_or(b"null"));
            out.put(b"}");
        }
        Error::UnknownResource(uri) | Error::UnknownResourceLegacy(uri) => {
            out.put(br#","data":{"uri":""#);
            out.put(uri.of(body));
            out.put(br#""}"#);
        }
        Error::TooLarge(limit) => {
            out.put(br#","data":{"limit":"#);
            out.number(limit);
            out.put(b"}");
        }
        _ => {}
    }
    out.put(b"}}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_any_size_one_after_the_other_show_the_whole_section() {
        let section = |out: &mut Window<'_>| out.put_all([b"abc".as_slice(), b"", b"defgh", b"i"]);
        for size in 1..12 {
            let (mut text, mut skip) = ([0; 9], 0);
            loop {
                let mut buffer = [0; 12];
                let mut window = Window::new(&mut buffer[..size], skip);
                section(&mut window);
                let (used, left) = (window.used(), window.left());
                assert_eq!((used, left), (size.min(9 - skip), 9 - skip - used), "{size}");
                text[skip..skip + used].copy_from_slice(&buffer[..used]);
                skip += used;
                if left == 0 {
                    break;
                }
            }
            assert_eq!(&text, b"abcdefghi", "{size}");
        }
    }
}
