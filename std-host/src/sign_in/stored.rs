//! The tokens of a provider that are stored for a session.

use crate::provider::Tokens;
use serde::{Deserialize, Serialize};

/// The row of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) tokens: Tokens,
    /// When the tokens were refreshed.
    pub(super) refreshed: Option<u64>,
}

impl Stored {
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }
}

/// Rows, read and written on a thread that may wait for the disk.
pub(super) mod row {
    use super::Stored;
    use crate::store::{RowChange, RowKey, RowStore, Unavailable};
    use std::sync::Arc;
    use tokio::task::spawn_blocking;

    /// Reads a row. A row that cannot be read as one of a session does not exist.
    pub(in super::super) async fn get(
        rows: &Arc<dyn RowStore>,
        key: RowKey,
        now: u64,
    ) -> Result<Option<Stored>, Unavailable> {
        let rows = Arc::clone(rows);
        let read = move || {
            let mut stored = None;
            rows.update(&key, now, &mut |row| {
                stored = row.and_then(|row| serde_json::from_slice(row).ok());
                RowChange::Keep
            })
            .map(|()| stored)
        };
        spawn_blocking(read).await.unwrap_or(Err(Unavailable))
    }

    /// Writes a row until a time.
    pub(in super::super) async fn put(
        rows: &Arc<dyn RowStore>,
        key: RowKey,
        value: Vec<u8>,
        until: u64,
        now: u64,
    ) -> Result<(), Unavailable> {
        change(rows, key, now, RowChange::Put(value, until)).await
    }

    /// Replaces the value of a row that exists, and returns whether it exists. A row that was removed in the meantime stays removed.
    pub(in super::super) async fn replace(
        rows: &Arc<dyn RowStore>,
        key: RowKey,
        value: Vec<u8>,
        until: u64,
        now: u64,
    ) -> Result<bool, Unavailable> {
        let rows = Arc::clone(rows);
        let write = move || {
            let mut is_there = false;
            rows.update(&key, now, &mut |row| {
                is_there = row.is_some();
                if is_there { RowChange::Put(value.clone(), until) } else { RowChange::Keep }
            })
            .map(|()| is_there)
        };
        spawn_blocking(write).await.unwrap_or(Err(Unavailable))
    }

    /// Removes a row.
    pub(in super::super) async fn remove(rows: &Arc<dyn RowStore>, key: RowKey, now: u64) -> Result<(), Unavailable> {
        // A row that has expired does not exist, and the store removes it.
        change(rows, key, now, RowChange::Put(Vec::new(), now)).await
    }

    async fn change(rows: &Arc<dyn RowStore>, key: RowKey, now: u64, to: RowChange) -> Result<(), Unavailable> {
        let rows = Arc::clone(rows);
        let write = move || rows.update(&key, now, &mut |_| to.clone());
        spawn_blocking(write).await.unwrap_or(Err(Unavailable))
    }
}
