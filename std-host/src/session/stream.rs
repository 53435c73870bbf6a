//! The GET stream of a legacy session, for server messages that belong to no call (MCP 2025-11-25
//! basic/transports, "Listening for Messages from the Server").

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

/// An open stream. Dropping it closes the stream.
pub(crate) struct SessionStream {
    client: Client,
    /// `None` if all subscriptions were ended before.
    changes: Option<broadcast::Receiver<Change>>,
    /// Closes with the session.
    open: mpsc::Receiver<()>,
    _permit: Permit,
    /// The changes to send. A message is written only when it is sent, so that messages do not pile
    /// up for a slow reader.
    due: VecDeque<Change>,
}

impl SessionStream {
    /// Opens the stream. An older stream of the same session ends. Each message may go to one
    /// stream only (MCP 2025-11-25 basic/transports, "Multiple Connections"), and a client that
    /// opens a second stream has lost the first, even if the connection of the first is still open.
    pub(crate) fn open(client: Client, changes: &Changes, permit: &Permit) -> Result<Self, Error> {
        let mut own = permit.of_its_own();
        own.more(limits::LISTEN_MEMORY).map_err(|short| Error::Busy(short.reason()))?;
        let permit = own.enter(Part::Subscriptions).map_err(|short| Error::Busy(short.reason()))?;
        let mut tables = client.tables_now();
        client.memory.sessions.hold(&client.session, client.share(), now()).map_err(unkept)?;
        let (sender, open) = mpsc::channel(1);
        // The older stream ends when its sender is dropped.
        tables.hearing.insert(client.session.name, sender);
        drop(tables);
        Ok(Self { client, changes: changes.listen(), open, _permit: permit, due: VecDeque::new() })
    }

    /// Returns the next message, or `None` when the stream has ended. Nothing is lost if the future
    /// is dropped.
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
                // The missed changes are unknown: any list and any resource may have changed.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.due.extend([Kind::Tool, Kind::Prompt, Kind::Resource].map(Change::List));
                    let tables = self.client.memory.tables();
                    let known = tables.subscribed.get(&self.client.session.name);
                    self.due.extend(known.iter().flat_map(|known| known.uris.keys()).cloned().map(Change::Resource));
                }
            }
        }
    }

    /// Writes the message, or returns `None` if it is not meant for the client.
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
        tables.subscribed.get(&self.client.session.name).is_some_and(|known| known.uris.contains_key(&normal_uri(uri)))
    }

    /// Whether the client was sent to the page with this id. It is notified once, so this forgets
    /// the page.
    // MCP 2025-11-25 client/elicitation: the notification MUST be sent only to the client that was
    // asked.
    fn awaits(&self, id: &str) -> bool {
        let pages = &mut self.client.memory.tables().pages;
        let place = pages.iter().position(|(page, session)| page == id && *session == self.client.session.name);
        place.is_some_and(|place| pages.remove(place).is_some())
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        let mut tables = self.client.memory.tables();
        self.client.memory.sessions.release(&self.client.session);
        // If a newer stream has replaced this one, the entry belongs to the newer one and stays.
        self.open.close();
        if tables.hearing.get(&self.client.session.name).is_some_and(mpsc::Sender::is_closed) {
            tables.hearing.remove(&self.client.session.name);
        }
    }
}
