//! Several messages in one array (MCP 2025-03-26 basic/index, "Batching"): no other revision has them. Its messages are opened
//! one by one; their answers make up one array, in which those of notifications are left out.

use crate::json::Reader;
use crate::limits;
use crate::rpc::Error;

/// A batch of at least one and at most [`BATCH`](limits::BATCH) messages. Like a ticket it does not hold the body.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Batch(());

impl Batch {
    /// The batch that `body` is, which is a JSON array.
    ///
    /// # Errors
    /// If it is empty (JSON-RPC 2.0 §6), has too many messages, or arrays in it: a batch in a batch is none.
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

    /// The messages, in the order in which they are to be served. Each is opened by [`open_batched`](super::open_batched) with
    /// the head of the whole.
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
        // The text was checked as a whole, so no error comes from it.
        match reader.element() {
            Ok(true) => Some(reader.skip().ok()?.span().of(self.body)),
            _ => None,
        }
    }
}
