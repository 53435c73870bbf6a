//! API keys of callers.

use attache_core::auth::{ApiKey, Authenticated, Shown, digest};
use attache_core::http::Refusal;
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

impl Keys {
    /// Keys by name and value. A value is to be random and long: 32 bytes of the operating system, written in any way.
    ///
    /// # Panics
    /// If a value is shorter than [`KEY`](crate::limits::KEY) bytes: it could be guessed.
    #[track_caller]
    pub fn new<N: Into<String>, V: AsRef<[u8]>>(keys: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut digests = Vec::new();
        for (name, value) in keys {
            let (name, value) = (name.into(), value.as_ref());
            assert!(value.len() >= crate::limits::KEY, "key {name:?} must have {} bytes at least", crate::limits::KEY);
            digests.push((name, digest(value)));
        }
        Self::of_digests(digests)
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
