//! The output buffer of the engine on a host.

use crate::budget::{Overdrawn, Permit};
use attache_core::json::{Full, Sink};
use bytes::Bytes;

/// A sink that grows up to a limit in bytes, if the memory budget has room for it.
pub(crate) struct Growing {
    pub(crate) bytes: Vec<u8>,
    limit: usize,
    /// The reservation for its capacity.
    permit: Permit,
    overdrawn: Option<Overdrawn>,
}

impl Growing {
    /// An empty sink for at most `limit` bytes. Its memory is charged to the request of `permit`.
    pub(crate) fn charged(permit: &Permit, limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, permit: permit.another(), overdrawn: None }
    }

    /// Reserves room for the expected number of bytes. Without it, the sink grows while it is
    /// written.
    pub(crate) fn expect(mut self, expected: usize) -> Self {
        // A failure will be noticed when the bytes are written.
        let _ = self.make_room(expected.min(self.limit));
        self
    }

    /// A sink without limit for messages of the server itself, which are not charged.
    pub(crate) fn unlimited() -> Self {
        Self { bytes: Vec::new(), limit: usize::MAX, permit: Permit::uncounted(), overdrawn: None }
    }

    /// The shortage of the budget, if that is why the sink is full.
    pub(crate) const fn overdrawn(&self) -> Option<Overdrawn> {
        self.overdrawn
    }

    /// Returns the written bytes. Dropping the last slice of them gives the memory back.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.permit.into_bytes(self.bytes)
    }

    #[cold]
    fn make_room(&mut self, more: usize) -> Result<(), Full> {
        let capacity = self.bytes.capacity();
        let needed = self.bytes.len().saturating_add(more);
        if needed <= capacity {
            return Ok(());
        }
        let wanted = needed.max(capacity.saturating_mul(2).min(self.limit));
        if let Err(overdrawn) = self.permit.more(wanted - capacity) {
            self.overdrawn = Some(overdrawn);
            return Err(Full);
        }
        self.bytes.reserve_exact(wanted - self.bytes.len());
        Ok(())
    }
}

impl Sink for Growing {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(Full);
        }
        if bytes.len() > self.bytes.capacity() - self.bytes.len() {
            self.make_room(bytes.len())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::budget::{Account, Budget};

    #[test]
    fn sink_is_charged_for_its_capacity_and_is_full_where_the_budget_is() {
        let budget = Budget::new(&Limits::default().memory(1024_usize).memory_per_caller(1024));
        let _others = budget.reserve(Account::UNKNOWN, 512).unwrap();
        let permit = budget.reserve(Account::UNKNOWN, 0).unwrap();
        let mut sink = Growing::charged(&permit, usize::MAX).expect(100);
        assert_eq!(sink.put(&[b'x'; 101]), Ok(()));
        assert_eq!(budget.held(), 512 + sink.bytes.capacity());
        assert_eq!(sink.put(&[b'x'; 512]), Err(Full));
        assert_eq!((sink.overdrawn(), sink.len()), (Some(Overdrawn::Process), 101));
        let bytes = sink.into_bytes();
        assert!(budget.held() > 512);
        drop(bytes);
        assert_eq!(budget.held(), 512);
    }
}
