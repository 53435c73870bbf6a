//! Where the engine's bytes go on a host.

use attache_core::json::{Full, Sink};

/// A sink that grows, up to a limit in bytes.
pub(crate) struct Growing {
    pub(crate) bytes: Vec<u8>,
    limit: usize,
}

impl Growing {
    /// An empty sink with room for `expected` bytes, which takes `limit` at most.
    pub(crate) fn new(expected: usize, limit: usize) -> Self {
        Self { bytes: Vec::with_capacity(expected), limit }
    }

    /// A sink for messages of our own making.
    pub(crate) fn unlimited() -> Self {
        Self::new(0, usize::MAX)
    }
}

impl Sink for Growing {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(Full);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }
}
