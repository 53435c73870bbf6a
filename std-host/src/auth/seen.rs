//! Cache of verified tokens and sessions. A client sends the same token with every request, and its signature is
//! verified once.

use crate::budget::{Budget, Part, Permit};
use crate::limits::{SEEN_TOKENS, TOKEN_MEMORY};
use attache_core::auth::{Denied, Rules, Verified};
use core::hash::BuildHasher;
use core::hint::black_box;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A token that was verified.
pub(crate) struct Seen {
    token: Box<[u8]>,
    verified: Verified<Vec<u8>>,
    /// The index of the issuer with rules that the token satisfies.
    pub(crate) issuer: usize,
    /// The grant from which the token comes, if its issuer tells which grants have ended; or the session of a cookie.
    pub(crate) sid: Option<Box<str>>,
}

impl Seen {
    pub(crate) fn new(token: &[u8], verified: Verified<Vec<u8>>, issuer: usize, sid: Option<Box<str>>) -> Arc<Self> {
        Arc::new(Self { token: token.into(), verified, issuer, sid })
    }

    pub(crate) const fn verified(&self) -> &Verified<Vec<u8>> {
        &self.verified
    }

    /// Checks whether the token is still valid under these rules at this time.
    pub(crate) fn holds(&self, rules: &Rules<'_, String>, now: u64) -> Result<(), Denied<'static>> {
        attache_core::auth::Authenticated::cached(&self.verified, rules, Some(now)).map(|_| ())
    }
}

/// The verified tokens that may come again, by a hash with a secret key, so that no caller can
/// produce collisions.
#[derive(Default)]
pub(crate) struct Cache {
    hash: RandomState,
    seen: Mutex<HashMap<u64, Kept>>,
    /// Unset if memory is not counted.
    budget: OnceLock<Budget>,
}

/// A cached token, and the permit for the memory that it takes.
struct Kept {
    seen: Arc<Seen>,
    _permit: Permit,
}

impl Cache {
    /// Charges the cache to this budget. Only the first call has an effect.
    pub(crate) fn draw_from(&self, budget: &Budget) {
        let _ = self.budget.set(budget.clone());
    }

    pub(crate) fn get(&self, token: &[u8]) -> Option<Arc<Seen>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.get(&self.hash(token)).map(|kept| Arc::clone(&kept.seen));
        seen.filter(|seen| same(&seen.token, token))
    }

    /// Adds a token to the cache. If the table or the memory budget is full, expired tokens are
    /// removed first, then arbitrary ones. If there is still no room, the token is not cached and
    /// will be verified again.
    pub(crate) fn put(&self, token: &Arc<Seen>, now: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut permit = self.permit(token);
        if seen.len() >= SEEN_TOKENS || permit.is_none() {
            seen.retain(|_, kept| kept.seen.verified.expires() > now);
        }
        permit = permit.or_else(|| self.permit(token));
        while (seen.len() >= SEEN_TOKENS || permit.is_none())
            && let Some(any) = seen.keys().next().copied()
        {
            seen.remove(&any);
            permit = permit.or_else(|| self.permit(token));
        }
        if let Some(permit) = permit {
            seen.insert(self.hash(&token.token), Kept { seen: Arc::clone(token), _permit: permit });
        }
    }

    /// Reserves memory for a token: its text and its claims, which are at most as long as the text.
    fn permit(&self, token: &Seen) -> Option<Permit> {
        match self.budget.get() {
            None => Some(Permit::uncounted()),
            Some(budget) => budget.reserve_part(Part::Tokens, TOKEN_MEMORY + 2 * token.token.len()).ok(),
        }
    }

    pub(crate) fn forget(&self, token: &[u8]) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.hash(token));
    }

    /// Removes the cached cookies of a session.
    #[cfg(feature = "authorization-server")]
    pub(crate) fn forget_session(&self, sid: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, kept| kept.seen.sid.as_deref() != Some(sid));
    }

    fn hash(&self, token: &[u8]) -> u64 {
        self.hash.hash_one(token)
    }
}

impl core::fmt::Debug for Cache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// Compares two texts, eight bytes at a time, in a time that does not depend on where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    let ((fronts, rest), (other_fronts, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let front = fronts.iter().zip(other_fronts);
    let different =
        front.fold(0, |different, (one, other)| different | (u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other)));
    let different =
        rest.iter().zip(other_rest).fold(different, |different, (one, other)| different | u64::from(one ^ other));
    one.len() == other.len() && black_box(different) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use attache_core::auth::Voucher;

    fn token(number: usize) -> Arc<Seen> {
        let claims = format!(r#"{{"iss":"i","aud":"a","exp":{},"sub":"{number}"}}"#, 100 + number);
        let verified = Verified::vouched(&Voucher::Platform, claims.into_bytes()).expect("claims");
        Seen::new(format!("{number:02000}").as_bytes(), verified, 0, None)
    }

    #[test]
    fn tokens_hold_no_more_than_their_part_of_the_budget_and_the_newest_is_kept() {
        let cache = Cache::default();
        let budget = Budget::new(&Limits::default().memory(1024 * 1024));
        cache.draw_from(&budget);
        for number in 0..10_000 {
            cache.put(&token(number), 0);
        }
        assert!(budget.held() <= 256 * 1024 && budget.held() > 128 * 1024, "{}", budget.held());
        assert!(cache.get(&token(9_999).token).is_some());
        // Expired tokens are removed first.
        cache.put(&token(20_000), 10_100);
        assert!(budget.held() < 8 * 1024, "{}", budget.held());
        cache.forget(&token(20_000).token);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn texts_are_the_same_if_no_byte_differs() {
        let text: Vec<u8> = (0..21).collect();
        assert!(same(&text, &text) && same(b"", b""));
        assert!(!same(&text, &text[..20]) && !same(&text[..8], &text[..16]));
        for at in 0..text.len() {
            let mut other = text.clone();
            other[at] ^= 1;
            assert!(!same(&text, &other), "byte {at}");
        }
    }
}
