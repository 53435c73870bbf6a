//! Grants that have ended: their access tokens are refused although they have not expired.

use crate::limits::REVOKED_GRANTS;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The grants of an issuer that have ended. A token names its grant in the claim `sid`. Clones share the same grants.
#[derive(Clone)]
pub struct Revocations(Arc<Shared>);

struct Shared {
    /// The `sid` of each grant, and the time in seconds since 1970 at which its last access token has expired.
    ended: RwLock<HashMap<Box<str>, u64>>,
    /// Whether a grant has ended, so that most requests read nothing but this.
    is_used: AtomicBool,
    lookup: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").finish_non_exhaustive()
    }
}

impl Revocations {
    /// `lookup` returns whether the grant with this `sid` has ended. It is called once for each token that this process has not
    /// verified before, on a thread for blocking work. So it finds the grants that ended before a restart.
    pub fn new(lookup: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let (ended, is_used) = (RwLock::default(), AtomicBool::default());
        Self(Arc::new(Shared { ended, is_used, lookup: Box::new(lookup) }))
    }

    /// Refuses the access tokens of a grant. None of them is valid after `until`, in seconds since 1970.
    pub fn add(&self, sid: &str, until: u64, now: u64) {
        let mut ended = self.0.ended.write().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= REVOKED_GRANTS {
            ended.retain(|_, until| *until > now);
        }
        if ended.len() >= REVOKED_GRANTS {
            let first = ended.iter().min_by_key(|(_, until)| **until).map(|(sid, _)| sid.clone());
            first.and_then(|first| ended.remove(&first));
        }
        ended.insert(sid.into(), until);
        self.0.is_used.store(true, Ordering::Release);
    }

    /// Whether this process knows that the grant has ended.
    pub(super) fn contains(&self, sid: &str) -> bool {
        self.0.is_used.load(Ordering::Acquire)
            && self.0.ended.read().unwrap_or_else(PoisonError::into_inner).contains_key(sid)
    }

    /// Whether the grant has ended, also before this process started.
    pub(super) async fn look_up(&self, sid: &str) -> bool {
        if self.contains(sid) {
            return true;
        }
        let (shared, sid) = (Arc::clone(&self.0), sid.to_owned());
        // If the thread panics, the store has a fault of its own, which the log shows.
        tokio::task::spawn_blocking(move || (shared.lookup)(&sid)).await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn grant_has_ended_if_it_was_added_or_the_store_says_so() {
        let revocations = Revocations::new(|sid| sid == "stored");
        assert!(!revocations.contains("a"));
        assert!(!revocations.look_up("a").await);
        assert!(revocations.look_up("stored").await);
        revocations.clone().add("a", 10, 0);
        assert!(revocations.contains("a") && revocations.look_up("a").await);
        assert!(!revocations.contains("b"));
    }

    #[test]
    fn full_table_forgets_grants_without_valid_tokens_first() {
        let revocations = Revocations::new(|_| false);
        for number in 0..REVOKED_GRANTS {
            revocations.add(&number.to_string(), 10 + u64::from(number > 0), 0);
        }
        revocations.add("new", 20, 10);
        assert!(!revocations.contains("0") && revocations.contains("1") && revocations.contains("new"));
        revocations.add("newer", 20, 10);
        assert!(revocations.contains("new") && revocations.contains("newer"), "the grant that ends first is forgotten");
    }
}
