//! What a running server offers, and the changes of it that open subscriptions hear of.

use super::registry::{self, Source, Taken};
use attache_core::tool::Kind;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use tokio::sync::broadcast;

/// A handle by which the program changes what a server offers while it runs, and tells open subscriptions what has changed.
/// Clones are of the same server.
///
/// A request that has begun goes on with what was offered when it came.
#[derive(Clone, Debug)]
pub struct Changes(Arc<Live>);

#[derive(Debug)]
struct Live {
    offers: RwLock<Arc<Registry>>,
    told: broadcast::Sender<Change>,
    ended: AtomicBool,
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    List(Kind),
    Resource(String),
    /// What was to be done at the page of this id is done.
    Page(String),
    /// Nothing will change any more.
    End,
}

/// What is offered, by calls that can change it.
pub(crate) type Registry = registry::Registry<Changes>;
pub(crate) type Offer = registry::Offer<Changes>;
pub(crate) type Completion = registry::Completion<Changes>;
pub(crate) type Rerun = registry::Rerun<Changes>;
pub(crate) type Started = registry::Started<Changes>;

/// The same handle, which does not keep the server alive.
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
        }))
    }

    /// What is offered now.
    pub(crate) fn offers(&self) -> Arc<Registry> {
        Arc::clone(&self.0.offers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what is offered. Requests that hold what was offered before keep it.
    pub(crate) fn edit<R>(&self, edit: impl FnOnce(&mut Registry) -> R) -> R {
        edit(Arc::make_mut(&mut self.0.offers.write().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(crate) fn downgrade(&self) -> WeakChanges {
        WeakChanges(Arc::downgrade(&self.0))
    }

    /// Replaces all that a backend offers, and returns the names that are taken by others.
    pub(crate) fn replace(&self, source: Source, offers: Vec<(Kind, Offer)>) -> Vec<Taken> {
        let (changed, taken) = self.edit(|registry| registry.replace(source, offers));
        changed.into_iter().for_each(|kind| self.tell(Change::List(kind)));
        taken
    }

    pub(super) fn add(&self, kind: Kind, offer: Offer) -> Result<(), Taken> {
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

    /// The list of tools has changed otherwise: what it says of a tool, or to whom.
    pub fn tools(&self) {
        self.tell(Change::List(Kind::Tool));
    }

    /// The list of prompts has changed otherwise.
    pub fn prompts(&self) {
        self.tell(Change::List(Kind::Prompt));
    }

    /// The list of resources or of templates has changed otherwise.
    pub fn resources(&self) {
        self.tell(Change::List(Kind::Resource));
    }

    /// The resource with this URI has changed.
    pub fn resource(&self, uri: impl Into<String>) {
        self.tell(Change::Resource(uri.into()));
    }

    /// What a person was sent to a page for ([`Ctx::page_first`](crate::Ctx::page_first)) is done: the client that was told of the page
    /// hears of it, if it is of revision 2025-11-25 and listens.
    pub fn page_done(&self, id: impl Into<String>) {
        self.tell(Change::Page(id.into()));
    }

    /// Ends all subscriptions with their result, those that are still to come at once: for a server that is about to stop.
    // MCP 2026-07-28 basic/patterns/subscriptions: a server that ends a subscription SHOULD send its result.
    pub fn end_subscriptions(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
        self.tell(Change::End);
    }

    fn tell(&self, change: Change) {
        // Nobody listens: nobody is told.
        let _ = self.0.told.send(change);
    }

    /// What changes from now on; nothing if all subscriptions were ended.
    pub(crate) fn listen(&self) -> Option<broadcast::Receiver<Change>> {
        // In this order: an end that comes between is in the receiver, too.
        let changes = self.0.told.subscribe();
        (!self.0.ended.load(Ordering::SeqCst)).then_some(changes)
    }
}

/// Changes that a slow subscription may be behind; beyond that it is told of each list and resource that it
/// listens for at once.
const BACKLOG: usize = 256;
