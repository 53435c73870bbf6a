//! Admission control: slots for calls and subscriptions, memory for their buffers, and rate limits
//! per caller.

use crate::budget::{Account, Overdrawn, Part, Permit, Slot, Slots, network, weight};
use crate::limits::{self, CALLERS, Limits, Rate};
use attache_core::auth::Authenticated;
use attache_core::exchange::{Listen, Next};
use attache_core::rpc::Error;
use core::hash::Hash;
use core::net::IpAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// The slots and rate limits of one server.
#[derive(Debug)]
pub(crate) struct Admission {
    calls: Slots,
    waiting: Slots,
    wait: Duration,
    streams: Slots,
    by_address: Option<Buckets<Option<IpAddr>>>,
    by_identity: Option<Buckets<[u8; 32]>>,
}

/// The slot and memory that a message holds until it is answered.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Its slot among the calls or the streams, if it needs one.
    pub(crate) _slot: Option<Slot>,
    /// The memory that it holds.
    pub(crate) permit: Permit,
}

impl Place {
    /// Admits a message that needs no slot.
    pub(crate) const fn of(permit: Permit) -> Self {
        Self { _slot: None, permit }
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        let slots = |most: usize| Slots::new(most, limits.share);
        Self {
            calls: slots(limits.calls),
            waiting: slots(limits.calls_waiting),
            wait: limits.call_wait,
            streams: slots(limits.streams),
            by_address: limits.rate.map(Buckets::new),
            by_identity: limits.identity_rate.map(Buckets::new),
        }
    }

    /// Reserves a slot and memory for the action on `body`. If there is no room, returns a refusal
    /// in place of the action.
    pub(crate) async fn place(&self, next: Next, body: &[u8], permit: &Permit) -> (Next, Place) {
        match next {
            Next::Call(ticket) => {
                let Some(slot) = self.call(permit.account()).await else {
                    return (Next::Reply(ticket.refuse()), Place::of(permit.another()));
                };
                match parsed(body, permit) {
                    Ok(permit) => (Next::Call(ticket), Place { _slot: Some(slot), permit }),
                    Err(short) => {
                        (Next::Reply(ticket.refuse_for(Error::Busy(short.reason()))), Place::of(permit.another()))
                    }
                }
            }
            Next::Listen(listen) => {
                let Ok(slot) = self.streams.take(permit.account()) else {
                    return (Next::Reply(listen.refuse()), Place::of(permit.another()));
                };
                match kept(&listen, body, permit) {
                    Ok(permit) => (Next::Listen(listen), Place { _slot: Some(slot), permit }),
                    Err(error) => (Next::Reply(listen.refuse_with(error)), Place::of(permit.another())),
                }
            }
            other => (other, Place::of(permit.another())),
        }
    }

    /// Waits for a slot for a call of `account`.
    pub(crate) async fn call(&self, account: Account) -> Option<Slot> {
        self.calls.wait(account, &self.waiting, self.wait).await
    }

    /// Takes one request from the token bucket of an address. Requests without an address share one
    /// bucket.
    ///
    /// # Errors
    /// The time to wait if the bucket is empty.
    pub(crate) fn count(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        let caller = address.map(network);
        self.by_address.as_ref().map_or(Ok(()), |buckets| buckets.take(caller, None, Instant::now()))
    }

    /// Takes one request from the token bucket of a caller with a key or a token, from any address.
    /// Anonymous callers have a bucket for their address only.
    ///
    /// # Errors
    /// The time to wait if the bucket is empty.
    pub(crate) fn count_identity(&self, who: &Authenticated<'_>) -> Result<(), Duration> {
        match (&self.by_identity, <[u8; 32]>::try_from(who.identity())) {
            (Some(buckets), Ok(identity)) => buckets.take(identity, [0; 32], Instant::now()),
            _ => Ok(()),
        }
    }
}

/// Reserves memory for a running call: the values parsed from `body`, and the call itself.
pub(crate) fn parsed(body: &[u8], permit: &Permit) -> Result<Permit, Overdrawn> {
    let mut parsed = permit.another();
    // The call holds the memory of the permit, such as the caller's claims, while it runs.
    parsed.more(permit.bytes() + limits::CALL_MEMORY + weight(body))?;
    Ok(parsed)
}

