//! The current offers of a running server, and notifications of their changes to open
//! subscriptions.

use super::add_error::AddError;
use super::definition::{self, Source};
use super::name_taken::NameTaken;
use super::registry;
use super::state::States;
use crate::policy::Policy;
use attache_core::tool::Kind;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use tokio::sync::broadcast;

/// A handle to change the offers of a running server, and to notify open subscriptions of changes.
/// Clones belong to the same server.
///
/// A running request keeps the offers that were current when it arrived.
#[derive(Clone, Debug)]
pub struct Changes(Arc<Live>);

#[derive(Debug)]
struct Live {
    offers: RwLock<Arc<Registry>>,
    told: broadcast::Sender<Change>,
    ended: AtomicBool,
    /// The state of handlers. Set when the server is built.
    states: OnceLock<States>,
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    List(Kind),
    Resource(String),
    /// The user has finished the visit to the page with this id.
    Page(String),
    /// The server is about to stop: no more changes follow.
    End,
}

/// The offers of a server. Their handlers can change the offers.
pub(crate) type Registry = registry::Registry<Changes>;
pub(crate) type Offer = definition::Offer<Changes>;
pub(crate) type Completion = definition::Completion<Changes>;
pub(crate) type Rerun = registry::Rerun<Changes>;
pub(crate) type Started = registry::Started<Changes>;
pub(super) type Start = definition::Start<Changes>;

/// A weak handle, which does not keep the server alive.
#[derive(Clone, Debug)]
pub(crate) struct WeakChanges(Weak<Live>);

