//! Tables of a fixed size, shared by all callers, that no single caller can fill.

use super::Account;
use core::hash::{BuildHasherDefault, Hasher};
use core::time::Duration;
use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The slots of one table: running calls, open streams or connections. A caller may hold a share of
/// them, and the last eighth is reserved for callers that hold none.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    /// The maximum number of slots that one caller may hold.
    share: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    used: usize,
    /// The number of slots of each caller. Callers without slots have no entry.
    held: HashMap<Account, usize, BuildHasherDefault<AsItIs>>,
    waiting: VecDeque<(Account, oneshot::Sender<Slot>)>,
}

/// A slot, taken until this value is dropped.
#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    account: Account,
}

/// The reason why no slot is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// All slots are taken.
    Full,
    /// The caller holds its share, or the remaining slots are reserved for callers that hold none.
    Caller,
}

impl Slots {
    /// Creates `most` slots, of which one caller may hold `percent` percent.
    pub fn new(most: usize, percent: usize) -> Self {
        Self(Arc::new(Shared { most, share: share(most, percent), table: Mutex::default() }))
    }

    /// Takes a slot for `account`.
    ///
    /// # Errors
    /// If no slot is available for this account.
    pub fn take(&self, account: Account) -> Result<Slot, Crowded> {
        self.0.take(&mut self.0.table(), account)
    }

    /// Takes a slot for `account`, or waits up to `time` for one. A waiting caller occupies a slot
    /// of `queue`.
    pub async fn wait(&self, account: Account, queue: &Self, time: Duration) -> Option<Slot> {
        let (waiter, _queued) = {
            let mut table = self.0.table();
            if let Ok(slot) = self.0.take(&mut table, account) {
                return Some(slot);
            }
            let queued = queue.take(account).ok()?;
            // While no slot is freed, those that have given up leave the list here.
            if table.waiting.len() >= queue.0.most {
                table.waiting.retain(|(_, sender)| !sender.is_closed());
            }
            let (sender, waiter) = oneshot::channel();
            table.waiting.push_back((account, sender));
            (waiter, queued)
        };
        timeout(time, waiter).await.ok()?.ok()
    }

    /// Returns the number of taken slots.
    pub fn used(&self) -> usize {
        self.0.table().used
    }
}

/// Returns how many of `most` slots one caller may hold: at least one.
pub(crate) const fn share(most: usize, percent: usize) -> usize {
    let share = most.saturating_mul(percent) / 100;
    if share == 0 { 1 } else { share }
}

