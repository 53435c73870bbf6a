//! Permits for reserved bytes, and buffers that hold them.

use super::{Account, Budget, Overdrawn, Part};
use bytes::Bytes;
use core::fmt;

/// Reserved bytes, released when the permit is dropped. A request may have several permits; all of
/// them count as its own.
#[derive(Default)]
pub struct Permit {
    /// `None` if memory is not counted.
    budget: Option<Budget>,
    account: Account,
    bytes: usize,
    /// The bytes that the same request held when this permit was made.
    siblings: usize,
    part: Option<Part>,
}

impl Permit {
    pub(super) const fn new(budget: Budget, account: Account) -> Self {
        Self { budget: Some(budget), account, bytes: 0, siblings: 0, part: None }
    }

    /// Creates a permit for memory that is not counted, such as that of a client in memory.
    pub(crate) fn uncounted() -> Self {
        Self::default()
    }

    /// Returns the number of reserved bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the account that is charged.
    pub(crate) const fn account(&self) -> Account {
        self.account
    }

    /// Reserves more bytes.
    ///
    /// # Errors
    /// If the bytes do not fit. The permit is then unchanged.
    pub fn more(&mut self, bytes: usize) -> Result<(), Overdrawn> {
        let Some(budget) = self.budget.as_ref().filter(|_| bytes > 0) else { return Ok(()) };
        if let Some(part) = self.part {
            budget.take_part(part, bytes)?;
        }
        if let Err(overdrawn) = budget.take(self.account, self.siblings + self.bytes, bytes) {
            if let Some(part) = self.part {
                budget.give_back_part(part, bytes);
            }
            return Err(overdrawn);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Releases all but `bytes` bytes.
    pub fn keep(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        let Some(budget) = self.budget.as_ref().filter(|_| surplus > 0) else { return };
        budget.give_back(self.account, surplus);
        if let Some(part) = self.part {
            budget.give_back_part(part, surplus);
        }
        self.bytes -= surplus;
    }

    /// Creates another permit for the same request, with no bytes yet.
    pub fn another(&self) -> Self {
        let siblings = self.siblings + self.bytes;
        Self { budget: self.budget.clone(), account: self.account, bytes: 0, siblings, part: None }
    }

    /// Moves `bytes` bytes of this permit into another permit for the same request.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        let mut split = self.another();
        (split.bytes, split.part) = (bytes, self.part);
        self.bytes -= bytes;
        split
    }

    /// Takes over the bytes of another permit, which count for the caller of this one from now on.
    ///
    /// # Errors
    /// If the permits have different callers and the bytes do not fit into the share of this one.
    pub(crate) fn absorb(&mut self, mut other: Self) -> Result<(), Overdrawn> {
        if self.account != other.account || self.budget.is_none() {
            return self.more(other.bytes);
        }
        other.leave();
        self.bytes += core::mem::take(&mut other.bytes);
        Ok(())
    }

    /// Creates a permit with no bytes for memory that outlives the request. The same caller is
    /// charged.
    pub(crate) fn of_its_own(&self) -> Self {
        let mut own = self.another();
        own.siblings = 0;
        own
    }

    /// Also counts the bytes towards a part.
    ///
    /// # Errors
    /// If the bytes do not fit into the part.
    pub fn enter(mut self, part: Part) -> Result<Self, Overdrawn> {
        self.join(part)?;
        Ok(self)
    }

    /// Like [`enter`](Permit::enter), but ends with [`leave`](Permit::leave).
    pub(crate) fn join(&mut self, part: Part) -> Result<(), Overdrawn> {
        if let Some(budget) = &self.budget {
            budget.take_part(part, self.bytes)?;
            self.part = Some(part);
        }
        Ok(())
    }

    /// No longer counts the bytes towards a part.
    pub(crate) fn leave(&mut self) {
        if let (Some(budget), Some(part)) = (&self.budget, self.part.take()) {
            budget.give_back_part(part, self.bytes);
        }
    }

    /// Reserves the capacity of a buffer. It is released when the last slice of the buffer is
    /// dropped.
    ///
    /// # Errors
    /// If the capacity does not fit.
    pub fn hold(&self, buffer: Vec<u8>) -> Result<Bytes, Overdrawn> {
        let mut permit = self.another();
        permit.more(buffer.capacity())?;
        Ok(permit.into_bytes(buffer))
    }

    /// Turns a buffer into shared bytes. This permit covers its capacity.
    pub(crate) fn into_bytes(self, buffer: Vec<u8>) -> Bytes {
        match &self.budget {
            None => buffer.into(),
            Some(_) => Bytes::from_owner(Held { buffer, _permit: self }),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.keep(0);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("bytes", &self.bytes).field("part", &self.part).finish_non_exhaustive()
    }
}

/// A buffer and the permit for it.
struct Held {
    buffer: Vec<u8>,
    _permit: Permit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}