impl WeakChanges {
    pub(crate) fn upgrade(&self) -> Option<Changes> {
        self.0.upgrade().map(Changes)
    }
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Live {
            offers: RwLock::default(),
            told: broadcast::Sender::new(BACKLOG),
            ended: AtomicBool::new(false),
            states: OnceLock::new(),
        }))
    }

    /// Sets the state of handlers. Only the first call has an effect.
    pub(crate) fn share(&self, states: States) {
        let _ = self.0.states.set(states);
    }

    pub(super) fn state<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.states.get()?.get()
    }

    /// Returns the current offers.
    pub(crate) fn offers(&self) -> Arc<Registry> {
        Arc::clone(&self.0.offers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the offers. Requests that hold the previous offers keep them.
    pub(crate) fn edit<R>(&self, edit: impl FnOnce(&mut Registry) -> R) -> R {
        edit(Arc::make_mut(&mut self.0.offers.write().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(crate) fn downgrade(&self) -> WeakChanges {
        WeakChanges(Arc::downgrade(&self.0))
    }

    /// Replaces all offers of a backend, and returns the names that are already taken by others.
    pub(crate) fn replace(&self, source: Source, offers: Vec<(Kind, Offer)>) -> Vec<NameTaken> {
        let (changed, taken) = self.edit(|registry| registry.replace(source, offers));
        changed.into_iter().for_each(|kind| self.tell(Change::List(kind)));
        taken
    }

    /// Replaces policies at once: of backends and, with `None`, of the server.
    pub(crate) fn set_policies(&self, policies: Vec<(Option<Source>, Policy)>) {
        let changed = self.edit(|registry| registry.set_policies(policies));
        changed.into_iter().for_each(|kind| self.tell(Change::List(kind)));
    }

    /// Replaces policies, removes backends, and takes staged ones into use, all at once: a request is served by
    /// the old state or by the new one.
    pub(crate) fn update(&self, policies: Vec<(Option<Source>, Policy)>, removed: &[Source]) {
        let changed = self.edit(|registry| registry.update(policies, removed));
        changed.into_iter().for_each(|kind| self.tell(Change::List(kind)));
    }

    /// Returns the offers that such an update would leave out because other offers have their keys.
    pub(crate) fn conflicts(
        &self,
        policies: Vec<(Option<Source>, Policy)>,
        removed: &[Source],
    ) -> impl Fn(Source) -> Vec<NameTaken> {
        let mut registry = Registry::clone(&self.offers());
        registry.update(policies, removed);
        move |source| registry.taken_of(source)
    }

    /// Notifies the subscriptions of a resource, whichever backend offers it now.
    pub(crate) fn resource_moved(&self, uri: String) {
        self.tell(Change::Resource(uri));
    }

    /// Notifies the subscriptions of a resource that a backend has updated.
    pub(crate) fn resource_of(&self, source: Source, uri: String) {
        if self.offers().admits_uri(Some(source), &uri) {
            self.tell(Change::Resource(uri));
        }
    }

    /// Sets the instructions of the program or of a backend.
    pub(crate) fn instruct(&self, source: Option<Source>, text: &str) {
        let quoted = serde_json::Value::from(text).to_string();
        let escaped = quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
        self.edit(|registry| registry.instruct(source, escaped));
    }

    pub(super) fn add(&self, kind: Kind, offer: Result<Offer, AddError>) -> Result<(), AddError> {
        let offer = offer?;
        self.edit(|offers| offers.add(kind, offer))?;
        self.tell(Change::List(kind));
        Ok(())
    }

    pub(super) fn remove(&self, kind: Kind, key: &str) -> bool {
        let removed = self.edit(|offers| offers.remove(kind, key));
        if removed {
            self.tell(Change::List(kind));
        }
        removed
    }

    /// Notifies subscriptions that the list of tools has changed in another way, such as a
    /// description, or the callers that may see a tool.
    pub fn tools(&self) {
        self.tell(Change::List(Kind::Tool));
    }

    /// Notifies subscriptions that the list of prompts has changed in another way.
    pub fn prompts(&self) {
        self.tell(Change::List(Kind::Prompt));
    }

    /// Notifies subscriptions that the list of resources or templates has changed in another way.
    pub fn resources(&self) {
        self.tell(Change::List(Kind::Resource));
    }

    /// Notifies subscriptions that the resource with this URI has changed, if the policy of the
    /// server admits it.
    pub fn resource(&self, uri: impl Into<String>) {
        let uri = uri.into();
        if self.offers().admits_uri(None, &uri) {
            self.tell(Change::Resource(uri));
        }
    }

    /// Replaces the policy of the server. Running calls continue; requests that arrive from now on
    /// are served by the new policy.
    pub fn set_policy(&self, policy: Policy) {
        self.set_policies(vec![(None, policy)]);
    }

    /// Returns the patterns of the policy of the server that match none of its offers.
    pub fn unmatched_patterns(&self) -> Vec<String> {
        self.offers().unmatched_patterns(None)
    }

    /// Reports that the user has finished at the page of this id
    /// ([`Ctx::require_page`](crate::Ctx::require_page)). The client that was sent there is notified if
    /// it uses revision 2025-11-25 and has an open stream.
    pub fn page_done(&self, id: impl Into<String>) {
        self.tell(Change::Page(id.into()));
    }

    /// Ends all subscriptions with their result, and later ones immediately: for a server that is
    /// about to stop.
    // MCP 2026-07-28 basic/patterns/subscriptions: a server that ends a subscription SHOULD send
    // the result.
    pub fn end_subscriptions(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
        self.tell(Change::End);
    }

    fn tell(&self, change: Change) {
        // An error means that there are no subscriptions.
        let _ = self.0.told.send(change);
    }

    /// Returns a receiver for changes from now on, or `None` if all subscriptions were ended.
    pub(crate) fn listen(&self) -> Option<broadcast::Receiver<Change>> {
        // Subscribe first, then check: an end that comes in between is in the receiver, too.
        let changes = self.0.told.subscribe();
        (!self.0.ended.load(Ordering::SeqCst)).then_some(changes)
    }
}

/// The number of changes that a slow subscription may lag behind. Beyond that, it is notified of
/// all lists and resources that it listens to.
const BACKLOG: usize = 256;
