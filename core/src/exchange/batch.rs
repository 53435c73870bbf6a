//! Batches: several messages in one array (MCP 2025-03-26 basic/index, "Batching"). Only that
//! revision has them. The messages are opened one by one; their responses form one array, in which
//! notifications have no entry.

use crate::json::Reader;
use crate::limits;
use crate::rpc::Error;

/// A batch of 1 to [`BATCH`](limits::BATCH) messages. Like a ticket, it does not hold the body.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Batch(());

impl Batch {
    /// Validates a `body` that is a JSON array.
    ///
    /// # Errors
    /// If the batch is empty (JSON-RPC 2.0 §6), has too many messages, or contains an array:
    /// batches cannot be nested.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        let mut len = 0_usize;
        for message in Messages::of(body) {
            len = len.saturating_add(1);
            if message.first() == Some(&b'[') || len > limits::BATCH {
                return Err(Error::BatchSize);
            }
        }
        if len == 0 { Err(Error::BatchSize) } else { Ok(Self(())) }
    }

    /// Iterates over the messages, in the order in which the driver must serve them. The driver
    /// opens each one with [`open_batched`](super::open_batched), with the head of the whole
    /// request.
    pub fn messages<'b>(&self, body: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        Messages::of(body)
    }
}

struct Messages<'b> {
    body: &'b [u8],
    reader: Option<Reader<'b>>,
}

impl<'b> Messages<'b> {
    fn of(body: &'b [u8]) -> Self {
        let mut reader = Reader::behind_mark(body).ok();
        if !reader.as_mut().is_some_and(|reader| matches!(reader.enter_array(), Ok(Some(_)))) {
            reader = None;
        }
        Self { body, reader }
    }
}

impl<'b> Iterator for Messages<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let reader = self.reader.as_mut()?;
        // The text was already checked as a whole, so the reader returns no error.
        match reader.element() {
            Ok(true) => Some(reader.skip().ok()?.span().of(self.body)),
            _ => None,
        }
    }
}
