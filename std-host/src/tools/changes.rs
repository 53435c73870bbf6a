//! What has changed, told to whoever listens.

use attache_core::tool::Kind;
use tokio::sync::broadcast;

/// A handle by which the program tells open subscriptions what has changed. Clones tell the same subscriptions.
#[derive(Clone, Debug)]
pub struct Changes(broadcast::Sender<Change>);

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    List(Kind),
    Resource(String),
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    /// The list of tools has changed.
    pub fn tools(&self) {
        self.tell(Change::List(Kind::Tool));
    }

    /// The list of prompts has changed.
    pub fn prompts(&self) {
        self.tell(Change::List(Kind::Prompt));
    }

    /// The list of resources or of templates has changed.
    pub fn resources(&self) {
        self.tell(Change::List(Kind::Resource));
    }

    /// The resource with this URI has changed.
    pub fn resource(&self, uri: impl Into<String>) {
        self.tell(Change::Resource(uri.into()));
    }

    fn tell(&self, change: Change) {
        // Nobody listens: nobody is told.
        let _ = self.0.send(change);
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}

/// Changes that a slow subscription may be behind; beyond that it is told of each list and resource that it
/// listens for at once.
const BACKLOG: usize = 256;
