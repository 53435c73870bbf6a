//! The table of open connections. Each caller has a share of it. When the table is full, the
//! connection that has been idle longest is closed.

use super::timers::ConnectionTimers;
use crate::Limits;
use crate::budget::{Account, Crowded, Slot, Slots};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The open connections. Clones share the table.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    slots: Slots,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    newest: u64,
    list: HashMap<u64, (Account, Arc<ConnectionTimers>)>,
}

/// The table entry of a connection, held until this value is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    timers: Arc<ConnectionTimers>,
    open: Arc<Mutex<Open>>,
    _slot: Slot,
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { slots: Slots::new(limits.connections, limits.share), open: Arc::default() }
    }

    /// Admits a connection of `account` to the table. If the table is full, closes the longest idle
    /// connection; if the caller has used its share, only a connection of that caller. Without an
    /// idle connection, waits for a free slot. Returns `None` if the caller's share is in use.
    pub(super) async fn admit(&self, account: Account, limits: &Arc<Limits>) -> Option<Entry> {
        loop {
            let crowded = match self.slots.take(account) {
                Ok(slot) => return Some(self.enter(account, slot, limits)),
                Err(crowded) => crowded,
            };
            let of = (crowded == Crowded::Caller).then_some(account);
            if !self.give_way(of) && crowded == Crowded::Caller {
                return None;
            }
            let queue = Slots::new(1, 100);
            if let Some(slot) = self.slots.wait(account, &queue, AGAIN).await {
                return Some(self.enter(account, slot, limits));
            }
        }
    }

    fn enter(&self, account: Account, slot: Slot, limits: &Arc<Limits>) -> Entry {
        let timers = ConnectionTimers::new(limits);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.newest += 1;
        let number = open.newest;
        open.list.insert(number, (account, Arc::clone(&timers)));
        Entry { number, timers, open: Arc::clone(&self.open), _slot: slot }
    }

    /// Closes the longest idle connection, of this account if one is given. Returns `false` if none
    /// is idle.
    fn give_way(&self, of: Option<Account>) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let among = open.list.values().filter(|(account, _)| of.is_none_or(|of| of == *account));
        let idle = among.filter_map(|(_, timers)| Some((timers.idle_since()?, timers)));
        let longest = idle.min_by_key(|(since, _)| *since);
        longest.map(|(_, timers)| timers.give_way()).is_some()
    }
}

/// The interval at which a waiting connection looks again for an idle one.
const AGAIN: Duration = Duration::from_millis(100);

impl Entry {
    pub(super) const fn timers(&self) -> &Arc<ConnectionTimers> {
        &self.timers
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).list.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections: usize) -> Arc<Limits> {
        Arc::new(Limits::default().connections(connections))
    }

    #[tokio::test(start_paused = true)]
    async fn caller_with_its_share_in_use_gets_no_further_connection_and_others_do() {
        let limits = limits(4);
        let connections = Connections::new(&limits);
        let [greedy, other] = [b"a", b"b"].map(|identity| Account::identity(identity));
        let held = [connections.admit(greedy, &limits).await, connections.admit(greedy, &limits).await];
        let busy: Vec<_> = held.iter().flatten().map(|entry| entry.timers().begin(false)).collect();
        assert!(connections.admit(greedy, &limits).await.is_none());
        assert!(connections.admit(other, &limits).await.is_some());
        drop(busy);
        // Its own connections are idle now: one of them is asked to close.
        let waits = connections.admit(greedy, &limits);
        tokio::pin!(waits);
        let [first, second] = held.each_ref().map(|entry| entry.as_ref().unwrap().timers());
        tokio::select! {
            biased;
            _ = &mut waits => panic!("there is no slot yet"),
            () = first.is_to_give_way() => {}
            () = second.is_to_give_way() => {}
        }
        drop(held);
        assert!(waits.await.is_some());
    }

    #[tokio::test]
    async fn table_is_empty_after_ten_thousand_connections() {
        let limits = limits(16);
        let connections = Connections::new(&limits);
        for number in 0..10_000_u32 {
            drop(connections.admit(Account::identity(&number.to_be_bytes()), &limits).await.unwrap());
        }
        assert_eq!(connections.slots.used(), 0);
        assert!(connections.open.lock().unwrap().list.is_empty());
    }
}
