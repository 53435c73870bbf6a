//! The parts of a response. A response is never assembled in memory. It is a sequence of sections;
//! each consists of a few pieces in flash or in the request's body, which the sender copies one
//! after the other.

use super::{Error, Unanswerable};
use crate::json::Decimal;
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
    let mut section = Section { pieces: [b""; MOST], len: N };
    for (slot, piece) in section.pieces.iter_mut().zip(pieces) {
        *slot = piece;
    }
    section
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
    let about = error.about().filter(|name| name.len() <= limits::ECHOED_NAME);
    let data: [&[u8]; 5] = match error {
        Error::UnsupportedVersion(requested) => {
            [br#","data":{"supported":["#, supported.as_bytes(), br#"],"requested":"#, requested.of(body), b"}"]
        }
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
        id.map_or(b"", |id| id.of(body)),
        br#","error":{"code":"#,
        error.code().digits().as_bytes(),
        br#","message":""#,
        what.as_bytes(),
        which.as_bytes(),
        about.map_or(b"", |_| b": "),
        about.map_or(b"", |name| name.of(body)),
        b"\"",
        data[0],
        data[1],
        data[2],
        data[3],
        data[4],
        b"}}",
    ])
}
