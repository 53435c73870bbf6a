//! Where the keys of an issuer come from, and how long they are kept.

use super::fetch::Fetcher;
use super::key_set::{Key, KeySet};
use crate::limits;
use attache_core::auth::Denied;
use attache_core::json::Text;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The keys of one issuer: given, or fetched and kept.
#[derive(Debug)]
pub(super) struct Source(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    current: RwLock<Arc<Snapshot>>,
    /// `None` where the keys are given.
    remote: Option<Remote>,
}

/// The keys of an issuer at one moment. The generation is part of it, so that no token that was verified by old keys
/// counts as verified by new ones.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    keys: KeySet,
    /// Changes when the keys do.
    pub(super) generation: u32,
}

/// A key, and the generation of the set in which it was found.
pub(super) struct Found {
    pub(super) key: Arc<Key>,
    pub(super) generation: u32,
}

#[derive(Debug)]
struct Remote {
    /// Held during a fetch, so that requests that arrive meanwhile wait and share its result.
    fetches: Mutex<Fetches>,
    deadlines: RwLock<Option<Deadlines>>,
}

#[derive(Debug)]
struct Fetches {
    fetcher: Fetcher,
    /// When the last fetch ended, and whether it succeeded.
    last: Option<(Instant, bool)>,
}

/// When keys that were fetched have to be fetched again.
#[derive(Clone, Copy, Debug)]
struct Deadlines {
    /// From then on they are fetched beside the requests.
    refresh: Instant,
    /// From then on requests wait for the fetch. `None` after a fetch that failed: then the last good keys stay.
    stale: Option<Instant>,
}

/// How a request treats keys that have to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetch {
    /// It waits for them.
    Wait,
    /// It goes on without them, and they are fetched beside it: its answer must not show by its time that there are
    /// keys to be fetched.
    Beside,
}

impl Source {
    pub(super) fn fixed(keys: KeySet) -> Self {
        Self::of(keys, None)
    }

    pub(super) fn fetched(fetcher: Fetcher) -> Self {
        let remote = Remote { fetches: Mutex::new(Fetches { fetcher, last: None }), deadlines: RwLock::new(None) };
        Self::of(KeySet::default(), Some(remote))
    }

    fn of(keys: KeySet, remote: Option<Remote>) -> Self {
        let current = RwLock::new(Arc::new(Snapshot { keys, generation: 0 }));
        Self(Arc::new(Shared { current, remote }))
    }

    /// The keys, fetched again if their time is over: an issuer withdraws a key by not publishing it any more.
    pub(super) async fn fresh(&self, fetch: Fetch) -> Arc<Snapshot> {
        match self.0.age() {
            Age::Fresh => {}
            Age::Stale if fetch == Fetch::Wait => drop(self.0.fetch(|shared| shared.age() != Age::Stale).await),
            Age::Due | Age::Stale => self.fetch_beside(),
        }
        self.0.snapshot()
    }

    /// The key that `find` finds. One that is not there is looked for at the issuer at once, unless that was done a
    /// moment ago.
    pub(super) async fn key<'t>(
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

    /// The key that `find` finds in a newer set than that of `generation`: an issuer may publish a new key under an old
    /// name. `None` if there is no newer set, and the issuer was asked a moment ago.
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

    /// Fetches the keys without a request that waits for them, where there is a runtime to do so.
    pub(super) fn fetch_beside(&self) {
        let Some(remote) = &self.0.remote else { return };
        // One fetch is enough.
        if let (Ok(runtime), Ok(_)) = (tokio::runtime::Handle::try_current(), remote.fetches.try_lock()) {
            let shared = Arc::clone(&self.0);
            runtime.spawn(async move { shared.fetch(|_| false).await });
        }
    }
}

/// How old keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// They are not fetched again.
    Fresh,
    /// They are still good, and are fetched again.
    Due,
    /// They are too old to be believed without asking.
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

    /// Fetches the keys, unless that was done a moment ago or the keys `suffice` by then. Whether the issuer has
    /// answered.
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