/// Reserves memory for an open subscription: a copy of its message, and the notifications that it
/// may have to send at once after it fell behind.
fn kept(listen: &Listen, body: &[u8], permit: &Permit) -> Result<Permit, Error> {
    if body.len() > limits::LISTEN_BYTES {
        return Err(Error::Refused("A subscription is larger than 64 KiB: split it into several"));
    }
    let mut bytes = limits::LISTEN_MEMORY + 2 * body.len();
    listen.each_uri(body, |_| bytes += limits::LISTEN_URI);
    let mut kept = permit.of_its_own();
    kept.more(bytes).and_then(|()| kept.enter(Part::Subscriptions)).map_err(|short| Error::Busy(short.reason()))
}

/// A token bucket for each caller `K`. Of each bucket, only the time at which it will be full is
/// stored.
#[derive(Debug)]
struct Buckets<K> {
    /// The time in which one request is refilled.
    each: Duration,
    /// The time in which an empty bucket is refilled.
    whole: Duration,
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        let each = Duration::from_secs(1) / rate.per_second.max(1);
        Self { each, whole: each * rate.burst.max(1), full_at: Mutex::default() }
    }

    /// Takes one request from the bucket of `caller`. When the table of callers is full, further
    /// callers share the bucket of `rest`.
    fn take(&self, mut caller: K, rest: K, now: Instant) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= CALLERS && !full_at.contains_key(&caller) {
            full_at.retain(|_, full_at| *full_at > now);
            if full_at.len() >= CALLERS {
                caller = rest;
            }
        }
        let bucket = full_at.entry(caller).or_insert(now);
        let taken = (*bucket).max(now) + self.each;
        match (taken - now).checked_sub(self.whole) {
            None | Some(Duration::ZERO) => {
                *bucket = taken;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(address: &str) -> Option<IpAddr> {
        Some(address.parse().expect("an address"))
    }

    impl Buckets<Option<IpAddr>> {
        fn from(&self, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
            self.take(address.map(network), None, now)
        }
    }

    #[test]
    fn caller_that_has_emptied_its_bucket_waits_and_others_do_not() {
        let buckets = Buckets::new(Rate { per_second: 2, burst: 3 });
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(buckets.from(caller("192.0.2.1"), now), Ok(()));
        }
        assert_eq!(buckets.from(caller("192.0.2.1"), now), Err(Duration::from_millis(500)));
        assert_eq!(buckets.from(caller("::ffff:192.0.2.1"), now), Err(Duration::from_millis(500)));
        assert_eq!(buckets.from(caller("192.0.2.2"), now), Ok(()));
        let later = now + Duration::from_millis(500);
        assert_eq!(buckets.from(caller("192.0.2.1"), later), Ok(()));
        assert!(buckets.from(caller("192.0.2.1"), later).is_err());
        let rested = now + Duration::from_secs(3600);
        assert_eq!((0..9).filter(|_| buckets.from(caller("192.0.2.1"), rested).is_ok()).count(), 3);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_caller() {
        let buckets = Buckets::new(Rate { per_second: 1, burst: 1 });
        let now = Instant::now();
        assert_eq!(buckets.from(caller("2001:db8::1"), now), Ok(()));
        assert!(buckets.from(caller("2001:db8::ffff:2"), now).is_err());
        assert_eq!(buckets.from(caller("2001:db8:0:1::1"), now), Ok(()));
    }

    #[test]
    fn callers_beyond_those_that_are_told_apart_share_one_bucket_until_others_are_full_again() {
        let buckets = Buckets::new(Rate { per_second: 1, burst: 1 });
        let now = Instant::now();
        for number in 0..CALLERS {
            let address = IpAddr::V4((0x0a00_0000 + u32::try_from(number).expect("few")).into());
            assert_eq!(buckets.from(Some(address), now), Ok(()));
        }
        assert_eq!(buckets.from(caller("192.0.2.1"), now), Ok(()));
        assert!(buckets.from(caller("192.0.2.2"), now).is_err());
        let later = now + Duration::from_secs(2);
        assert_eq!(buckets.from(caller("192.0.2.1"), later), Ok(()));
        assert_eq!(buckets.from(caller("192.0.2.2"), later), Ok(()));
    }
}
