//! The stream on which a legacy client hears what belongs to none of its calls (MCP 2025-11-25 basic/transports, "Listening for
//! Messages from the Server").

use super::Client;
use super::client::{normal_uri, unkept};
use crate::budget::{Part, Permit};
use crate::clock::now;
use crate::limits;
use crate::offer::{Change, Changes};
use crate::sink::Growing;
use attache_core::mcp;
use attache_core::rpc::Error;
use attache_core::tool::Kind;
use bytes::Bytes;
use std::collections::VecDeque;
use tokio::sync::{broadcast, mpsc};

/// An open stream. Dropped, it is closed.
pub(crate) struct Hearing {
    client: Client,
    /// Nothing where all subscriptions were ended before.
    changes: Option<broadcast::Receiver<Change>>,
    /// Ends with the session.
    open: mpsc::Receiver<()>,
    _permit: Permit,
    /// What is to be told. A message is written when it is sent: a reader that does not read holds no messages.
    due: VecDeque<Change>,
}

impl Hearing {
    /// Opens the stream. An older one of the same session ends: each message goes to one stream alone (MCP 2025-11-25
    /// basic/transports, "Multiple Connections"), and a client that opens another one has lost the first, even where the
    /// connection of the first still hangs.
    pub(crate) fn open(client: Client, changes: &Changes, permit: &Permit) -> Result<Self, Error> {
        let mut own = permit.of_its_own();
        own.more(limits::LISTEN_MEMORY).map_err(|short| Error::Busy(short.reason()))?;
        let permit = own.enter(Part::Subscriptions).map_err(|short| Error::Busy(short.reason()))?;
        client.memory.sessions.hold(&client.session, client.share(), now()).map_err(unkept)?;
        let mut tables = client.memory.tables();
        let (sender, open) = mpsc::channel(1);
        // The older stream ends when its sender is dropped.
        tables.hearing.insert(client.session.name, sender);
        drop(tables);
        Ok(Self { client, changes: changes.listen(), open, _permit: permit, due: VecDeque::new() })
    }

    /// The next message; `None` when the stream has ended. Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(change) = self.due.pop_front() {
                match self.message(&change) {
                    Some(message) => return Some(message),
                    None => continue,
                }
            }
            let changes = self.changes.as_mut()?;
            let change = tokio::select! {
                None = self.open.recv() => return None,
                change = changes.recv() => change,
            };
            match change {
                Ok(Change::End) | Err(broadcast::error::RecvError::Closed) => return None,
                Ok(change) => self.due.push_back(change),
                // What was missed is not known: any list may have changed, and any resource.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.due.extend([Kind::Tool, Kind::Prompt, Kind::Resource].map(Change::List));
                    let tables = self.client.memory.tables();
                    let known = tables.subscribed.get(&self.client.session.name);
                    self.due.extend(known.iter().flat_map(|known| &known.uris).cloned().map(Change::Resource));
                }
            }
        }
    }

    /// The message; nothing where the client is not to hear of it.
    fn message(&self, change: &Change) -> Option<Bytes> {
        let mut message = Growing::unlimited();
        let written = match change {
            Change::List(kind) => mcp::list_changed(*kind, None, &mut message),
            Change::Resource(uri) if self.wants(uri) => mcp::updated(uri, None, &mut message),
            Change::Page(id) if self.awaits(id) => mcp::page_done(id, &mut message),
            Change::Resource(_) | Change::Page(_) | Change::End => return None,
        };
        written.ok().map(|()| core::mem::take(&mut message.bytes).into())
    }

    fn wants(&self, uri: &str) -> bool {
        let tables = self.client.memory.tables();
        tables.subscribed.get(&self.client.session.name).is_some_and(|known| known.uris.contains(&normal_uri(uri)))
    }

    /// Whether the client was told of the page with this id; it is told of its end once.
    // MCP 2025-11-25 client/elicitation: MUST go only to the client that was asked.
    fn awaits(&self, id: &str) -> bool {
        let pages = &mut self.client.memory.tables().pages;
        let place = pages.iter().position(|(page, session)| page == id && *session == self.client.session.name);
        place.is_some_and(|place| pages.remove(place).is_some())
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let mut tables = self.client.memory.tables();
        self.client.memory.sessions.release(&self.client.session);
        // A newer stream may have taken its place; then the entry is that of the newer one.
        self.open.close();
        if tables.hearing.get(&self.client.session.name).is_some_and(mpsc::Sender::is_closed) {
            tables.hearing.remove(&self.client.session.name);
        }
    }
}
