//! The parts of an answer. An answer is never built: it is a sequence of sections, each a handful of pieces that lie in
//! flash or in the request's body, and whoever sends it copies piece after piece.

use super::{Error, Unanswerable};
use crate::json::Decimal;
use crate::limits;

/// Most pieces of a section: as many as the longest answer of one section has.
const MOST: usize = 23;

/// A few pieces that follow each other; empty ones count for nothing.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Section<'a> {
    pieces: [&'a [u8]; MOST],
    len: usize,
}

impl<'a> Section<'a> {
    /// A section with nothing in it.
    pub const EMPTY: Self = Self { pieces: [b""; MOST], len: 0 };

    /// Compiled once for sections of all lengths, where that counts.
    #[cfg_attr(target_os = "none", inline(never))]
    fn of(pieces: &[&'a [u8]]) -> Self {
        let mut section = Self { len: pieces.len().min(MOST), ..Self::EMPTY };
        section.pieces.iter_mut().zip(pieces).for_each(|(slot, piece)| *slot = piece);
        section
    }

    /// Takes all pieces out.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a piece; behind the last place it is dropped.
    pub fn push(&mut self, piece: &'a [u8]) {
        if let Some(slot) = self.pieces.get_mut(self.len) {
            *slot = piece;
            self.len += 1;
        }
    }

    /// The pieces.
    pub fn pieces(&self) -> &[&'a [u8]] {
        self.pieces.get(..self.len).unwrap_or_default()
    }
}

/// Makes a section of these pieces; how many it can hold is checked at compile time.
pub fn section<'a, const N: usize>(pieces: [&'a [u8]; N]) -> Section<'a> {
    const { assert!(N <= MOST) };
    Section::of(&pieces)
}

/// The front of a result, up to where the result object begins.
pub const fn head(id: &[u8]) -> [&[u8]; 3] {
    [br#"{"jsonrpc":"2.0","id":"#, id, br#","result":"#]
}

/// A whole error answer. `supported` goes into the data of an unsupported version; `limit` is the number that a size
/// error names.
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
