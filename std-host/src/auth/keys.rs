//! API keys of callers.

use attache_core::auth::{ApiKey, digest};
use std::sync::{Arc, PoisonError, RwLock};

/// The keys that let callers in, each with a name for the log. Only their digests are kept. Clones are the same keys: what is
/// [replaced](Keys::replace) in one counts for all, from the next request on.
#[derive(Clone, Debug)]
pub struct Keys(Arc<RwLock<Arc<[ApiKey<String>]>>>);

impl Keys {
    /// Keys by name and value. A value is to be random and long: 32 bytes of the operating system, written in any way.
    ///
    /// # Panics
    /// If a value is shorter than [`KEY`](crate::limits::KEY) bytes: it could be guessed.
    pub fn new<N: Into<String>, V: AsRef<[u8]>>(keys: impl IntoIterator<Item = (N, V)>) -> Self {
        let digests = keys.into_iter().map(|(name, value)| {
            let (name, value) = (name.into(), value.as_ref());
            assert!(value.len() >= crate::limits::KEY, "key {name:?} must have {} bytes at least", crate::limits::KEY);
            (name, digest(value))
        });
        Self::of_digests(digests)
    }

    /// Keys by name and the SHA-256 of their value.
    pub fn of_digests(keys: impl IntoIterator<Item = (String, [u8; 32])>) -> Self {
        let all = Self(Arc::new(RwLock::new(Arc::from([]))));
        all.replace(keys);
        all
    }

    /// Takes these keys, by name and the SHA-256 of their value, instead of those before.
    pub fn replace(&self, keys: impl IntoIterator<Item = (String, [u8; 32])>) {
        let keys = keys.into_iter().map(|(name, digest)| ApiKey::new(name, digest)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    pub(super) fn now(&self) -> Arc<[ApiKey<String>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Keys {
    /// None: nobody is let in.
    fn default() -> Self {
        Self::of_digests([])
    }
}
