//! The connections of users to an upstream of an older revision.

use super::connection::{Connection, Lent};
use super::domain::{Profile, User};
use crate::client::Error;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The connections of users.
pub(super) struct Sessions {
    table: Mutex<Table>,
    most: usize,
    /// The first and the longest wait after a connection that could not be made.
    back_off: (Duration, Duration),
}

#[derive(Default)]
struct Table {
    /// The connections that the calls of one user share.
    users: HashMap<User, Arc<Slot>>,
    /// The connections that are lent to one call at a time, with what they have declared.
    alone: Vec<(Profile, Arc<Slot>)>,
}

#[derive(Default)]
struct Slot {
    /// Locked while it is being made, so that calls that come together share it.
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    used: Mutex<Option<Instant>>,
    failure: Mutex<Option<Failure>>,
}

/// A connection that could not be made.
struct Failure {
    error: Error,
    until: Instant,
    wait: Duration,
}

impl Sessions {
    pub(super) fn new(most: usize, back_off: (Duration, Duration)) -> Self {
        Self { table: Mutex::default(), most, back_off }
    }

    /// The connection of a user, which `connect` makes if there is none. After a failure, the calls
    /// of this user fail with the same error for a while, so that they do not start a child again and
    /// again that ends at once. `None` if there are too many connections.
    pub(super) async fn of(
        &self,
        user: &User,
        connect: impl Future<Output = Result<Connection, Error>>,
    ) -> Option<Result<Lent, Error>> {
        let slot = self.slot_of(user)?;
        let mut connection = slot.connection.lock().await;
        slot.touch();
        if let Some(known) = &*connection {
            return Some(Ok(Lent::shared(Arc::clone(known))));
        }
        if let Some(error) = slot.recent_failure() {
            return Some(Err(error));
        }
        let made = connect.await;
        slot.note(made.as_ref().err(), self.back_off);
        Some(made.map(|made| Lent::shared(Arc::clone(connection.insert(Arc::new(made))))))
    }

    /// A connection for one call alone: one that no call uses, or one that `connect` makes. `None`
    /// if there are too many.
    pub(super) async fn alone(
        &self,
        profile: &Profile,
        connect: impl Future<Output = Result<Connection, Error>>,
    ) -> Option<Result<Lent, Error>> {
        let slot = loop {
            match self.free(profile) {
                Ok(lent) if lent.is_quiet().await => return Some(Ok(lent)),
                Ok(lent) => self.forget(&lent),
                Err(slot) => break slot?,
            }
        };
        let mut connection = slot.connection.lock().await;
        slot.touch();
        let made = match connect.await {
            Ok(made) => Arc::new(made),
            Err(error) => {
                self.lock().alone.retain(|(_, other)| !Arc::ptr_eq(other, &slot));
                return Some(Err(error));
            }
        };
        // The connection is in no table yet, so no other call has it.
        let lent = made.lend().ok_or(Error::Closed);
        // Marks the connection as used.
        made.is_quiet().await;
        *connection = Some(made);
        Some(lent)
    }

    /// Returns the number of connections.
    pub(super) fn len(&self) -> usize {
        let table = self.lock();
        table.users.len() + table.alone.len()
    }

    /// Forgets a connection that has failed. Calls that run on it are not disturbed.
    pub(super) fn forget(&self, failed: &Arc<Connection>) {
        self.lock().retain(|slot| {
            let connection = slot.connection.try_lock();
            !connection.is_ok_and(|known| known.as_ref().is_some_and(|known| Arc::ptr_eq(known, failed)))
        });
    }

    /// Closes the connection of a session that its client has ended, when no call uses it any more.
    pub(super) fn end(&self, session: [u8; 16]) {
        self.lock().users.retain(|user, _| user.session != Some(session));
    }

    /// Closes idle connections, and those that no call may use any more.
    pub(super) fn sweep(&self, idle: Duration) {
        self.lock().retain(|slot| !slot.is_idle(|used| used.elapsed() >= idle));
        self.lock().alone.retain(|(_, slot)| !slot.is_spoilt());
    }

    /// Takes all connections out.
    pub(super) fn take(&self) -> Vec<Arc<Connection>> {
        let Table { users, alone } = core::mem::take(&mut *self.lock());
        let slots = users.into_values().chain(alone.into_iter().map(|(_, slot)| slot));
        slots.filter_map(|slot| slot.connection.try_lock().ok()?.take()).collect()
    }

    /// A connection with this profile that no call uses, or a slot for another one; `None` if there
    /// are too many.
    fn free(&self, profile: &Profile) -> Result<Lent, Option<Arc<Slot>>> {
        let mut table = self.lock();
        table.alone.retain(|(_, slot)| !slot.is_spoilt());
        // The newest first, so that calls that follow each other find the state of the last one.
        for (_, slot) in table.alone.iter().rev().filter(|(known, _)| known == profile) {
            let lent = slot.connection.try_lock().ok().and_then(|known| known.as_ref()?.lend());
            if let Some(lent) = lent {
                slot.touch();
                return Ok(lent);
            }
        }
        if !table.make_room(self.most) {
            return Err(None);
        }
        let slot = Arc::new(Slot::default());
        table.alone.push((profile.clone(), Arc::clone(&slot)));
        Err(Some(slot))
    }

    fn slot_of(&self, user: &User) -> Option<Arc<Slot>> {
        let mut table = self.lock();
        if !table.users.contains_key(user) && !table.make_room(self.most) {
            return None;
        }
        Some(Arc::clone(table.users.entry(user.clone()).or_default()))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn retain(&mut self, is_kept: impl Fn(&Slot) -> bool) {
        self.users.retain(|_, slot| is_kept(slot));
        self.alone.retain(|(_, slot)| is_kept(slot));
    }

    /// Makes room for one more connection: closes the one that was not used for the longest time.
    /// Returns `false` if all of them are in use.
    fn make_room(&mut self, most: usize) -> bool {
        if self.users.len() + self.alone.len() < most {
            return true;
        }
        let slots = self.users.values().chain(self.alone.iter().map(|(_, slot)| slot));
        let oldest = slots.filter(|slot| slot.is_idle(|_| true)).min_by_key(|slot| slot.last_use());
        let Some(oldest) = oldest.map(Arc::clone) else { return false };
        self.retain(|slot| !core::ptr::eq(slot, &*oldest));
        true
    }
}

impl Slot {
    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns the error of a recent failure.
    fn recent_failure(&self) -> Option<Error> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().filter(|failure| Instant::now() < failure.until).map(|failure| failure.error.clone())
    }

    /// Records a success or a failure. Each further failure doubles the wait.
    fn note(&self, error: Option<&Error>, (first, most): (Duration, Duration)) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = error.map(|error| {
            let wait = failure.as_ref().map_or(first, |failure| failure.wait.saturating_mul(2).min(most));
            Failure { error: error.clone(), until: Instant::now() + wait, wait }
        });
    }

    fn last_use(&self) -> Option<Instant> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no call runs on it, and its last use is old enough.
    fn is_idle(&self, is_old: impl FnOnce(Instant) -> bool) -> bool {
        let is_free = self.connection.try_lock().is_ok_and(|known| known.as_ref().is_none_or(Connection::is_free));
        is_free && self.last_use().is_some_and(is_old)
    }

    /// Whether no further call may use it alone. A call that has it goes on.
    fn is_spoilt(&self) -> bool {
        self.connection.try_lock().is_ok_and(|known| known.as_ref().is_some_and(|known| known.is_spoilt()))
    }
}
