//! One legacy client, as long as something is done for it.

use super::tables::{Memory, Signal, Subscribed};
use crate::budget::{Account, Overdrawn, Part, Permit, Slot};
use crate::clock::now;
use crate::limits;
use crate::offer::Known;
use attache_core::era::{Client as Capabilities, Session};
use attache_core::exchange::{Busy, Place, Share, Unkept, Wish};
use attache_core::rpc::Error;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A client in its session. Over HTTP the session came with the request; a connection of lines is one.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) session: Session,
    /// That of this process.
    pub(super) home: [u8; 4],
    pub(super) memory: Arc<Memory>,
    /// The account that is charged for what is remembered.
    pub(super) account: Account,
    /// Whether messages can reach the client before the answer to its request.
    hears: bool,
}

impl Client {
    pub(crate) const fn new(session: Session, home: [u8; 4], memory: Arc<Memory>, account: Account) -> Self {
        Self { session, home, memory, account, hears: true }
    }

    /// The same client; `hears` says whether messages can reach it before the answer to its request. A client that takes no stream
    /// cannot be asked anything.
    pub(crate) fn hearing(self, hears: bool) -> Self {
        Self { hears, ..self }
    }

    /// The account that is charged for what is remembered.
    pub(crate) const fn account(&self) -> Account {
        self.account
    }

    /// How much of the table of sessions its caller may have.
    pub(super) fn share(&self) -> Share {
        self.memory.share(self.account)
    }

    /// Whether the client has ended the session.
    pub(crate) fn has_ended(&self) -> bool {
        self.memory.sessions.has_ended(&self.session)
    }

    /// What a call of this client has to know.
    pub(crate) fn known(&self) -> Known {
        let client = if self.hears { self.session.client } else { Capabilities::NONE };
        Known { client, level: self.memory.sessions.level(&self.session) }
    }

    /// Takes a place for a call with the id of its request as it was written.
    pub(crate) fn begin(&self, id: &[u8]) -> Result<InFlight, Error> {
        let Ok(slot) = self.memory.calls.take(self.account) else {
            return Err(CALLS_FULL);
        };
        let mut tables = self.memory.tables();
        self.memory.sessions.hold(&self.session, self.share(), now()).map_err(unkept)?;
        let place = match tables.calls.begin(self.session.name, id) {
            Ok(place) => place,
            Err(busy) => {
                self.memory.sessions.release(&self.session);
                return Err(match busy {
                    Busy::Full => CALLS_FULL,
                    Busy::Taken => Error::IdInUse,
                    Busy::LongId => Error::IdTooLong,
                });
            }
        };
        let (way, signals) = mpsc::unbounded_channel();
        tables.ways.insert(place.index(), (self.session, way));
        drop(tables);
        Ok(InFlight { client: self.clone(), place, signals, _slot: slot })
    }

    /// Remembers what the client wishes; `uri` is that of a subscription, which is charged to the caller of `permit`.
    pub(crate) fn remember(&self, wish: Wish, uri: impl FnOnce() -> String, permit: &Permit) -> Result<(), Error> {
        let mut tables = self.memory.tables();
        let name = self.session.name;
        match wish {
            Wish::Level(level) => {
                self.memory.sessions.set_level(&self.session, level, self.share(), now()).map_err(unkept)
            }
            Wish::Subscribe(_) => {
                let known = tables.subscribed.get(&name);
                if known.is_some_and(|known| known.uris.len() >= limits::SUBSCRIPTIONS) {
                    return Err(Error::Busy("This session has too many subscriptions: end one of them first"));
                }
                let uri = normal_uri(&uri());
                if uri.len() > limits::SUBSCRIBED_URI {
                    return Err(Error::Refused("The URI is longer than a subscription may have it"));
                }
                if known.is_some_and(|known| known.uris.contains(&uri)) {
                    return Ok(());
                }
                let full = |short: Overdrawn| Error::Busy(short.reason());
                let mut fresh = None;
                let permit = match tables.subscribed.get_mut(&name) {
                    Some(known) => &mut known.permit,
                    None => fresh.insert(permit.of_its_own().enter(Part::Subscriptions).map_err(full)?),
                };
                permit.more(memory_of(&uri)).map_err(full)?;
                if let Some(permit) = fresh {
                    self.memory.sessions.hold(&self.session, self.share(), now()).map_err(unkept)?;
                    tables.subscribed.insert(name, Subscribed { uris: HashSet::new(), permit });
                }
                if let Some(known) = tables.subscribed.get_mut(&name) {
                    known.uris.insert(uri);
                }
                Ok(())
            }
            Wish::Unsubscribe(_) => {
                if let Some(known) = tables.subscribed.get_mut(&name) {
                    let uri = normal_uri(&uri());
                    if known.uris.remove(&uri) {
                        let rest = known.permit.bytes().saturating_sub(memory_of(&uri));
                        known.permit.keep(rest);
                    }
                    if known.uris.is_empty() {
                        tables.subscribed.remove(&name);
                        self.memory.sessions.release(&self.session);
                    }
                }
                Ok(())
            }
        }
    }

