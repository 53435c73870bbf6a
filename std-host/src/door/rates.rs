//! Rate limits: how many requests a caller may send.

use crate::budget::network;
use crate::limits::{CALLERS, Limits, Rate};
use attache_core::auth::Authenticated;
use core::hash::Hash;
use core::net::IpAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// The rate limits of one server or route.
#[derive(Debug)]
pub(super) struct Rates {
    by_address: Option<Buckets<Option<IpAddr>>>,
    by_identity: Option<Buckets<[u8; 32]>>,
}

impl Rates {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { by_address: limits.rate.map(Buckets::new), by_identity: limits.identity_rate.map(Buckets::new) }
    }

    /// Counts a request from an address; requests without an address count as those of one caller.
    ///
    /// # Errors
    /// Returns the time to wait if there were too many.
    pub(super) fn count(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        let caller = address.map(network);
        self.by_address.as_ref().map_or(Ok(()), |buckets| buckets.take(caller, None, Instant::now()))
    }

    /// Counts a request of a caller that has shown a key or a token, from whatever address. Anonymous callers are told apart by
    /// their addresses alone.
    ///
    /// # Errors
    /// Returns the time to wait if there were too many.
    pub(super) fn count_identity(&self, who: &Authenticated<'_>) -> Result<(), Duration> {
        match (&self.by_identity, <[u8; 32]>::try_from(who.identity())) {
            (Some(buckets), Ok(identity)) => buckets.take(identity, [0; 32], Instant::now()),
            _ => Ok(()),
        }
    }
}

/// A token bucket for each caller `K`. Of each bucket only the moment is kept at which it is full again.
#[derive(Debug)]
struct Buckets<K> {
    /// The time after which one more request is allowed.
    each: Duration,
    /// The time in which an empty bucket fills up.
    whole: Duration,
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        let each = Duration::from_secs(1) / rate.per_second.max(1);
        Self { each, whole: each * rate.burst.max(1), full_at: Mutex::default() }
    }

    /// Takes one request out of the bucket of `caller`. Where there are more callers than can be told apart, the others share
    /// the bucket of `rest`.
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
