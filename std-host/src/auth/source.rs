//! The source of an issuer's keys, and how long the keys are kept.

use super::fetch::Fetcher;
use super::key_set::{Key, KeySet};
use crate::limits;
use attache_core::auth::Denied;
use attache_core::json::Text;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The keys of one issuer: given, or fetched and cached.
#[derive(Debug)]
pub(crate) struct Source(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    current: RwLock<Arc<Snapshot>>,
    /// `None` if the keys are given.
    remote: Option<Remote>,
}

/// The keys of an issuer at one moment. The generation is part of it, so that a token that was
/// verified by old keys does not count as verified by new ones.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    keys: KeySet,
    /// Changes when the keys do.
    pub(super) generation: u32,
}

/// A key, and the generation of the key set in which it was found.
pub(crate) struct Found {
    pub(crate) key: Arc<Key>,
    pub(super) generation: u32,
}

#[derive(Debug)]
struct Remote {
    /// Locked during a fetch, so that requests that arrive during the fetch wait and share its
    /// result.
    fetches: Mutex<Fetches>,
    deadlines: RwLock<Option<Deadlines>>,
}

#[derive(Debug)]
struct Fetches {
    fetcher: Fetcher,
    /// When the last fetch ended, and whether it succeeded.
    last: Option<(Instant, bool)>,
}

/// The times at which fetched keys must be fetched again.
#[derive(Clone, Copy, Debug)]
struct Deadlines {
    /// From this time on, keys are fetched in the background.
    refresh: Instant,
    /// From this time on, requests wait for the fetch. `None` after a failed fetch: the last good
    /// keys stay in use.
    stale: Option<Instant>,
}

/// The behaviour of a request when keys have to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fetch {
    /// The request waits for the keys.
    Wait,
    /// The request continues without the keys, which are fetched in the background. So the time of
    /// its answer does not reveal that keys have to be fetched.
    Beside,
}

impl Source {
    pub(super) fn fixed(keys: KeySet) -> Self {
        Self::of(keys, None)
    }

    #[cfg(feature = "discovery")]
    pub(crate) fn fetched(fetcher: Fetcher) -> Self {
        let remote = Remote { fetches: Mutex::new(Fetches { fetcher, last: None }), deadlines: RwLock::new(None) };
        Self::of(KeySet::default(), Some(remote))
    }

    fn of(keys: KeySet, remote: Option<Remote>) -> Self {
        let current = RwLock::new(Arc::new(Snapshot { keys, generation: 0 }));
        Self(Arc::new(Shared { current, remote }))
    }

    /// Returns the keys, and fetches them again if they are due. An issuer revokes a key by no
    /// longer publishing it.
    pub(super) async fn fresh(&self, fetch: Fetch) -> Arc<Snapshot> {
        match self.0.age() {
            Age::Fresh => {}
            Age::Stale if fetch == Fetch::Wait => {
                Box::pin(self.0.fetch(|shared| shared.age() != Age::Stale)).await;
            }
            Age::Due | Age::Stale => self.fetch_beside(),
        }
        self.0.snapshot()
    }

