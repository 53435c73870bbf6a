//! The backends of a server, and how each of them publishes its entries.

use super::watches::Watches;
use super::{Backend, Call, Entry, Run};
use crate::call::{Run as Running, Sealer, crashed, guarded, tool_crashed};
use crate::offer::{Asked, Called, Changes, Completion, HiddenEntry, NameTaken, Offer, Source, WeakChanges};
use crate::policy::{Digest, HiddenBy, Policy};
use attache_core::tool::Kind;
use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The backends of one server. Clones belong to the same server.
#[derive(Clone)]
pub struct Backends {
    changes: Changes,
    list: Arc<Mutex<List>>,
    pub(super) watches: Watches,
}

#[derive(Default)]
struct List {
    backends: Vec<(Source, Arc<dyn Backend>)>,
    last: u32,
}

impl Backends {
    pub(crate) fn new(changes: Changes) -> Self {
        Self { changes, list: Arc::default(), watches: Watches::default() }
    }

    /// Adds a backend. The names of its tools and prompts get `prefix`, which may be empty; URIs do
    /// not change. The backend may change its entries while the server runs.
    pub fn add(&self, prefix: &str, backend: Arc<dyn Backend>) -> Publisher {
        self.add_with_policy(prefix, backend, Policy::new())
    }

    /// Adds a backend with a policy for its entries. The policy of the server applies, too.
    pub fn add_with_policy(&self, prefix: &str, backend: Arc<dyn Backend>, policy: Policy) -> Publisher {
        let source = {
            let mut list = self.list();
            list.last += 1;
            let source = Source(list.last);
            list.backends.push((source, Arc::clone(&backend)));
            source
        };
        // A backend may come with log messages, changes and updates at any time.
        self.changes.edit(|offers| {
            (offers.logging, offers.subscriptions) = (true, true);
            offers.declare_all();
        });
        self.changes.set_policy_of(Some(source), policy);
        let publisher = Publisher {
            changes: self.changes.downgrade(),
            source,
            prefix: prefix.into(),
            backend: Arc::downgrade(&backend),
            held_back: Arc::default(),
        };
        backend.attach(publisher.clone());
        publisher
    }

    /// Removes the backend of `publisher` with all its entries, and stops it.
    pub async fn remove(&self, publisher: &Publisher) {
        let removed = {
            let mut list = self.list();
            let place = list.backends.iter().position(|(source, _)| *source == publisher.source);
            place.map(|place| list.backends.remove(place).1)
        };
        self.changes.replace(publisher.source, Vec::new());
        if let Some(backend) = removed {
            backend.stop().await;
        }
    }

    /// Stops all backends at once, and waits until they have ended: for a server that has answered its last call.
    pub async fn stop(&self) {
        let backends = core::mem::take(&mut self.list().backends);
        let stop = |(_, backend): (Source, Arc<dyn Backend>)| tokio::spawn(async move { backend.stop().await });
        let stops: Vec<_> = backends.into_iter().map(stop).collect();
        for stop in stops {
            // An error means that this backend has panicked. The others are stopped all the same.
            let _ = stop.await;
        }
    }

    /// The backend that offers the resource with this URI, by itself or by a template.
    pub(super) fn source_of(&self, uri: &str) -> Option<Arc<dyn Backend>> {
        let source = self.changes.offers().source_of(uri)?;
        let list = self.list();
        list.backends.iter().find(|(known, _)| *known == source).map(|(_, backend)| Arc::clone(backend))
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backends").field("number", &self.list().backends.len()).finish_non_exhaustive()
    }
}

/// The handle of a backend to publish its entries. Clones belong to the same backend.
#[derive(Clone)]
pub struct Publisher {
    changes: WeakChanges,
    source: Source,
    prefix: Arc<str>,
    backend: Weak<dyn Backend>,
    /// The entries that were reported in the log as held back by their pins.
    held_back: Arc<Mutex<Vec<HiddenEntry>>>,
}

