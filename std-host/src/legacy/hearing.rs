//! The stream on which a legacy client hears what belongs to none of its calls (MCP 2025-11-25 basic/transports, "Listening for
//! Messages from the Server").

use super::Client;
use super::client::{normal_uri, unkept};
use crate::clock::now;
use crate::sink::Growing;
use crate::tools::{Change, Changes};
use attache_core::json::{Full, Sink};
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
    due: VecDeque<Bytes>,
}

impl Hearing {
    /// Opens the stream. An older one of the same session ends: each message goes to one stream alone (MCP 2025-11-25
    /// basic/transports, "Multiple Connections"), and a client that opens another one has lost the first, even where the
    /// connection of the first still hangs.
    pub(crate) fn open(client: Client, changes: &Changes) -> Result<Self, Error> {
        let mut tables = client.memory.tables();
        tables.sessions.hold(&client.session, now()).map_err(unkept)?;
        let (sender, open) = mpsc::channel(1);
        // The older stream ends when its sender is dropped.
        tables.hearing.insert(client.session.name, sender);
        drop(tables);
        Ok(Self { client, changes: changes.listen(), open, due: VecDeque::new() })
    }

    /// The next message; `None` when the stream has ended. Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = self.due.pop_front() {
                return Some(message);
            }
            let changes = self.changes.as_mut()?;
            let change = tokio::select! {
                None = self.open.recv() => return None,
                change = changes.recv() => change,
            };
            match change {
                Ok(Change::List(kind)) => self.tell(|out| mcp::list_changed(kind, None, out)),
                Ok(Change::Resource(uri)) if self.wants(&uri) => self.tell(|out| mcp::updated(&uri, None, out)),
                Ok(Change::Resource(_)) => {}
                Ok(Change::Page(id)) => {
                    if self.awaits(&id) {
                        self.tell(|out| mcp::page_done(&id, out));
                    }
                }
                // What was missed is not known: any list may have changed, and any resource.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    for kind in [Kind::Tool, Kind::Prompt, Kind::Resource] {
                        self.tell(|out| mcp::list_changed(kind, None, out));
                    }
                    let uris = self.client.memory.tables().subscribed.get(&self.client.session.name).cloned();
                    for uri in uris.unwrap_or_default() {
                        self.tell(|out| mcp::updated(&uri, None, out));
                    }
                }
                Ok(Change::End) | Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    fn wants(&self, uri: &str) -> bool {
        let tables = self.client.memory.tables();
        tables.subscribed.get(&self.client.session.name).is_some_and(|known| known.contains(&normal_uri(uri)))
    }

    /// Whether the client was told of the page with this id; it is told of its end once.
    // MCP 2025-11-25 client/elicitation: MUST go only to the client that was asked.
    fn awaits(&self, id: &str) -> bool {
        let pages = &mut self.client.memory.tables().pages;
        let place = pages.iter().position(|(page, session)| page == id && *session == self.client.session.name);
        place.is_some_and(|place| pages.remove(place).is_some())
    }

    fn tell(&mut self, write: impl FnOnce(&mut dyn Sink) -> Result<(), Full>) {
        let mut message = Growing::unlimited();
        if write(&mut message).is_ok() {
            self.due.push_back(message.bytes.into());
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.client.memory.tables().sessions.release(&self.client.session);
    }
}
