//! The memory budget: a limit in bytes for the memory that peers make this process hold.
//!
//! All memory that a peer can make the server hold is reserved from one [`Budget`] first: request
//! bodies, parsed arguments, answers waiting to be read, subscriptions, tokens, log lines. Each
//! caller has a smaller share of the budget. A reservation counts the capacity of a buffer, and is
//! released when the memory is freed.

mod account;
mod permit;
mod slots;
mod weight;

pub use account::Account;
pub(crate) use account::network;
pub use permit::Permit;
pub use slots::{Crowded, Slot, Slots};
pub(crate) use slots::{open_to_all, share};
pub(crate) use weight::weight;

use crate::limits::{Limits, PART};
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The memory budget of a process, in bytes. Clones share it.
///
/// Each [`ServerBuilder`](crate::ServerBuilder) has its own budget unless
/// [`ServerBuilder::budget`](crate::ServerBuilder::budget) sets one.
#[derive(Clone)]
pub struct Budget(Arc<State>);

struct State {
    whole: Pool,
    /// The maximum that one caller may hold.
    share: usize,
    /// The bytes held by callers. Each caller has a counter, found by a hash with a secret key; two
    /// callers with the same counter share it.
    callers: Box<[AtomicUsize]>,
    parts: [Pool; 4],
    /// The caches to free when memory is short.
    caches: Mutex<Vec<Weak<dyn Cache>>>,
}

/// A kind of memory that may only use a part of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Open subscriptions, of all revisions.
    Subscriptions,
    /// Log lines that have not been written yet.
    Log,
    /// Requests that wait for the keys of an issuer.
    Waiting,
    /// Access tokens in the cache of verified tokens.
    Tokens,
}

/// The reason why a reservation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdrawn {
    /// The caller already holds its share.
    Caller,
    /// The budget of the process, or of the part, is used up.
    Process,
}

impl Overdrawn {
    /// Returns the sentence for the peer.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Caller => "Your requests hold as much memory as one caller may: read the answers, or try again later",
            Self::Process => "The server's memory budget is in use: try again later",
        }
    }
}

/// A cache: memory that is kept for speed or comfort, and is freed when the budget runs short.
pub(crate) trait Cache: Send + Sync {
    /// Frees the memory that is kept for `account`, or all of it if that is `None`.
    fn free(&self, account: Option<Account>);
}

impl Budget {
    /// Creates a budget of [`Limits::memory`], of which one caller may hold
    /// [`Limits::memory_per_caller`].
    pub fn new(limits: &Limits) -> Self {
        let whole = limits.memory;
        Self(Arc::new(State {
            whole: Pool::of(whole),
            share: limits.memory_per_caller.min(whole),
            callers: (0..SLOTS).map(|_| AtomicUsize::new(0)).collect(),
            parts: [(); 4].map(|()| Pool::of(PART.min(whole / 4))),
            caches: Mutex::default(),
        }))
    }

    /// Reserves `bytes` for a new request of `account`.
    ///
    /// # Errors
    /// If the bytes do not fit into the budget or the caller's share.
    pub fn reserve(&self, account: Account, bytes: usize) -> Result<Permit, Overdrawn> {
        let mut permit = Permit::new(self.clone(), account);
        permit.more(bytes)?;
        Ok(permit)
    }

    /// Reserves `bytes` of a part, charged to no caller.
    ///
    /// # Errors
    /// If the bytes do not fit into the budget or the part.
    pub fn reserve_part(&self, part: Part, bytes: usize) -> Result<Permit, Overdrawn> {
        self.reserve(Account::UNKNOWN, bytes)?.enter(part)
    }

    /// Returns the number of bytes that are held now.
    pub fn held(&self) -> usize {
        self.0.whole.used.load(Relaxed)
    }

    /// Registers `cache` to be freed when memory is short.
    pub(crate) fn watch_over(&self, cache: Weak<dyn Cache>) {
        let mut caches = self.0.caches.lock().unwrap_or_else(PoisonError::into_inner);
        caches.retain(|cache| cache.strong_count() > 0);
        caches.push(cache);
    }

    /// Reserves `more` bytes for a request of `account` that already holds `own` bytes. If they do
    /// not fit, frees the caches and tries once more.
    fn take(&self, account: Account, own: usize, more: usize) -> Result<(), Overdrawn> {
        let short = match self.try_take(account, own, more) {
            Ok(()) => return Ok(()),
            Err(short) => short,
        };
        let caches = self.0.caches.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let account_to_free = (short == Overdrawn::Caller).then_some(account);
        caches.iter().filter_map(Weak::upgrade).for_each(|cache| cache.free(account_to_free));
        self.try_take(account, own, more)
    }

    fn try_take(&self, account: Account, own: usize, more: usize) -> Result<(), Overdrawn> {
        let slot = self.slot(account);
        if let Some(slot) = slot
            && !take(slot, self.0.share, own, more)
        {
            return Err(Overdrawn::Caller);
        }
        if !take(&self.0.whole.used, self.0.whole.limit, own, more) {
            if let Some(slot) = slot {
                slot.fetch_sub(more, Relaxed);
            }
            return Err(Overdrawn::Process);
        }
        Ok(())
    }