impl Publisher {
    /// Replaces all entries of this backend with `entries`, and notifies clients of the lists that
    /// have changed. Running calls continue.
    ///
    /// Returns the names that are left out because another entry of the server has them. Entries of
    /// the program come first, then those of the backends in the order in which the backends were
    /// added.
    pub fn publish(&self, entries: impl IntoIterator<Item = Entry>) -> Vec<NameTaken> {
        let (Some(changes), Some(backend)) = (self.changes.upgrade(), self.backend.upgrade()) else {
            return Vec::new();
        };
        let offers = entries.into_iter().map(|entry| (entry.kind(), self.offer(&entry, &backend))).collect();
        let taken = changes.replace(self.source, offers);
        self.report_held_back(&changes);
        taken
    }

    /// Notifies the clients that have subscribed to this resource that it has changed, if the
    /// policies admit it.
    pub fn resource_updated(&self, uri: impl Into<String>) {
        if let Some(changes) = self.changes.upgrade() {
            changes.resource_of(self.source, uri.into());
        }
    }

    /// Replaces the policy of this backend. Running calls continue.
    pub fn set_policy(&self, policy: Policy) {
        if let Some(changes) = self.changes.upgrade() {
            changes.set_policy_of(Some(self.source), policy);
            self.report_held_back(&changes);
        }
    }

    /// Returns the entries of this backend that policies hide from callers.
    pub fn hidden(&self) -> Vec<HiddenEntry> {
        self.changes.upgrade().map(|changes| changes.offers().hidden(self.source)).unwrap_or_default()
    }

    /// Returns the definitions of all entries that this backend has published, also of those that
    /// policies hide: the kind, the name or URI that clients see, and the digest to pin.
    pub fn definitions(&self) -> Vec<(Kind, String, Digest)> {
        self.changes.upgrade().map(|changes| changes.offers().definitions(self.source)).unwrap_or_default()
    }

    /// Returns the patterns of the backend's policy that match none of its entries.
    pub fn unmatched_patterns(&self) -> Vec<String> {
        self.changes.upgrade().map(|changes| changes.offers().unmatched_patterns(Some(self.source))).unwrap_or_default()
    }

    /// Logs each entry that its pin holds back, once for each definition.
    fn report_held_back(&self, changes: &Changes) {
        let hidden = changes.offers().hidden(self.source).into_iter();
        let now: Vec<_> = hidden.filter(|entry| matches!(entry.by, HiddenBy::Changed | HiddenBy::Unpinned)).collect();
        let mut known = self.held_back.lock().unwrap_or_else(PoisonError::into_inner);
        for HiddenEntry { kind, key, by, .. } in now.iter().filter(|entry| !known.contains(entry)) {
            tracing::warn!(?kind, entry = key, reason = %by, "an entry of a backend is held back until it is pinned");
        }
        *known = now;
    }

    fn offer(&self, entry: &Entry, backend: &Arc<dyn Backend>) -> Offer {
        let (kind, name) = (entry.kind(), Arc::<str>::from(entry.key()));
        let starts = (Arc::clone(backend), Arc::clone(&name));
        let start = move |asked: Asked<'_>, called: Called<Changes>, sealer: Sealer| {
            let (backend, name) = &starts;
            let uri = match asked {
                Asked::With(_) => None,
                Asked::Uri(uri, _) => Some(uri),
            };
            let call = Call::new(kind, Arc::clone(name), uri, called, sealer);
            run(kind, call, |call| backend.start(call))
        };
        let complete = entry.completes().then(|| {
            let backend = Arc::clone(backend);
            Completion::new(move |request, called, sealer| {
                let call = Call::completing(kind, Arc::clone(&name), called, sealer);
                run(kind, call, |call| backend.complete(request, call))
            })
        });
        Offer {
            key: entry.listed_key(&self.prefix).into(),
            members: entry.listed(&self.prefix),
            // The backend's server checks the arguments.
            arguments: None,
            mirrors: entry.mirrors().to_vec(),
            needs: Vec::new(),
            is_read_only: entry.is_read_only(),
            digest: Some(entry.digest()),
            start: Box::new(start),
            complete,
            source: Some(self.source),
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("source", &self.source).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Runs a call so that a panic in the backend ends only this call.
fn run(kind: Kind, call: Call, begin: impl FnOnce(Call) -> Run) -> Running {
    let version = call.version();
    let failed = if kind == Kind::Tool { tool_crashed } else { crashed };
    guarded(
        || {
            let run = begin(call);
            Ok(async move { run.await.into_outcome(kind, version) })
        },
        failed,
    )
}
