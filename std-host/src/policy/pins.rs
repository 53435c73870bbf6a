//! Pins: the definitions of entries that an operator has accepted.

use attache_core::tool::Kind;
use core::fmt;
use std::collections::HashMap;

/// The digests of accepted definitions, by the kind and the name or URI that clients see.
///
/// An entry whose definition differs from its pin is held back, because a server that changes its
/// tools after they were approved could make the model do something else. See [`Digest`].
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// By kind, in the order of [`Kind::ALL`].
    known: [HashMap<String, Digest>; Kind::ALL.len()],
    passes_new: bool,
}

/// The SHA-256 digest of the definition of an entry: its JSON as the backend has published it, with
/// the members of all objects sorted by name and without white space.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub(crate) [u8; 32]);

impl Digest {
    /// Parses 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(16 * digit(pair[0])? + digit(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The result of comparing an entry with its pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pinned {
    Same,
    Changed,
    New,
}

impl Pins {
    /// Creates an empty list of pins, which holds every entry back.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the pin of an entry. `key` is the name or URI that clients see.
    #[must_use]
    pub fn pin(mut self, kind: Kind, key: impl Into<String>, digest: Digest) -> Self {
        self.known[kind as usize].insert(key.into(), digest);
        self
    }

    /// Offers entries that have no pin. Without this, new entries are held back until they are
    /// pinned.
    #[must_use]
    pub const fn pass_new(mut self) -> Self {
        self.passes_new = true;
        self
    }

    #[cfg(test)]
    pub(super) const fn passes_new(&self) -> bool {
        self.passes_new
    }

    pub(super) fn compare(&self, kind: Kind, key: &str, digest: Digest) -> Pinned {
        match self.known[kind as usize].get(key) {
            Some(known) if *known == digest => Pinned::Same,
            Some(_) => Pinned::Changed,
            None if self.passes_new => Pinned::Same,
            None => Pinned::New,
        }
    }
}
