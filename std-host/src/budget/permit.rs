//! Bytes that were reserved, and buffers that hold them.

use super::{Account, Budget, Overdrawn, Part};
use bytes::Bytes;
use core::fmt;

/// Bytes that were reserved. They are given back when this is dropped. A request may have several; all count as that request's own.
#[derive(Default)]
pub struct Permit {
    /// Nothing where nothing is counted.
    budget: Option<Budget>,
    account: Account,
    bytes: usize,
    /// What the same request held when this permit was made.
    siblings: usize,
    part: Option<Part>,
}

impl Permit {
    pub(super) const fn new(budget: Budget, account: Account) -> Self {
        Self { budget: Some(budget), account, bytes: 0, siblings: 0, part: None }
    }

    /// A permit of what is not counted: for a client in memory.
    pub(crate) fn uncounted() -> Self {
        Self::default()
    }

    /// Bytes that it is for.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who is charged.
    pub(crate) const fn account(&self) -> Account {
        self.account
    }

    /// Reserves more bytes.
    ///
    /// # Errors
    /// If they do not fit; then it is as before.
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

    /// Gives back what is above `bytes`.
    pub fn keep(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        let Some(budget) = self.budget.as_ref().filter(|_| surplus > 0) else { return };
        budget.give_back(self.account, surplus);
        if let Some(part) = self.part {
            budget.give_back_part(part, surplus);
        }
        self.bytes -= surplus;
    }

    /// Another permit of the same request, for nothing yet.
    pub fn another(&self) -> Self {
        let siblings = self.siblings + self.bytes;
        Self { budget: self.budget.clone(), account: self.account, bytes: 0, siblings, part: None }
    }

    /// Another permit of the same request, for so many of the bytes of this one.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        let mut split = self.another();
        (split.bytes, split.part) = (bytes, self.part);
        self.bytes -= bytes;
        split
    }

    /// A permit for what outlives the request, for nothing yet: it is charged to the same caller.
    pub(crate) fn of_its_own(&self) -> Self {
        let mut own = self.another();
        own.siblings = 0;
        own
    }

    /// Counts its bytes to a part, too.
    ///
    /// # Errors
    /// If they do not fit into it.
    pub fn enter(mut self, part: Part) -> Result<Self, Overdrawn> {
        self.join(part)?;
        Ok(self)
    }

    /// As [`enter`](Permit::enter), until [`leave`](Permit::leave).
    pub(crate) fn join(&mut self, part: Part) -> Result<(), Overdrawn> {
        if let Some(budget) = &self.budget {
            budget.take_part(part, self.bytes)?;
            self.part = Some(part);
        }
        Ok(())
    }

    /// Counts its bytes to no part any more.
    pub(crate) fn leave(&mut self) {
        if let (Some(budget), Some(part)) = (&self.budget, self.part.take()) {
            budget.give_back_part(part, self.bytes);
        }
    }

    /// Reserves the capacity of a buffer, and gives it back when the last slice of it is dropped.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn hold(&self, buffer: Vec<u8>) -> Result<Bytes, Overdrawn> {
        let mut permit = self.another();
        permit.more(buffer.capacity())?;
        Ok(permit.into_bytes(buffer))
    }

    /// The bytes of a buffer whose capacity this permit is for.
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
