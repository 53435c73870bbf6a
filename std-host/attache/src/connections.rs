//! The table of connections: a caller has a share of it, and when it is full the connection that has been idle longest gives way.

use super::pace::Pace;
use attache_host::Limits;
use attache_host::budget::{Account, Crowded, Slot, Slots};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The connections that are open. Clones share the table.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    slots: Slots,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    newest: u64,
    list: HashMap<u64, (Account, Arc<Pace>)>,
}

/// The entry of a connection, until this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    pace: Arc<Pace>,
    open: Arc<Mutex<Open>>,
    _slot: Slot,
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { slots: Slots::new(limits.connections, limits.share), open: Arc::default() }
    }

    /// An entry for a connection of `account`. Where there is none, the longest idle connection gives way, of that caller if it has its
    /// share. Where none is idle either, it waits; nothing if the caller's share is in use.
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
        let pace = Pace::new(limits);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.newest += 1;
        let number = open.newest;
        open.list.insert(number, (account, Arc::clone(&pace)));
        Entry { number, pace, open: Arc::clone(&self.open), _slot: slot }
    }

    /// Ends the longest idle connection, of this account if there is one; `false` if none is idle.
    fn give_way(&self, of: Option<Account>) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let among = open.list.values().filter(|(account, _)| of.is_none_or(|of| of == *account));
        let idle = among.filter_map(|(_, pace)| Some((pace.idle_since()?, pace)));
        let longest = idle.min_by_key(|(since, _)| *since);
        longest.map(|(_, pace)| pace.give_way()).is_some()
    }
}

/// How long a connection waits for a slot until it is looked again whether another one is idle.
const AGAIN: Duration = Duration::from_millis(100);

impl Entry {
    pub(super) const fn pace(&self) -> &Arc<Pace> {
        &self.pace
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
        let busy: Vec<_> = held.iter().flatten().map(|entry| entry.pace().begin(false)).collect();
        assert!(connections.admit(greedy, &limits).await.is_none());
        assert!(connections.admit(other, &limits).await.is_some());
        drop(busy);
        // Its own are idle now: one of them is asked to give way.
        let waits = connections.admit(greedy, &limits);
        tokio::pin!(waits);
        let [first, second] = held.each_ref().map(|entry| entry.as_ref().unwrap().pace());
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
