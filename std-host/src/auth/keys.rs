//! API keys of callers.

use attache_core::auth::{ApiKey, Authenticated, Shown, digest};
use attache_core::http::Refusal;
use core::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The keys that let callers in, each with a name for the log. Only their digests are kept. Clones are the same keys: what is
/// [replaced](Keys::replace) in one counts for all, from the next request on.
#[derive(Clone, Debug)]
pub struct Keys(Arc<RwLock<Held>>);

/// Keys that let callers in, and those that are only known.
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
    /// Keys by name and value. A value is to be random and long: 32 bytes of the operating system, written in any way.
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

    /// Keys by name and the SHA-256 of their value.
    pub fn of_digests(keys: impl IntoIterator<Item = (String, [u8; 32])>) -> Self {
        let all = Self(Arc::new(RwLock::new(Held { open: Arc::from([]), known: Arc::from([]) })));
        all.replace(keys);
        all
    }

    /// Takes these keys, by name and the SHA-256 of their value, instead of those before.
    pub fn replace(&self, keys: impl IntoIterator<Item = (String, [u8; 32])>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).open = list(keys);
    }

    /// Takes these keys for known ones that let nobody in here: their holders are told 403, which says that it is the wrong key, and no 401.
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
    /// The caller who has shown this.
    pub(super) fn check(&self, shown: Shown<'_>) -> Result<Authenticated<'_>, Refusal> {
        shown.check(&self.open).map_err(|denied| match shown.check(&self.known) {
            Ok(_) => {
                crate::observe::note_why(&"the key is for something else");
                Refusal::Forbidden
            }
            Err(_) => super::told(&denied),
        })
    }
}

impl Default for Keys {
    /// None: nobody is let in.
    fn default() -> Self {
        Self::of_digests([])
    }
}
