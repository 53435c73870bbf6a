//! Where the keys of an issuer come from, and how long they are kept.

use super::fetch::Fetcher;
use super::key_set::{Key, KeySet};
use crate::limits;
use attache_core::auth::Denied;
use attache_core::json::Text;
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Source(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    /// The last good ones.
    keys: RwLock<Arc<KeySet>>,
    /// Changes when the keys do.
    generation: AtomicU32,
    /// Held while they are fetched: who comes meanwhile waits and shares what came. Nothing where they are given.
    fetched: Option<Mutex<Fetched>>,
    /// When to look for other ones, though all are known that were asked for.
    stale: RwLock<Option<Instant>>,
}

#[derive(Debug)]
struct Fetched {
    fetcher: Fetcher,
    /// When it was tried last, and whether that went well.
    tried: Option<(Instant, bool)>,
}

impl Source {
    pub(super) fn fixed(keys: KeySet) -> Self {
        Self::of(keys, None)
    }

    pub(super) fn fetched(fetcher: Fetcher) -> Self {
        Self::of(KeySet::default(), Some(Mutex::new(Fetched { fetcher, tried: None })))
    }

    fn of(keys: KeySet, fetched: Option<Mutex<Fetched>>) -> Self {
        Self(Arc::new(Kept {
            keys: RwLock::new(Arc::new(keys)),
            generation: AtomicU32::new(0),
            fetched,
            stale: RwLock::new(None),
        }))
    }

    pub(super) fn generation(&self) -> u32 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// The key by which a token with this header is to be checked. One that is not known is looked for at once, unless that was
    /// tried just now.
    pub(super) async fn key<'t>(&self, kid: Text<'t>, alg: Text<'_>) -> Result<Arc<Key>, Denied<'t>> {
        if let Some(key) = self.0.now().find(kid, alg) {
            self.look_again();
            return Ok(key);
        }
        let known = self.0.fetch(|keys| keys.find(kid, alg).is_some()).await;
        match self.0.now().find(kid, alg) {
            Some(key) => Ok(key),
            None if known => Err(Denied::Kid(kid.raw())),
            None => Err(Denied::KeyUnavailable),
        }
    }

    /// Fetches the keys anew beside the requests, when the time has come: what an issuer has taken back is to be forgotten.
    fn look_again(&self) {
        let mut stale = self.0.stale.write().unwrap_or_else(PoisonError::into_inner);
        if stale.is_some_and(|stale| stale <= Instant::now()) {
            // The next one is told by the fetch.
            *stale = None;
            let kept = Arc::clone(&self.0);
            tokio::spawn(async move { kept.fetch(|_| false).await });
        }
    }
}

impl Kept {
    fn now(&self) -> Arc<KeySet> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fetches the keys, unless somebody has just done so or they `suffice` by then; whether it is known which there are.
    async fn fetch(&self, suffice: impl Fn(&KeySet) -> bool) -> bool {
        let Some(fetched) = &self.fetched else {
            return true;
        };
        let mut fetched = fetched.lock().await;
        if suffice(&self.now()) {
            return true;
        }
        if let Some((tried, good)) = fetched.tried
            && tried.elapsed() < limits::FETCH_AGAIN
        {
            return good;
        }
        let came = fetched.fetcher.keys().await;
        fetched.tried = Some((Instant::now(), came.is_ok()));
        *self.stale.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + limits::KEYS_STALE);
        match came {
            Ok(keys) => {
                let mut kept = self.keys.write().unwrap_or_else(PoisonError::into_inner);
                if **kept != keys {
                    *kept = Arc::new(keys);
                    self.generation.fetch_add(1, Ordering::AcqRel);
                }
                true
            }
            Err(error) => {
                let kept = !self.now().is_empty();
                tracing::warn!(issuer = fetched.fetcher.issuer(), %error, kept, "the keys of an issuer were not fetched");
                false
            }
        }
    }
}
