//! Reads the bytes of a connection, one piece at a time.

use core::future::pending;
use embedded_io_async::Read;

/// Bytes read at a time, in the connection's task.
const PIECE: usize = 128;

/// The reading half of a connection, and the unused rest of the last piece.
pub(super) struct Source<R> {
    rx: R,
    piece: [u8; PIECE],
    start: usize,
    end: usize,
}

/// The connection is unusable: it has failed, or its client has disconnected or receives nothing.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Gone;

impl<R: Read> Source<R> {
    pub(super) const fn new(rx: R) -> Self {
        Self { rx, piece: [0; PIECE], start: 0, end: 0 }
    }

    /// Lets `take` use bytes from the front of the unused ones.
    pub(super) fn with<T>(&mut self, take: impl FnOnce(&mut &[u8]) -> T) -> T {
        let mut input = self.piece.get(self.start..self.end).unwrap_or_default();
        let taken = take(&mut input);
        self.start = self.end.saturating_sub(input.len());
        taken
    }

    /// Reads more, if all bytes were used; `false` at the end of the stream.
    pub(super) async fn more(&mut self) -> Result<bool, Gone> {
        if self.start < self.end {
            return Ok(true);
        }
        self.start = 0;
        self.end = 0;
        self.end = self.rx.read(&mut self.piece).await.map_err(|_| Gone)?;
        Ok(self.end > 0)
    }

    /// Waits until the client has closed the connection. Data that the client sends in the meantime
    /// is kept; until it is read, a close behind it is not seen.
    pub(super) async fn gone(&mut self) {
        if matches!(self.more().await, Ok(true)) {
            pending::<()>().await;
        }
    }
}
