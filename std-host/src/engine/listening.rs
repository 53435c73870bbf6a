//! A subscription that is open (MCP 2026-07-28 basic/patterns/subscriptions).

use super::answer::{Answer, Step};
use super::server::Engine;
use crate::admission::Place;
use crate::observe::Watch;
use crate::offer::Change;
use crate::sink::Growing;
use attache_core::exchange::Listen;
use attache_core::http::OK;
use attache_core::json::{Full, Sink};
use attache_core::mcp;
use attache_core::tool::Kind;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast;

/// A subscription that is open. It keeps nothing of what was offered when it began.
pub(crate) struct Listening {
    engine: Arc<Engine>,
    listen: Listen,
    body: Bytes,
    /// Nothing where all subscriptions were ended before this one began.
    changes: Option<broadcast::Receiver<Change>>,
    /// Messages that are due.
    due: VecDeque<Bytes>,
    #[expect(dead_code, reason = "held until the subscription has ended")]
    place: Place,
    watch: Watch,
}

impl Listening {
    pub(super) fn new(engine: Arc<Engine>, listen: Listen, body: Bytes, place: Place, mut watch: Watch) -> Self {
        let changes = engine.changes.listen();
        watch.status(OK);
        let mut listening = Self { engine, listen, body, changes, due: VecDeque::new(), place, watch };
        // MCP 2026-07-28 basic/patterns/subscriptions: the acknowledgement is the first message.
        listening.tell(|listen, body, out| listen.acknowledge(body, out));
        listening
    }

    /// What is answered where there is no room for it.
    pub(crate) fn refuse(&mut self) -> Bytes {
        self.engine.now().replied(&self.listen.refuse(), &self.body, &mut self.watch).bytes
    }

    pub(crate) fn id(&self) -> Vec<u8> {
        self.listen.id(&self.body).to_vec()
    }

    /// The next thing to be sent. Nothing is lost if the future is dropped.
    pub(crate) async fn step(&mut self) -> Step {
        loop {
            if let Some(message) = self.due.pop_front() {
                self.watch.sent(message.len());
                return Step::Told(message);
            }
            let change = match &mut self.changes {
                Some(changes) => changes.recv().await,
                None => Ok(Change::End),
            };
            match change {
                Ok(Change::List(kind)) => self.changed(kind),
                Ok(Change::Resource(uri)) if self.listen.wants_uri(&self.body, &uri) => self.updated(&uri),
                Ok(Change::Resource(_) | Change::Page(_)) => {}
                // What was missed is not known: any list may have changed, and any resource.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    [Kind::Tool, Kind::Prompt, Kind::Resource].into_iter().for_each(|kind| self.changed(kind));
                    let mut uris = Vec::new();
                    self.listen.each_uri(&self.body, |uri| uris.push(uri.chars().collect::<String>()));
                    uris.iter().for_each(|uri| self.updated(uri));
                }
                Ok(Change::End) | Err(broadcast::error::RecvError::Closed) => {
                    let mut last = Growing::unlimited();
                    let _ = self.listen.end(&self.engine.now().server(), &self.body, &mut last);
                    self.watch.sent(last.bytes.len());
                    self.watch.taken();
                    return Step::Last(Answer::new(OK, last.bytes));
                }
            }
        }
    }

    fn updated(&mut self, uri: &str) {
        self.tell(|listen, body, out| mcp::updated(uri, Some(listen.id(body)), out));
    }

    fn changed(&mut self, kind: Kind) {
        if self.listen.wants(kind) {
            self.tell(|listen, body, out| mcp::list_changed(kind, Some(listen.id(body)), out));
        }
    }

    fn tell(&mut self, write: impl FnOnce(&Listen, &[u8], &mut dyn Sink) -> Result<(), Full>) {
        let mut message = Growing::unlimited();
        if write(&self.listen, &self.body, &mut message).is_ok() {
            self.due.push_back(message.bytes.into());
        }
    }
}
