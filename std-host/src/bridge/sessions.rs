//! The connections of callers to an upstream of an older revision.

use super::domain::Domain;
use super::upstream::Connection;
use crate::client::Error;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The connections of callers, by what may share one.
pub(super) struct Sessions {
    slots: Mutex<HashMap<Domain, Arc<Slot>>>,
    most: usize,
}

#[derive(Default)]
struct Slot {
    /// Locked while it is being made, so that calls that come together share it.
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    used: Mutex<Option<Instant>>,
}

impl Sessions {
    pub(super) fn new(most: usize) -> Self {
        Self { slots: Mutex::default(), most }
    }

    /// The connection of a domain, which `connect` makes if there is none. `None` if there are too many.
    pub(super) async fn of(
        &self,
        domain: &Domain,
        connect: impl Future<Output = Result<Connection, Error>>,
    ) -> Option<Result<Arc<Connection>, Error>> {
        let slot = self.slot(domain)?;
        let mut connection = slot.connection.lock().await;
        *slot.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if let Some(known) = &*connection {
            return Some(Ok(Arc::clone(known)));
        }
        Some(connect.await.map(|made| Arc::clone(connection.insert(Arc::new(made)))))
    }

    /// Forgets a connection that has failed. Calls that run on it are not disturbed.
    pub(super) fn forget(&self, failed: &Arc<Connection>) {
        self.lock().retain(|_, slot| {
            let connection = slot.connection.try_lock();
            !connection.is_ok_and(|known| known.as_ref().is_some_and(|known| Arc::ptr_eq(known, failed)))
        });
    }

    /// Closes connections that were not used for a while.
    pub(super) fn sweep(&self, idle: Duration) {
        self.lock().retain(|_, slot| !slot.is_idle(|used| used.elapsed() >= idle));
    }

    /// Takes all connections out.
    pub(super) fn take(&self) -> Vec<Arc<Connection>> {
        let slots = core::mem::take(&mut *self.lock());
        slots.into_values().filter_map(|slot| slot.connection.try_lock().ok()?.take()).collect()
    }

    fn slot(&self, domain: &Domain) -> Option<Arc<Slot>> {
        let mut slots = self.lock();
        if !slots.contains_key(domain) && slots.len() >= self.most {
            let idle = slots.iter().filter(|(_, slot)| slot.is_idle(|_| true));
            let oldest = idle.min_by_key(|(_, slot)| *slot.used.lock().unwrap_or_else(PoisonError::into_inner));
            let oldest = oldest.map(|(domain, _)| domain.clone())?;
            slots.remove(&oldest);
        }
        Some(Arc::clone(slots.entry(domain.clone()).or_default()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Domain, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether no call runs on it, and its last use is old enough.
    fn is_idle(&self, is_old: impl FnOnce(Instant) -> bool) -> bool {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = self.connection.try_lock().is_ok_and(|known| known.as_ref().is_none_or(|known| known.is_free()));
        is_free && used.is_some_and(is_old)
    }
}
