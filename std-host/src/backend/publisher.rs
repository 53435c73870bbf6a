//! The backends of a server, and how each of them publishes its entries.

use super::watches::{Watched, Watches};
use super::{Backend, Call, Entry, Run};
use crate::call::{Run as Running, Sealer, crashed, guarded, tool_crashed};
use crate::limits::STOP_GRACE;
use crate::offer::{Asked, Called, Changes, Completion, HiddenEntry, NameTaken, Offer, Source, WeakChanges};
use crate::policy::{Digest, HiddenBy, Needed, Policy};
use attache_core::tool::Kind;
use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::watch;
use tokio::time::timeout;

/// The backends of one server. Clones belong to the same server.
#[derive(Clone)]
pub struct Backends {
    changes: Changes,
    list: Arc<Mutex<List>>,
    watches: Watches,
}

#[derive(Default)]
struct List {
    backends: Vec<Attached>,
    last: u32,
}

struct Attached {
    source: Source,
    backend: Arc<dyn Backend>,
    calls: RunningCalls,
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
        let calls = RunningCalls::default();
        let source = {
            let mut list = self.list();
            list.last += 1;
            let source = Source(list.last);
            list.backends.push(Attached { source, backend: Arc::clone(&backend), calls: calls.clone() });
            source
        };
        // A backend may come with log messages, changes and updates at any time.
        self.changes.edit(|offers| {
            (offers.logging, offers.subscriptions) = (true, true);
            offers.declare_all();
        });
        self.changes.set_policies(vec![(Some(source), policy)]);
        let publisher = Publisher {
            changes: self.changes.downgrade(),
            source,
            prefix: prefix.into(),
            backend: Arc::downgrade(&backend),
            calls,
            held_back: Arc::default(),
        };
        backend.attach(publisher.clone());
        publisher
    }

    /// Replaces the policy of the server and those of some backends at once: a request is served by
    /// all old policies or by all new ones. Running calls continue.
    pub fn set_policies<'p>(&self, server: Policy, backends: impl IntoIterator<Item = (&'p Publisher, Policy)>) {
        let (publishers, policies): (Vec<_>, Vec<_>) = backends.into_iter().unzip();
        let of_backends = publishers.iter().map(|publisher| Some(publisher.source)).zip(policies);
        self.changes.set_policies(core::iter::once((None, server)).chain(of_backends).collect());
        publishers.iter().for_each(|publisher| publisher.report_held_back(&self.changes));
    }

    /// Removes the backend of `publisher` with all its entries, and stops it. Calls that run get
    /// [`STOP_GRACE`] to end first. Calls that wait for the answers of their client do, too.
    pub async fn remove(&self, publisher: &Publisher) {
        let removed = {
            let mut list = self.list();
            let place = list.backends.iter().position(|attached| attached.source == publisher.source);
            place.map(|place| list.backends.remove(place))
        };
        self.changes.replace(publisher.source, Vec::new());
        self.changes.instruct(Some(publisher.source), "");
        if let Some(Attached { backend, calls, .. }) = removed {
            if timeout(STOP_GRACE, calls.ended()).await.is_err() {
                tracing::warn!("a backend is removed although calls of it still run");
            }
            backend.stop().await;
        }
    }

    /// Stops all backends at once, and waits until they have ended: for a server that has answered its last call.
    pub async fn stop(&self) {
        let backends = core::mem::take(&mut self.list().backends);
        let stop = |Attached { backend, .. }: Attached| tokio::spawn(async move { backend.stop().await });
        let stops: Vec<_> = backends.into_iter().map(stop).collect();
        for stop in stops {
            // An error means that this backend has panicked. The others are stopped all the same.
            let _ = stop.await;
        }
    }

    /// Counts a subscription to the resource with this URI. `None` if no backend offers it.
    pub(crate) fn watch(&self, uri: &str) -> Option<Watched> {
        Some(self.watches.watch(uri, &self.source_of(uri)?))
    }

    /// Tells all backends that a client has ended its session.
    pub(crate) fn session_ended(&self, session: [u8; 16]) {
        let backends: Vec<_> = self.list().backends.iter().map(|attached| Arc::clone(&attached.backend)).collect();
        backends.iter().for_each(|backend| backend.session_ended(session));
    }

    /// The backend that offers the resource with this URI, by itself or by a template.
    fn source_of(&self, uri: &str) -> Option<Arc<dyn Backend>> {
        let source = self.changes.offers().source_of(uri)?;
        let list = self.list();
        let attached = list.backends.iter().find(|attached| attached.source == source)?;
        Some(Arc::clone(&attached.backend))
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
    calls: RunningCalls,
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

    /// Returns the entries of this backend that are left out now because another entry of the server
    /// has their name or URI.
    pub fn hidden(&self) -> Vec<NameTaken> {
        self.changes.upgrade().map(|changes| changes.offers().taken_of(self.source)).unwrap_or_default()
    }

    /// Sets the instructions of this backend for the model. They follow those of the server. Text
    /// beyond [`INSTRUCTIONS`] is left out.
    pub fn instructions(&self, text: &str) {
        let Some(changes) = self.changes.upgrade() else { return };
        let end = text.floor_char_boundary(INSTRUCTIONS);
        let text = text.get(..end).unwrap_or_default().trim();
        let text = match (&*self.prefix, text) {
            (_, "") | ("", _) => text.to_owned(),
            (prefix, text) => format!("For the tools and prompts whose names begin with {prefix}:\n{text}"),
        };
        changes.instruct(Some(self.source), &text);
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
            changes.set_policies(vec![(Some(self.source), policy)]);
            self.report_held_back(&changes);
        }
    }

    /// Returns the entries of this backend that policies hide from callers.
    pub fn hidden_by_policy(&self) -> Vec<HiddenEntry> {
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
        let starts = (Arc::clone(backend), Arc::clone(&name), self.calls.clone());
        let start = move |asked: Asked<'_>, called: Called<Changes>, sealer: Sealer| {
            let (backend, name, calls) = &starts;
            let uri = match asked {
                Asked::With(_) => None,
                Asked::Uri(uri, _) => Some(uri),
            };
            let call = Call::new(kind, Arc::clone(name), uri, called, sealer);
            run(kind, call, calls.begin(), |call| backend.start(call))
        };
        let complete = entry.completes().then(|| {
            let (backend, calls) = (Arc::clone(backend), self.calls.clone());
            Completion::new(move |request, called, sealer| {
                let call = Call::completing(kind, Arc::clone(&name), called, sealer);
                run(kind, call, calls.begin(), |call| backend.complete(request, call))
            })
        });
        Offer {
            key: entry.listed_key(&self.prefix).into(),
            members: entry.listed(&self.prefix),
            // The backend's server checks the arguments.
            arguments: None,
            mirrors: entry.mirrors().to_vec(),
            needs: entry.scopes().iter().cloned().map(Needed::Scope).collect(),
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

/// Most bytes of the instructions of one backend. Models read them with every conversation.
pub const INSTRUCTIONS: usize = 16 * 1024;

/// The number of calls of a backend that run.
#[derive(Clone)]
struct RunningCalls(watch::Sender<usize>);

/// Counts a call as running until it is dropped.
struct Runs(RunningCalls);

impl Default for RunningCalls {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl RunningCalls {
    fn begin(&self) -> Runs {
        self.0.send_modify(|calls| *calls += 1);
        Runs(self.clone())
    }

    /// Waits until no call runs.
    async fn ended(&self) {
        // The sender is a field of `self`, so it is there.
        let _ = self.0.subscribe().wait_for(|calls| *calls == 0).await;
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        self.0.0.send_modify(|calls| *calls -= 1);
    }
}

/// Runs a call so that a panic in the backend ends only this call.
fn run(kind: Kind, call: Call, runs: Runs, begin: impl FnOnce(Call) -> Run) -> Running {
    let version = call.version();
    let failed = if kind == Kind::Tool { tool_crashed } else { crashed };
    guarded(
        || {
            let run = begin(call);
            Ok(async move {
                let _runs = runs;
                run.await.into_outcome(kind, version)
            })
        },
        failed,
    )
}
