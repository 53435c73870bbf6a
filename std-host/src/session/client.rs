//! The handle of one legacy client.

use super::tables::{SessionTables, Signal, Subscribed, Tables};
use crate::backend::Backends;
use crate::budget::{Account, Overdrawn, Part, Permit, Slot};
use crate::clock::now;
use crate::limits;
use crate::offer::Known;
use attache_core::era::{Client as Capabilities, Session};
use attache_core::exchange::{Busy, Place, SessionChange, Share, Unkept};
use attache_core::rpc::Error;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};
use tokio::sync::mpsc;

/// A client in its session. Over HTTP, the session is identified by the request; a connection of
/// lines is one session.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) session: Session,
    /// The identifier of this process.
    pub(super) home: [u8; 4],
    pub(super) memory: Arc<SessionTables>,
    /// The account that is charged for remembered state.
    pub(super) account: Account,
    /// Whether messages can reach the client before the answer to its request.
    hears: bool,
}

impl Client {
    pub(crate) const fn new(session: Session, home: [u8; 4], memory: Arc<SessionTables>, account: Account) -> Self {
        Self { session, home, memory, account, hears: true }
    }

    /// Sets whether messages can reach the client before the answer to its request. A client that
    /// does not accept a stream cannot be asked.
    pub(crate) fn hearing(self, hears: bool) -> Self {
        Self { hears, ..self }
    }

    /// Returns the account that is charged for remembered state.
    pub(crate) const fn account(&self) -> Account {
        self.account
    }

    /// Returns the caller's share of the table of sessions.
    pub(super) fn share(&self) -> Share {
        self.memory.share(self.account)
    }