    /// Returns the key that `find` selects. If the set does not have it, the keys are fetched at
    /// once, unless the last fetch was a moment ago.
    pub(crate) async fn key<'t>(
        &self,
        kid: Text<'t>,
        fetch: Fetch,
        find: impl Fn(&KeySet) -> Option<Arc<Key>>,
    ) -> Result<Found, Denied<'t>> {
        let known = self.fresh(fetch).await;
        if let Some(found) = known.find(&find) {
            return Ok(found);
        }
        if known.keys.has_unserved(kid) {
            return Err(Denied::KeyNotServed(kid.raw()));
        }
        if fetch == Fetch::Beside {
            self.fetch_beside();
            return Err(Denied::KeyUnavailable);
        }
        let is_answered = self.0.fetch(|shared| find(&shared.snapshot().keys).is_some()).await;
        let known = self.0.snapshot();
        match known.find(&find) {
            Some(found) => Ok(found),
            None if known.keys.has_unserved(kid) => Err(Denied::KeyNotServed(kid.raw())),
            None if is_answered => Err(Denied::Kid(kid.raw())),
            None => Err(Denied::KeyUnavailable),
        }
    }

    /// Returns the key that `find` selects in a newer set than that of `generation`, because an
    /// issuer may publish a new key under an old `kid`. Returns `None` if there is no newer set, or
    /// if the last fetch was a moment ago.
    pub(super) async fn newer(
        &self,
        generation: u32,
        fetch: Fetch,
        find: impl Fn(&KeySet) -> Option<Arc<Key>>,
    ) -> Option<Found> {
        let is_newer = |shared: &Shared| shared.snapshot().generation != generation;
        match fetch {
            Fetch::Wait => drop(self.0.fetch(is_newer).await),
            Fetch::Beside => self.fetch_beside(),
        }
        let known = self.0.snapshot();
        known.find(&find).filter(|found| found.generation != generation)
    }

    /// Fetches the keys in the background, if there is a Tokio runtime.
    pub(super) fn fetch_beside(&self) {
        let Some(remote) = &self.0.remote else { return };
        // Only one fetch runs at a time.
        if let (Ok(runtime), Ok(_)) = (tokio::runtime::Handle::try_current(), remote.fetches.try_lock()) {
            let shared = Arc::clone(&self.0);
            runtime.spawn(async move { shared.fetch(|_| false).await });
        }
    }
}

/// The age of fetched keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// The keys are not fetched again yet.
    Fresh,
    /// The keys are still valid, and are fetched again in the background.
    Due,
    /// The keys are too old to be used without a new fetch.
    Stale,
}

impl Snapshot {
    fn find(&self, find: impl Fn(&KeySet) -> Option<Arc<Key>>) -> Option<Found> {
        Some(Found { key: find(&self.keys)?, generation: self.generation })
    }
}

impl Shared {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn age(&self) -> Age {
        let Some(remote) = &self.remote else { return Age::Fresh };
        let Some(deadlines) = *remote.deadlines.read().unwrap_or_else(PoisonError::into_inner) else {
            return Age::Fresh;
        };
        let now = Instant::now();
        match deadlines {
            Deadlines { stale: Some(stale), .. } if stale <= now => Age::Stale,
            Deadlines { refresh, .. } if refresh <= now => Age::Due,
            _ => Age::Fresh,
        }
    }

    /// Fetches the keys, unless they `suffice` or the last fetch was a moment ago. Returns whether
    /// the issuer has answered.
    async fn fetch(&self, suffice: impl Fn(&Self) -> bool) -> bool {
        let Some(remote) = &self.remote else {
            return true;
        };
        let mut fetches = remote.fetches.lock().await;
        if suffice(self) {
            return true;
        }
        if let Some((ended, good)) = fetches.last
            && ended.elapsed() < limits::FETCH_AGAIN
        {
            return good;
        }
        let came = fetches.fetcher.keys().await;
        let now = Instant::now();
        fetches.last = Some((now, came.is_ok()));
        let (deadlines, is_answered) = match came {
            Ok(keys) => {
                self.replace(keys);
                (Deadlines { refresh: now + limits::KEYS_REFRESH, stale: Some(now + limits::KEYS_STALE) }, true)
            }
            Err(error) => {
                let kept = !self.snapshot().keys.is_empty();
                tracing::warn!(issuer = fetches.fetcher.issuer(), %error, kept, "the keys of an issuer were not fetched");
                (Deadlines { refresh: now + limits::KEYS_RETRY, stale: None }, false)
            }
        };
        *remote.deadlines.write().unwrap_or_else(PoisonError::into_inner) = Some(deadlines);
        is_answered
    }

    fn replace(&self, keys: KeySet) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.keys != keys {
            let generation = current.generation.wrapping_add(1);
            *current = Arc::new(Snapshot { keys, generation });
        }
    }
}
