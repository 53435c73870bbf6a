//! The backends of a server, and how each of them publishes its entries.

use super::watches::{Watched, Watches};
use super::{Backend, Call, Entry, Run};
use crate::call::{Run as Running, Sealer, crashed, guarded, tool_crashed};
use crate::limits::STOP_GRACE;
use crate::offer::{Asked, Called, Changes, Completion, HiddenEntry, NameTaken, Offer, Source, WeakChanges};
use crate::policy::{Digest, HiddenBy, Needed, Policy};
use attache_core::tool::Kind;
use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
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
}

/// A change of the backends of a server, which takes effect as a whole.
#[derive(Clone, Debug, Default)]
pub struct BackendsUpdate<'p> {
    /// The policy of the server.
    pub server: Policy,
    /// The policies of backends that stay, and of staged ones, which are taken into use.
    pub policies: Vec<(&'p Publisher, Policy)>,
    /// The backends whose entries are removed. [`Backends::remove`] stops them.
    pub removed: Vec<&'p Publisher>,
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
        self.attach(prefix, backend, policy, false)
    }

    /// Adds a backend that connects and publishes its entries, of which callers see none until
    /// [`update`](Self::update) takes it into use.
    pub fn stage(&self, prefix: &str, backend: Arc<dyn Backend>) -> Publisher {
        self.attach(prefix, backend, Policy::new().allow([""; 0]), true)
    }

    fn attach(&self, prefix: &str, backend: Arc<dyn Backend>, policy: Policy, is_staged: bool) -> Publisher {
        let uses = Uses::default();
        let source = {
            let mut list = self.list();
            list.last += 1;
            let source = Source(list.last);
            list.backends.push(Attached { source, backend: Arc::clone(&backend) });
            source
        };
        // A backend may come with log messages, changes and updates at any time.
        self.changes.edit(|offers| {
            (offers.logging, offers.subscriptions) = (true, true);
            offers.declare_all();
            offers.attach(source, is_staged);
        });
        self.changes.set_policies(vec![(Some(source), policy)]);
        let publisher = Publisher {
            changes: self.changes.downgrade(),
            source,
            prefix: prefix.into(),
            backend: Arc::downgrade(&backend),
            uses,
            held_back: Arc::default(),
            name: Arc::default(),
        };
        backend.attach(publisher.clone());
        publisher
    }

    /// Changes the backends and their policies at once: a request is served by the old state or by the new one,
    /// never by a mixture. Running calls continue, and clients are notified of the lists that have changed.
    pub fn update(&self, update: &BackendsUpdate<'_>) {
        let (policies, removed) = update.parts();
        self.changes.update(policies, &removed);
        update.policies.iter().for_each(|(publisher, _)| publisher.report_held_back(&self.changes));
        for uri in self.watches.moved(|uri| self.source_of(uri)) {
            self.changes.resource_moved(uri);
        }
    }

    /// Returns the entries that `update` would leave out because other entries of the server have their names or
    /// URIs: those of each backend in `policies`, by its place there.
    pub fn conflicts(&self, update: &BackendsUpdate<'_>) -> Vec<Vec<NameTaken>> {
        let (policies, removed) = update.parts();
        let conflicts = self.changes.conflicts(policies, &removed);
        update.policies.iter().map(|(publisher, _)| conflicts(publisher.source)).collect()
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
        self.remove_within(publisher, STOP_GRACE).await;
    }

    /// Like [`remove`](Self::remove), but calls that run get `grace` to end.
    pub async fn remove_within(&self, publisher: &Publisher, grace: Duration) {
        self.changes.update(Vec::new(), &[publisher.source]);
        let is_ended = timeout(grace, publisher.uses.ended()).await.is_ok();
        // Until here, the end of the server stops the backend, too.
        let removed = {
            let mut list = self.list();
            let place = list.backends.iter().position(|attached| attached.source == publisher.source);
            place.map(|place| list.backends.remove(place))
        };
        if let Some(Attached { backend, .. }) = removed {
            if !is_ended {
                tracing::warn!(backend = publisher.name(), "a backend is stopped although calls of it still run");
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

impl BackendsUpdate<'_> {
    fn parts(&self) -> (Vec<(Option<Source>, Policy)>, Vec<Source>) {
        let of_backends = self.policies.iter().map(|(publisher, policy)| (Some(publisher.source), policy.clone()));
        let policies = core::iter::once((None, self.server.clone())).chain(of_backends).collect();
        (policies, self.removed.iter().map(|publisher| publisher.source).collect())
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
    uses: Uses,
    name: Arc<OnceLock<String>>,
}

impl Publisher {
    /// Sets the name of the backend, by which observers, metrics and error messages know it. Only the first call
    /// has an effect.
    pub fn set_name(&self, name: &str) {
        if self.name.set(name.to_owned()).is_ok()
            && let Some(changes) = self.changes.upgrade()
        {
            changes.edit(|offers| offers.name(self.source, name));
        }
    }

    fn name(&self) -> String {
        self.name.get().cloned().unwrap_or_default()
    }

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
        let starts = (Arc::clone(backend), Arc::clone(&name), self.uses.begin());
        let start = move |asked: Asked<'_>, called: Called<Changes>, sealer: Sealer| {
            let (backend, name, uses) = &starts;
            let uri = match asked {
                Asked::With(_) => None,
                Asked::Uri(uri, _) => Some(uri),
            };
            let call = Call::new(kind, Arc::clone(name), uri, called, sealer);
            run(kind, call, uses.clone(), |call| backend.start(call))
        };
        let complete = entry.completes().then(|| {
            let (backend, uses) = (Arc::clone(backend), self.uses.begin());
            Completion::new(move |request, called, sealer| {
                let call = Call::completing(kind, Arc::clone(&name), called, sealer);
                run(kind, call, uses.clone(), |call| backend.complete(request, call))
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

/// The uses of a backend: its calls that run, and the requests that may still start one because they arrived
/// while its entries were listed.
#[derive(Clone)]
struct Uses(watch::Sender<()>);

/// One use, which ends when it is dropped.
type Use = watch::Receiver<()>;

impl Default for Uses {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Uses {
    fn begin(&self) -> Use {
        self.0.subscribe()
    }

    /// Waits until there is no use.
    async fn ended(&self) {
        self.0.closed().await;
    }
}

/// Runs a call so that a panic in the backend ends only this call.
fn run(kind: Kind, call: Call, uses: Use, begin: impl FnOnce(Call) -> Run) -> Running {
    let version = call.version();
    let failed = if kind == Kind::Tool { tool_crashed } else { crashed };
    guarded(
        || {
            let run = begin(call);
            Ok(async move {
                let _uses = uses;
                run.await.into_outcome(kind, version)
            })
        },
        failed,
    )
}
