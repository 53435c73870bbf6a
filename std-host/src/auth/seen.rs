//! Tokens that were checked: the same one comes with every request of a client, and its signature is checked once.

use attache_core::auth::{Denied, Rules, Verified};
use core::hash::BuildHasher;
use core::hint::black_box;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};

/// A token that was checked.
pub(crate) struct Seen {
    token: Box<[u8]>,
    verified: Verified<Vec<u8>>,
    /// The number of the issuer whose rules it has met.
    pub(super) issuer: usize,
}

impl Seen {
    pub(super) fn new(token: &[u8], verified: Verified<Vec<u8>>, issuer: usize) -> Arc<Self> {
        Arc::new(Self { token: token.into(), verified, issuer })
    }

    pub(super) const fn verified(&self) -> &Verified<Vec<u8>> {
        &self.verified
    }

    /// Whether it still counts.
    pub(super) fn holds(&self, rules: &Rules<'_, String>, now: u64) -> Result<(), Denied<'static>> {
        attache_core::auth::Authenticated::cached(&self.verified, rules, Some(now)).map(|_| ())
    }
}

/// The tokens that were checked and may come again, found by a hash with a secret key, so that nobody can make two meet.
#[derive(Default)]
pub(super) struct Cache {
    hash: RandomState,
    seen: Mutex<HashMap<u64, Arc<Seen>>>,
}

impl Cache {
    pub(super) fn get(&self, token: &[u8]) -> Option<Arc<Seen>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&self.hash(token)).cloned();
        seen.filter(|seen| same(&seen.token, token))
    }

    /// Keeps a token. Where there is no room those go that have expired, or else any one.
    pub(super) fn put(&self, token: &Arc<Seen>, now: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= crate::limits::SEEN_TOKENS {
            seen.retain(|_, seen| seen.verified.expires() > now);
            if seen.len() >= crate::limits::SEEN_TOKENS
                && let Some(any) = seen.keys().next().copied()
            {
                seen.remove(&any);
            }
        }
        seen.insert(self.hash(&token.token), Arc::clone(token));
    }

    pub(super) fn forget(&self, token: &[u8]) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.hash(token));
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

/// Compares in a time that tells nothing of where they differ, eight bytes at a time.
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
