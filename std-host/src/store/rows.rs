//! Rows of bytes that are changed one at a time: the grants of an authorization server.

use crate::limits;
use core::fmt;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The key of a row: random bytes.
pub type RowKey = [u8; 16];

/// The change of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// It stays as it is.
    Keep,
    /// It gets this value, and may be removed from this time on, in seconds since 1970.
    Put(Vec<u8>, u64),
}

/// The store cannot read or write the row right now: it is full, or its disk or its connection fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store cannot read or write right now")
    }
}

impl core::error::Error for Unavailable {}

/// A store of rows. When [`update`](RowStore::update) returns, the change is durable, as far as the store is.
pub trait RowStore: Send + Sync + 'static {
    /// Reads the row with this key, and changes it as `change` says. No other update of the row happens in between. A row whose
    /// time has passed at `now` does not exist.
    ///
    /// # Errors
    /// [`Unavailable`], and then the row is unchanged. A store may call `change` several times, and uses its last result.
    fn update(
        &self,
        key: &RowKey,
        now: u64,
        change: &mut dyn FnMut(Option<&[u8]>) -> RowChange,
    ) -> Result<(), Unavailable>;
}

/// A [`RowStore`] in the memory of this process, for at most [`ROWS`](limits::ROWS) rows.
#[derive(Default)]
pub struct MemoryRows(Mutex<HashMap<RowKey, (Vec<u8>, u64)>>);

impl RowStore for MemoryRows {
    fn update(
        &self,
        key: &RowKey,
        now: u64,
        change: &mut dyn FnMut(Option<&[u8]>) -> RowChange,
    ) -> Result<(), Unavailable> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.get(key).filter(|(_, until)| *until > now);
        let is_new = row.is_none();
        if let RowChange::Put(value, until) = change(row.map(|(value, _)| value.as_slice())) {
            if is_new && rows.len() >= limits::ROWS {
                rows.retain(|_, (_, until)| *until > now);
            }
            if is_new && rows.len() >= limits::ROWS {
                return Err(Unavailable);
            }
            rows.insert(*key, (value, until));
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRows").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> RowKey {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn full_store_takes_new_rows_again_when_old_ones_have_expired() {
        let rows = MemoryRows::default();
        let put = |number, now, until| rows.update(&key(number), now, &mut |_| RowChange::Put(vec![1], until));
        for number in 0..limits::ROWS {
            put(number, 0, 10 + u64::from(number > 0)).expect("there is room");
        }
        assert_eq!(put(limits::ROWS, 9, 100), Err(Unavailable));
        // A row that exists can be changed although the store is full.
        put(1, 9, 11).expect("it is there");
        put(limits::ROWS, 10, 100).expect("one row has expired");
        assert_eq!(put(limits::ROWS + 1, 10, 100), Err(Unavailable));
        let mut seen = None;
        rows.update(&key(1), 11, &mut |row| {
            seen = row.map(<[u8]>::to_vec);
            RowChange::Keep
        })
        .expect("available");
        assert_eq!(seen, None, "an expired row does not exist");
    }
}
