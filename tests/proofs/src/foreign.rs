//! The source of foreign input for a proof: bytes, and choices made by bytes.

/// Input that is consumed from its front. At its end it gives zeros and empty pieces.
pub(crate) struct Foreign<'a> {
    rest: &'a [u8],
}

impl<'a> Foreign<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        *byte
    }

    /// Returns any number, not only small ones.
    pub(crate) fn number(&mut self) -> usize {
        usize::from_le_bytes(core::array::from_fn(|_| self.byte()))
    }

    /// Returns the bytes up to the next zero byte.
    pub(crate) fn piece(&mut self) -> &'a [u8] {
        let mut parts = self.rest.splitn(2, |&byte| byte == 0);
        let piece = parts.next().unwrap_or_default();
        self.rest = parts.next().unwrap_or_default();
        piece
    }

    /// Returns a piece that is UTF-8, as the strings of an application are.
    pub(crate) fn string(&mut self) -> &'a str {
        core::str::from_utf8(self.piece()).unwrap_or_default()
    }

    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }
}