/// Returns how many of `most` slots may be used before the rest is reserved for callers that hold
/// none.
pub(crate) const fn open_to_all(most: usize) -> usize {
    most - most / 8
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks whether `account` may have one more slot.
    fn may_take(&self, table: &Table, account: Account) -> Result<(), Crowded> {
        if table.used >= self.most {
            return Err(Crowded::Full);
        }
        let held = table.held.get(&account).copied().unwrap_or_default();
        if account != Account::UNKNOWN && held > 0 && (held >= self.share || table.used >= open_to_all(self.most)) {
            return Err(Crowded::Caller);
        }
        Ok(())
    }

    fn take(self: &Arc<Self>, table: &mut Table, account: Account) -> Result<Slot, Crowded> {
        self.may_take(table, account)?;
        if account != Account::UNKNOWN {
            *table.held.entry(account).or_default() += 1;
        }
        table.used += 1;
        Ok(Slot { shared: Arc::clone(self), account })
    }

    /// Frees a slot, and hands it to the first waiting caller that may have it.
    fn free(self: &Arc<Self>, account: Account) {
        let mut table = self.table();
        table.used -= 1;
        if account != Account::UNKNOWN
            && let Entry::Occupied(mut held) = table.held.entry(account)
        {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
        if table.waiting.is_empty() {
            return;
        }
        let mut waiting = core::mem::take(&mut table.waiting);
        let mut untaken = None;
        waiting.retain_mut(|(account, sender)| {
            if sender.is_closed() {
                return false;
            }
            if untaken.is_some() {
                return true;
            }
            let Ok(slot) = self.take(&mut table, *account) else { return true };
            untaken = core::mem::replace(sender, oneshot::channel().0).send(slot).err();
            false
        });
        table.waiting = waiting;
        // If that caller has just stopped waiting, its slot goes to the next one. The table is
        // unlocked first, because dropping the slot locks it again.
        drop(table);
        drop(untaken);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.free(self.account);
    }
}

/// A hasher that returns accounts unchanged, because they are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only accounts are hashed.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(number: u32) -> Account {
        Account::identity(&number.to_be_bytes())
    }

    #[test]
    fn caller_gets_its_share_and_the_last_eighth_is_for_callers_that_hold_none() {
        let slots = Slots::new(16, 50);
        let greedy: Vec<_> = (0..8).map(|_| slots.take(caller(1)).unwrap()).collect();
        assert_eq!(slots.take(caller(1)).err(), Some(Crowded::Caller));
        let second: Vec<_> = (0..6).map(|_| slots.take(caller(2)).unwrap()).collect();
        assert_eq!(slots.take(caller(2)).err(), Some(Crowded::Caller));
        let rest = [slots.take(caller(3)).unwrap(), slots.take(caller(4)).unwrap()];
        assert_eq!(slots.take(caller(5)).err(), Some(Crowded::Full));
        drop((greedy, second, rest));
        assert!(slots.take(caller(1)).is_ok());
    }

    #[test]
    fn callers_that_cannot_be_told_apart_may_take_all_slots_and_a_table_of_one_slot_serves_any_caller() {
        let slots = Slots::new(8, 50);
        let all: Vec<_> = (0..8).map(|_| slots.take(Account::UNKNOWN).unwrap()).collect();
        assert_eq!(slots.take(Account::UNKNOWN).err(), Some(Crowded::Full));
        drop(all);
        assert!(Slots::new(1, 50).take(caller(1)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn slot_that_is_freed_goes_to_the_first_that_waits_and_may_have_it() {
        let (slots, queue) = (Slots::new(2, 50), Slots::new(8, 50));
        let [first, other] = [slots.take(caller(1)).unwrap(), slots.take(caller(2)).unwrap()];
        let wait = |number| {
            let (slots, queue) = (slots.clone(), queue.clone());
            tokio::spawn(async move { slots.wait(caller(number), &queue, Duration::from_secs(5)).await })
        };
        let (again, third) = (wait(1), wait(3));
        tokio::task::yield_now().await;
        // The first waiting caller still holds its share.
        drop(other);
        let third = third.await.unwrap().expect("a slot");
        drop(third);
        assert!(!again.is_finished());
        drop(first);
        assert!(again.await.unwrap().is_some());
        assert_eq!((slots.used(), queue.used()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn no_caller_overtakes_one_that_waits_and_could_have_the_slot() {
        let (slots, queue) = (Slots::new(16, 50), Slots::new(64, 100));
        let mut held: VecDeque<Slot> = VecDeque::new();
        let mut waiting: VecDeque<(u32, tokio::task::JoinHandle<Option<Slot>>)> = VecDeque::new();
        for round in 0..2_000_u32 {
            let number = round * 7 % 11;
            let wait = (slots.clone(), queue.clone());
            let task = tokio::spawn(async move { wait.0.wait(caller(number), &wait.1, Duration::from_secs(5)).await });
            waiting.push_back((number, task));
            if round % 3 > 0 {
                drop(held.remove(round as usize % held.len().max(1)));
            }
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            let mut left = VecDeque::new();
            for (number, task) in waiting {
                match task.is_finished() {
                    true => held.extend(task.await.unwrap()),
                    false => left.push_back((number, task)),
                }
            }
            waiting = left;
            // A caller that still waits could not have a slot, so a newcomer takes none from it.
            let table = slots.0.table();
            for (number, _) in &waiting {
                assert!(slots.0.may_take(&table, caller(*number)).is_err(), "round {round}, caller {number}");
            }
        }
        assert!(!held.is_empty() && waiting.len() > 2, "{} {}", held.len(), waiting.len());
    }

    #[tokio::test(start_paused = true)]
    async fn caller_that_waits_too_long_gets_no_slot_and_leaves_no_entry() {
        let (slots, queue) = (Slots::new(1, 50), Slots::new(1, 50));
        let held = slots.take(caller(1)).unwrap();
        assert!(slots.wait(caller(2), &queue, Duration::from_secs(5)).await.is_none());
        assert_eq!(queue.used(), 0);
        drop(held);
        assert!(slots.0.table().waiting.is_empty() && slots.take(caller(2)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn list_of_those_that_wait_does_not_grow_while_no_slot_is_freed() {
        let (slots, queue) = (Slots::new(1, 50), Slots::new(8, 100));
        let _held = slots.take(caller(1)).unwrap();
        for number in 0..10_000 {
            assert!(slots.wait(caller(number), &queue, Duration::from_secs(5)).await.is_none());
        }
        assert!(slots.0.table().waiting.len() <= 8);
    }

    #[test]
    fn table_of_callers_is_as_large_after_ten_thousand_of_them_as_before() {
        let slots = Slots::new(16, 50);
        for number in 0..10_000 {
            drop(slots.take(caller(number)).unwrap());
        }
        assert!(slots.0.table().held.is_empty());
    }
}