    /// Stops the call whose request has this id.
    ///
    /// # Errors
    /// If there is none, and there might be one in another replica.
    // MCP 2025-11-25 basic/utilities/cancellation: what names no running request is ignored.
    pub(crate) fn cancel(&self, id: &[u8]) -> Result<(), Error> {
        match self.memory.cancel(self.session.name, id) || self.is_at_home() {
            true => Ok(()),
            false => Err(elsewhere("cancellation")),
        }
    }

    /// Whether a call with this request id runs here.
    pub(super) fn runs(&self, id: &[u8]) -> bool {
        self.memory.tables().calls.find(self.session.name, id).is_some()
    }

    /// Whether a call that runs here waits for the answer to this question.
    pub(super) fn awaits(&self, question: u64) -> bool {
        self.memory.tables().calls.awaits(self.session.name, question)
    }

    /// Gives an answer to the call that waits for it.
    ///
    /// # Errors
    /// If none does: it was never asked here, or is answered.
    pub(crate) fn answer(&self, question: u64, outcome: Result<Value, Value>, permit: Permit) -> Result<(), Error> {
        match self.memory.answer(self.session.name, question, outcome, permit) {
            true => Ok(()),
            false if self.is_at_home() => Err(Error::UnexpectedAnswer),
            false => Err(elsewhere("answer")),
        }
    }

    /// Ends the session: its calls are stopped, its streams closed, and its id is good for nothing more.
    pub(crate) fn end(&self) -> Result<(), Error> {
        let mut tables = self.memory.tables();
        self.memory.sessions.end(&self.session, self.share(), now()).map_err(unkept)?;
        tables.ways.values().filter(|(session, _)| *session == self.session).for_each(|(_, way)| {
            let _ = way.send(Signal::Cancel);
        });
        tables.hearing.remove(&self.session.name);
        if tables.subscribed.remove(&self.session.name).is_some() {
            self.memory.sessions.release(&self.session);
        }
        Ok(())
    }

    /// Forgets all of it, when a connection has gone.
    pub(crate) fn forget(&self) {
        let mut tables = self.memory.tables();
        if tables.subscribed.remove(&self.session.name).is_some() {
            self.memory.sessions.release(&self.session);
        }
        self.memory.sessions.forget(&self.session);
    }

    /// Whether this process has opened the session: what it does not know of it, none does.
    pub(crate) fn is_at_home(&self) -> bool {
        self.session.home == self.home
    }
}

/// A call in the table. Dropped, it frees its place.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(super) client: Client,
    place: Place,
    signals: mpsc::UnboundedReceiver<Signal>,
    _slot: Slot,
}

const CALLS_FULL: Error = Error::Busy("Too many calls of sessions are running: try again later");

impl InFlight {
    /// The next signal. Nothing is lost if the future is dropped.
    pub(crate) async fn signal(&mut self) -> Signal {
        // The sender goes with this value.
        self.signals.recv().await.unwrap_or(Signal::Cancel)
    }

    /// Remembers that the client was told of the page with this id.
    pub(crate) fn note_page(&self, id: &str) {
        let pages = &mut self.client.memory.tables().pages;
        if pages.len() >= limits::PAGES {
            pages.pop_front();
        }
        pages.push_back((id.to_owned(), self.client.session.name));
    }

    /// The number of the first of so many questions.
    pub(super) fn ask(&self, count: usize) -> Option<u64> {
        self.client.memory.tables().calls.ask(self.place, count)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut tables = self.client.memory.tables();
        tables.calls.end(self.place);
        tables.ways.remove(&self.place.index());
        self.client.memory.sessions.release(&self.client.session);
    }
}

/// What a subscription to this URI takes: its text, once more while its update is to be told, and its entry in the table.
const fn memory_of(uri: &str) -> usize {
    2 * uri.len() + limits::LISTEN_URI
}

/// A URI with the digits of its percent-escapes in capitals (RFC 3986 §6.2.2.1).
pub(super) fn normal_uri(uri: &str) -> String {
    let mut digits = 0;
    let normal = uri.chars().map(|char| {
        let is_digit = digits > 0 && char.is_ascii_hexdigit();
        digits = match char {
            '%' => 2,
            _ if is_digit => digits - 1,
            _ => 0,
        };
        if is_digit { char.to_ascii_uppercase() } else { char }
    });
    normal.collect()
}

pub(super) fn unkept(unkept: Unkept) -> Error {
    match unkept {
        Unkept::Full => Error::Busy("Too many sessions have a level, a stream or a subscription: try again later"),
        Unkept::Ended => Error::UnknownSession,
    }
}

/// What only another replica can know, or this one before it was started anew.
pub(crate) fn elsewhere(what: &str) -> Error {
    tracing::warn!(
        what,
        "came for a session that was opened elsewhere: route sessions to the replica that opened them"
    );
    Error::Elsewhere
}