    fn give_back(&self, account: Account, bytes: usize) {
        self.0.whole.used.fetch_sub(bytes, Relaxed);
        if let Some(slot) = self.slot(account) {
            slot.fetch_sub(bytes, Relaxed);
        }
    }

    /// Returns the counter of `account`, or `None` for callers that cannot be told apart.
    fn slot(&self, account: Account) -> Option<&AtomicUsize> {
        let number = account.number()?;
        self.0.callers.get(usize::try_from(number % SLOTS as u64).unwrap_or_default())
    }

    fn take_part(&self, part: Part, bytes: usize) -> Result<(), Overdrawn> {
        let Pool { used, limit } = &self.0.parts[part as usize];
        if used.fetch_add(bytes, Relaxed).saturating_add(bytes) > *limit {
            used.fetch_sub(bytes, Relaxed);
            return Err(Overdrawn::Process);
        }
        Ok(())
    }

    fn give_back_part(&self, part: Part, bytes: usize) {
        self.0.parts[part as usize].used.fetch_sub(bytes, Relaxed);
    }
}

/// Adds `more` to `used` if the sum stays within `limit`, or if all other requests hold very
/// little. So the largest body and the largest answer are accepted on an idle server, even if their
/// parsed values exceed the limit.
fn take(used: &AtomicUsize, limit: usize, own: usize, more: usize) -> bool {
    let before = used.fetch_add(more, Relaxed);
    let fits = before.saturating_add(more) <= limit || before.saturating_sub(own) <= limit / IDLE;
    if !fits {
        used.fetch_sub(more, Relaxed);
    }
    fits
}

/// The number of callers' counters. If four callers hold their whole share, the chance that another
/// caller collides with one of them is one in a thousand.
const SLOTS: usize = 4096;

/// A budget counts as idle while other requests hold at most this fraction of it (one eighth).
const IDLE: usize = 8;

#[derive(Debug)]
struct Pool {
    used: AtomicUsize,
    limit: usize,
}

impl Pool {
    const fn of(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("whole", &self.0.whole).field("parts", &self.0.parts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: usize = 25;

    fn budget() -> Budget {
        Budget::new(&Limits::default().memory(100_usize).memory_per_caller(SHARE))
    }

    fn caller(number: u8) -> Account {
        Account::identity(&[number])
    }

    #[test]
    fn caller_that_holds_its_share_gets_no_more_until_it_gives_something_back_and_others_do() {
        let budget = budget();
        let held = budget.reserve(caller(1), SHARE).unwrap();
        assert_eq!(budget.reserve(caller(1), 1).err(), Some(Overdrawn::Caller));
        assert!(budget.reserve(caller(2), SHARE).is_ok());
        drop(held);
        assert!(budget.reserve(caller(1), SHARE).is_ok());
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn used_up_budget_refuses_all_callers_known_or_not() {
        let budget = budget();
        let held: Vec<_> = (1..=4).map(|number| budget.reserve(caller(number), SHARE).unwrap()).collect();
        for account in [caller(5), Account::UNKNOWN] {
            assert_eq!(budget.reserve(account, 1).err(), Some(Overdrawn::Process));
        }
        drop(held);
        assert!(budget.reserve(Account::UNKNOWN, 100).is_ok());
    }

    #[test]
    fn request_larger_than_the_budget_passes_while_others_hold_very_little() {
        let budget = budget();
        let mut large = budget.reserve(caller(1), SHARE).unwrap();
        assert_eq!(large.more(200), Ok(()));
        assert_eq!(budget.reserve(caller(2), 1).err(), Some(Overdrawn::Process));
        drop(large);
        let _other = budget.reserve(caller(2), SHARE).unwrap();
        assert_eq!(budget.reserve(caller(1), 101).err(), Some(Overdrawn::Process));
    }

    #[test]
    fn part_has_its_own_limit_and_its_bytes_are_released() {
        let budget = budget();
        for _ in 0..3 {
            let part = budget.reserve_part(Part::Log, 25).unwrap();
            assert_eq!(budget.reserve_part(Part::Log, 1).err(), Some(Overdrawn::Process));
            assert!(budget.reserve_part(Part::Tokens, 25).is_ok());
            assert_eq!(budget.held(), 25);
            drop(part);
        }
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn bytes_of_a_buffer_are_held_as_long_as_any_slice_of_it() {
        let budget = budget();
        let permit = budget.reserve(caller(1), 0).unwrap();
        let bytes = permit.hold(Vec::with_capacity(10)).unwrap();
        let mut text = permit.hold(b"0123456789".to_vec()).unwrap();
        drop((permit, bytes));
        assert_eq!(budget.held(), 10);
        let slice = text.split_to(2);
        drop(text);
        assert_eq!(budget.held(), 10);
        drop(slice);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn cache_gives_way_when_memory_is_short() {
        struct Kept(Mutex<Option<Permit>>);
        impl Cache for Kept {
            fn free(&self, _: Option<Account>) {
                *self.0.lock().unwrap() = None;
            }
        }
        let budget = budget();
        let kept: Arc<dyn Cache> = Arc::new(Kept(Mutex::new(Some(budget.reserve(caller(1), 20).unwrap()))));
        budget.watch_over(Arc::downgrade(&kept));
        assert!(budget.reserve(caller(1), 20).is_ok());
        assert_eq!(budget.held(), 0);
    }
}
