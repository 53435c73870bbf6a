//! Open subscriptions (MCP 2026-07-28 basic/patterns/subscriptions).

use super::answer::{Answer, Step};
use super::server::Server;
use crate::admission::Place;
use crate::backend::Watched;
use crate::observe::Watch;
use crate::offer::Change;
use crate::sink::Growing;
use attache_core::exchange::Listen;
use attache_core::http::OK;
use attache_core::mcp;
use attache_core::tool::Kind;
use bytes::Bytes;
use core::mem::take;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::broadcast;

/// A notification to send. The message is written only when it is sent, so that messages do not
/// pile up for a slow reader.
enum Due {
    Acknowledgement,
    List(Kind),
    Resource(String),
}

/// An open subscription. It does not hold on to the offers that were current when it began.
pub(crate) struct Listening {
    server: Arc<Server>,
    listen: Listen,
    body: Bytes,
    /// `None` if all subscriptions were ended before this one began.
    changes: Option<broadcast::Receiver<Change>>,
    /// The resources for which the caller had the permissions when the subscription began. Others
    /// were unknown then.
    permitted: HashSet<String>,
    /// For the backends that offer the resources of the subscription.
    _watched: Vec<Watched>,
    /// The notifications that are to be sent.
    due: VecDeque<Due>,
    place: Place,
    watch: Watch,
}

impl Listening {
    pub(super) fn new(server: Arc<Server>, listen: Listen, body: Bytes, place: Place, mut watch: Watch) -> Self {
        let changes = server.changes.listen();
        watch.status(OK);
        // A copy, because the body may be a slice of a larger buffer. The permit of the place
        // covers the copy.
        let body = Bytes::copy_from_slice(&body);
        // MCP 2026-07-28 basic/patterns/subscriptions: the acknowledgement is the first message.
        let due = VecDeque::from([Due::Acknowledgement]);
        let (mut watched, mut permitted) = (Vec::new(), HashSet::new());
        let offers = server.changes.offers();
        listen.each_uri(&body, |uri| {
            let uri = uri.chars().collect::<String>();
            watched.extend(server.backends.watch(&uri));
            if offers.needs_of_uri(&uri).is_some() {
                permitted.insert(uri);
            }
        });
        Self { server, listen, body, changes, permitted, _watched: watched, due, place, watch }
    }

    /// Whether the subscription includes this resource and the caller may hear of it. A resource
    /// that requires permissions may have been added after the subscription began.
    fn wants(&self, uri: &str) -> bool {
        self.listen.wants_uri(&self.body, uri)
            && (self.permitted.contains(uri) || self.server.changes.offers().needs_of_uri(uri) != Some(true))
    }

    /// Returns the answer for a subscription that exceeds the limits.
    pub(crate) fn refuse(&mut self) -> Bytes {
        self.server.now().replied(&self.listen.refuse(), &self.body, &self.place.permit, &mut self.watch).bytes
    }

    pub(crate) fn id(&self) -> Vec<u8> {
        self.listen.id(&self.body).to_vec()
    }

    /// Returns the next data to send. Nothing is lost if the future is dropped.
    pub(crate) async fn step(&mut self) -> Step {
        loop {
            if let Some(due) = self.due.pop_front() {
                if let Some(message) = self.message(&due) {
                    self.watch.sent(&message);
                    return Step::Told(message);
                }
                continue;
            }
            let change = match &mut self.changes {
                Some(changes) => changes.recv().await,
                None => Ok(Change::End),
            };
            match change {
                Ok(Change::List(kind)) => self.due.push_back(Due::List(kind)),
                Ok(Change::Resource(uri)) if self.wants(&uri) => self.due.push_back(Due::Resource(uri)),
                Ok(Change::Resource(_) | Change::Page(_)) => {}
                // The missed changes are unknown: any list and any resource may have changed.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.due.extend([Kind::Tool, Kind::Prompt, Kind::Resource].map(Due::List));
                    let mut uris = Vec::new();
                    self.listen.each_uri(&self.body, |uri| uris.push(uri.chars().collect::<String>()));
                    uris.retain(|uri| self.wants(uri));
                    self.due.extend(uris.into_iter().map(Due::Resource));
                }
                Ok(Change::End) | Err(broadcast::error::RecvError::Closed) => {
                    let mut last = Growing::unlimited();
                    let _ = self.listen.end(&self.server.now().server(), &self.body, &mut last);
                    self.watch.sent(&last.bytes);
                    self.watch.taken();
                    return Step::Last(Answer::of(OK, last.bytes.into()));
                }
            }
        }
    }

    /// Writes the message, or returns `None` if the subscription does not include it.
    fn message(&self, due: &Due) -> Option<Bytes> {
        let Self { listen, body, .. } = self;
        let mut message = Growing::unlimited();
        let written = match due {
            Due::Acknowledgement => listen.acknowledge(body, &mut message),
            Due::List(kind) if listen.wants(*kind) => mcp::list_changed(*kind, Some(listen.id(body)), &mut message),
            Due::List(_) => return None,
            Due::Resource(uri) => mcp::updated(uri, Some(listen.id(body)), &mut message),
        };
        written.ok().map(|()| take(&mut message.bytes).into())
    }
}