    /// The tables, without what belongs to sessions that are over.
    pub(super) fn tables_now(&self) -> MutexGuard<'_, Tables> {
        let mut tables = self.memory.tables();
        tables.drop_expired(now(), &*self.memory.sessions);
        tables
    }

    /// Whether the client has ended the session.
    pub(crate) fn has_ended(&self) -> bool {
        self.memory.sessions.has_ended(&self.session)
    }

    /// Returns the state of the session that a call needs.
    pub(crate) fn known(&self) -> Known {
        let client = if self.hears { self.session.client } else { Capabilities::NONE };
        Known { session: self.session.name, client, level: self.memory.sessions.level(&self.session) }
    }

    /// Takes a place in the table of running calls. `id` is that of the request, as it was written.
    pub(crate) fn begin(&self, id: &[u8]) -> Result<RunningCall, Error> {
        let Ok(slot) = self.memory.calls.take(self.account) else {
            return Err(CALLS_FULL);
        };
        let mut tables = self.tables_now();
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
        Ok(RunningCall { client: self.clone(), place, signals, _slot: slot })
    }

    /// Remembers the log level or the subscription that the client asks for. `uri` returns the URI
    /// of a subscription, which is charged to the caller of `permit`.
    pub(crate) fn remember(
        &self,
        wish: SessionChange,
        uri: impl FnOnce() -> String,
        backends: &Backends,
        permit: &Permit,
    ) -> Result<(), Error> {
        let uri = uri();
        // A backend is told outside of the lock of the tables. `ended` is dropped after the lock, too.
        let watched = if matches!(wish, SessionChange::Subscribe(_)) { backends.watch(&uri) } else { None };
        let ended;
        let mut tables = self.tables_now();
        let name = self.session.name;
        match wish {
            SessionChange::Level(level) => {
                self.memory.sessions.set_level(&self.session, level, self.share(), now()).map_err(unkept)
            }
            SessionChange::Subscribe(_) => {
                let known = tables.subscribed.get(&name);
                if known.is_some_and(|known| known.uris.len() >= limits::SUBSCRIPTIONS) {
                    return Err(Error::Busy("This session has too many subscriptions: end one of them first"));
                }
                let uri = normal_uri(&uri);
                if uri.len() > limits::SUBSCRIBED_URI {
                    return Err(Error::Refused("The URI is too long for a subscription"));
                }
                if known.is_some_and(|known| known.uris.contains_key(&uri)) {
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
                    tables.subscribed.insert(name, Subscribed { session: self.session, uris: HashMap::new(), permit });
                }
                if let Some(known) = tables.subscribed.get_mut(&name) {
                    known.uris.insert(uri, watched);
                }
                Ok(())
            }
            SessionChange::Unsubscribe(_) => {
                if let Some(known) = tables.subscribed.get_mut(&name) {
                    let uri = normal_uri(&uri);
                    ended = known.uris.remove(&uri);
                    if ended.is_some() {
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

    /// Cancels the call of the request with this id.
    ///
    /// # Errors
    /// If there is no such call here, but another replica may have it.
    // MCP 2025-11-25 basic/utilities/cancellation: a cancellation of an unknown request is ignored.
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
    /// If no call waits for it: the question was never asked here, or is already answered.
    pub(crate) fn answer(&self, question: u64, outcome: Result<Value, Value>, permit: Permit) -> Result<(), Error> {
        match self.memory.answer(self.session.name, question, outcome, permit) {
            true => Ok(()),
            false if self.is_at_home() => Err(Error::UnexpectedAnswer),
            false => Err(elsewhere("answer")),
        }
    }

    /// Ends the session: its calls are cancelled, its streams are closed, and its id becomes
    /// invalid.
    pub(crate) fn end(&self) -> Result<(), Error> {
        let mut tables = self.tables_now();
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

    /// Forgets the session after its connection has closed.
    pub(crate) fn forget(&self) {
        let mut tables = self.memory.tables();
        if tables.subscribed.remove(&self.session.name).is_some() {
            self.memory.sessions.release(&self.session);
        }
        self.memory.sessions.forget(&self.session);
    }

    /// Whether this process has opened the session. If so, state that is unknown here exists
    /// nowhere else.
    pub(crate) fn is_at_home(&self) -> bool {
        self.session.home == self.home
    }
}

/// A call in the table of running calls. Dropping it frees its place.
#[derive(Debug)]
pub(crate) struct RunningCall {
    pub(super) client: Client,
    place: Place,
    signals: mpsc::UnboundedReceiver<Signal>,
    _slot: Slot,
}

const CALLS_FULL: Error = Error::Busy("Too many calls of sessions are running: try again later");

impl RunningCall {
    /// Returns the next signal. Nothing is lost if the future is dropped.
    pub(crate) async fn signal(&mut self) -> Signal {
        // The sender is removed only when this value is dropped.
        self.signals.recv().await.unwrap_or(Signal::Cancel)
    }

    /// Remembers that the client was sent to the page with this id.
    pub(crate) fn note_page(&self, id: &str) {
        let pages = &mut self.client.memory.tables().pages;
        if pages.len() >= limits::PAGES {
            pages.pop_front();
        }
        pages.push_back((id.to_owned(), self.client.session.name));
    }

    /// Reserves numbers for `count` questions, and returns the first.
    pub(super) fn ask(&self, count: usize) -> Option<u64> {
        self.client.memory.tables().calls.ask(self.place, count)
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let mut tables = self.client.memory.tables();
        tables.calls.end(self.place);
        tables.ways.remove(&self.place.index());
        self.client.memory.sessions.release(&self.client.session);
    }
}

/// Returns the memory of a subscription to this URI: its text, a second copy for a waiting update,
/// and its entry in the table.
const fn memory_of(uri: &str) -> usize {
    2 * uri.len() + limits::LISTEN_URI
}

/// Returns a URI with the digits of its percent-escapes in upper case (RFC 3986 §6.2.2.1).
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

/// Returns the error for state that only another replica can have, or that this one had before a
/// restart.
pub(crate) fn elsewhere(what: &str) -> Error {
    tracing::warn!(
        what,
        "a message came for a session of another process: route each session to the replica that opened it"
    );
    Error::Elsewhere
}
