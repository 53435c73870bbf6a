//! The parts of a response. A response is never assembled in memory. It is a sequence of sections;
//! each consists of a few pieces in flash or in the request's body, which the sender copies one
//! after the other.

use super::{Error, Unanswerable};
use crate::json::{Decimal, Span};
use crate::limits;

/// Most pieces in a section: the longest one, the result of `server/discover`, has this many.
const MOST: usize = 23;

/// A few consecutive pieces of a response. Empty pieces are allowed.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Section<'a> {
    pieces: [&'a [u8]; MOST],
    len: usize,
}

impl<'a> Section<'a> {
    /// A section without pieces.
    pub const EMPTY: Self = Self { pieces: [b""; MOST], len: 0 };

    /// Makes a section. On a device it is compiled once for all lengths.
    #[cfg_attr(target_os = "none", inline(never))]
    fn of(pieces: &[&'a [u8]]) -> Self {
        let mut section = Self { len: pieces.len().min(MOST), ..Self::EMPTY };
        section.pieces.iter_mut().zip(pieces).for_each(|(slot, piece)| *slot = piece);
        section
    }

    /// Removes all pieces.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a piece. If the section is full, the piece is dropped.
    pub fn push(&mut self, piece: &'a [u8]) {
        if let Some(slot) = self.pieces.get_mut(self.len) {
            *slot = piece;
            self.len += 1;
        }
    }

    /// Returns the pieces.
    pub fn pieces(&self) -> &[&'a [u8]] {
        self.pieces.get(..self.len).unwrap_or_default()
    }
}

/// Makes a section of these pieces; their number is checked at compile time.
pub fn section<'a, const N: usize>(pieces: [&'a [u8]; N]) -> Section<'a> {
    const { assert!(N <= MOST) };
    Section::of(&pieces)
}

/// Returns the front of a response, up to the start of the result object.
pub const fn head(id: &[u8]) -> [&[u8]; 3] {
    [br#"{"jsonrpc":"2.0","id":"#, id, br#","result":"#]
}

/// Makes a whole error response. `supported` goes into the `data` of an unsupported version;
/// `limit` is the number in the `data` of a size error.
pub fn error<'a>(refused: &Unanswerable, body: &'a [u8], supported: &'static str, limit: &'a Decimal) -> Section<'a> {
    let Unanswerable { error, id } = refused;
    let [what, which] = error.message();
    // A text that is not in the body at hand is left out, so that the answer is JSON in any case.
    let quoted = |span: Span| Some(span.of(body)).filter(|text| !text.is_empty());
    let id = id.and_then(quoted);
    let about = error.about().filter(|name| name.len() <= limits::ECHOED_NAME).and_then(quoted);
    let data: [&[u8]; 5] = match error {
        Error::UnsupportedVersion(requested) => [
            br#","data":{"supported":["#,
            supported.as_bytes(),
            br#"],"requested":"#,
            quoted(*requested).unwrap_or(b"null"),
            b"}",
        ],
        Error::UnknownResource(uri) | Error::UnknownResourceLegacy(uri) => {
            [br#","data":{"uri":""#, uri.of(body), br#""}"#, b"", b""]
        }
        Error::TooLarge(_) => [br#","data":{"limit":"#, limit.as_bytes(), b"}", b"", b""],
        _ => [b""; 5],
    };
    section([
        match id {
            Some(_) => br#"{"jsonrpc":"2.0","id":"#,
            None => br#"{"jsonrpc":"2.0""#,
        },
        id.unwrap_or_default(),
        br#","error":{"code":"#,
        error.code().digits().as_bytes(),
        br#","message":""#,
        what.as_bytes(),
        which.as_bytes(),
        about.map_or(b"", |_| b": "),
        about.unwrap_or_default(),
        b"\"",
        data[0],
        data[1],
        data[2],
        data[3],
        data[4],
        b"}}",
    ])
}
