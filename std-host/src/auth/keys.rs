//! API keys of callers.

use attache_core::auth::{ApiKey, Authenticated, Shown, digest};
use attache_core::http::Refusal;
use core::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The API keys that admit callers, each with a name for the log. Only their digests are kept.
/// Clones share the same keys: a [replacement](Keys::replace) in one applies to all, from the next
/// request on.
#[derive(Clone, Debug)]
pub struct Keys(Arc<RwLock<Held>>);

/// The keys that admit callers, and the keys that are known but admit no caller here.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(super) open: Arc<[ApiKey<String>]>,
    pub(super) known: Arc<[ApiKey<String>]>,
}

/// The value of a key is so short that it could be guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortKey {
    /// The name of the key.
    pub name: String,
}

impl fmt::Display for ShortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the value of key {:?} must have at least {} bytes", self.name, crate::limits::KEY)
    }
}

impl core::error::Error for ShortKey {}

impl Keys {
    /// Creates keys from names and values. A value should be random and long: 32 bytes from the
    /// operating system, in any encoding.
    ///
    /// # Errors
    /// [`ShortKey`] if a value is shorter than [`KEY`](crate::limits::KEY) bytes: it could be guessed.
    pub fn new<N: Into<String>, V: AsRef<[u8]>>(keys: impl IntoIterator<Item = (N, V)>) -> Result<Self, ShortKey> {
        let mut digests = Vec::new();
        for (name, value) in keys {
            let (name, value) = (name.into(), value.as_ref());
            if value.len() < crate::limits::KEY {
                return Err(ShortKey { name });
            }
            digests.push((name, digest(value)));
        }
        Ok(Self::of_digests(digests))
    }

    /// Creates keys from names and the SHA-256 of their values.
    pub fn of_digests(keys: impl IntoIterator<Item = (String, [u8; 32])>) -> Self {
        let all = Self(Arc::new(RwLock::new(Held { open: Arc::from([]), known: Arc::from([]) })));
        all.replace(keys);
        all
    }

    /// Replaces the keys that admit callers with these, given as names and the SHA-256 of their
    /// values.
    pub fn replace(&self, keys: impl IntoIterator<Item = (String, [u8; 32])>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).open = list(keys);
    }

    /// Replaces the known keys that admit no caller here. Their holders get 403 (wrong key) and not
    /// 401.
    pub fn replace_known(&self, keys: impl IntoIterator<Item = (String, [u8; 32])>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).known = list(keys);
    }

    pub(super) fn now(&self) -> Held {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn list(keys: impl IntoIterator<Item = (String, [u8; 32])>) -> Arc<[ApiKey<String>]> {
    keys.into_iter().map(|(name, digest)| ApiKey::new(name, digest)).collect()
}

impl Held {
    /// Authenticates the caller that has shown this key.
    pub(super) fn check(&self, shown: Shown<'_>) -> Result<Authenticated<'_>, Refusal> {
        shown.check(&self.open).map_err(|denied| match shown.check(&self.known) {
            Ok(_) => {
                crate::why::note(&"the key is for something else");
                Refusal::Forbidden
            }
            Err(_) => super::log_denial(&denied),
        })
    }
}

impl Default for Keys {
    /// No keys: no caller is admitted.
    fn default() -> Self {
        Self::of_digests([])
    }
}
