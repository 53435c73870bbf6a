//! The tables of legacy sessions, shared by all connections.

use crate::backend::Watched;
use crate::budget::{Account, Permit, Slots, share};
use crate::limits::{self, Limits};
use crate::store::SessionStore;
use attache_core::era::Session;
use attache_core::exchange::{Inflight, Share};
use core::fmt;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The remembered state of legacy clients.
pub(crate) struct SessionTables {
    tables: Mutex<Tables>,
    /// Called while the tables are locked, and never the other way round.
    pub(super) sessions: Arc<dyn SessionStore>,
    /// Slots for running calls; each caller has a share of them.
    pub(super) calls: Slots,
    /// The number of slots in the table of sessions that one caller may have.
    share: usize,
}

/// The tables. The size of each is limited.
#[derive(Default)]
pub(crate) struct Tables {
    pub(super) calls: Box<Inflight<{ limits::LEGACY_CALLS }>>,
    /// The senders of signals to running calls, by the index of their places.
    pub(super) ways: HashMap<usize, (Session, mpsc::UnboundedSender<Signal>)>,
    /// The resources that sessions have subscribed to.
    pub(super) subscribed: HashMap<[u8; 16], Subscribed>,
    /// The pages that users were sent to, with the session of each; the newest is last.
    pub(super) pages: VecDeque<(String, [u8; 16])>,
    /// The sessions with an open stream, which ends when its sender is dropped.
    pub(super) hearing: HashMap<[u8; 16], mpsc::Sender<()>>,
    /// When subscriptions of sessions that are over were looked for last.
    looked: u64,
}

/// The resources that one session has subscribed to.
pub(super) struct Subscribed {
    pub(super) session: Session,
    /// Each with the watch of the backend that offers it.
    pub(super) uris: HashMap<String, Option<Watched>>,
    pub(super) permit: Permit,
}

/// A signal to a running call.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The call must stop and send no answer.
    Cancel,
    /// The answer to one of the call's questions, with the index of the question, and the permit
    /// for the memory of the answer.
    Answer(usize, Result<Value, Value>, Permit),
}

impl SessionTables {
    pub(crate) fn new(limits: &Limits, sessions: Arc<dyn SessionStore>) -> Self {
        Self {
            tables: Mutex::default(),
            sessions,
            calls: Slots::new(limits::LEGACY_CALLS, limits.share),
            share: share(limits::SESSIONS, limits.share),
        }
    }

    /// Returns the share of the table of sessions that `account` may have.
    pub(super) fn share(&self, account: Account) -> Share {
        account.number().map_or(Share::ALL, |owner| Share::of(owner, self.share))
    }

    /// Has the questions of this process numbered apart from those of other processes, whose numbers the same client sees.
    pub(crate) fn number_questions(&self, home: [u8; 4]) {
        // Below 2^53, so that every client reads the number exactly.
        self.tables().calls.number_from(u64::from(u32::from_be_bytes(home)) << 20);
    }

    /// Cancels the call of this session whose request has this id. Returns whether there is one.
    pub(super) fn cancel(&self, session: [u8; 16], id: &[u8]) -> bool {
        let tables = self.tables();
        let way = tables.calls.find(session, id).and_then(|place| tables.ways.get(&place.index()));
        way.is_some_and(|(_, way)| way.send(Signal::Cancel).is_ok())
    }

    /// Gives an answer to the call of this session that waits for it. Returns whether there is one.
    pub(super) fn answer(
        &self,
        session: [u8; 16],
        question: u64,
        outcome: Result<Value, Value>,
        permit: Permit,
    ) -> bool {
        let mut tables = self.tables();
        let Some((place, at)) = tables.calls.answered(session, question) else { return false };
        if let Some((_, way)) = tables.ways.get(&place.index()) {
            let _ = way.send(Signal::Answer(at, outcome, permit));
        }
        true
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Drops the subscriptions of sessions whose ids have expired and that have no open stream: most clients go without a word. It looks
    /// for them once in [`limits::SESSIONS_AGAIN`] at most.
    pub(super) fn drop_expired(&mut self, now: u64, sessions: &dyn SessionStore) {
        if now < self.looked.saturating_add(limits::SESSIONS_AGAIN) {
            return;
        }
        self.looked = now;
        let hearing = &self.hearing;
        self.subscribed.retain(|name, Subscribed { session, .. }| {
            let lives = session.ends >= now || hearing.contains_key(name);
            if !lives {
                sessions.release(session);
            }
            lives
        });
    }
}

impl fmt::Debug for SessionTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemorySessions;
    use attache_core::era::{Client, Version};

    /// A session with this number that lasts for a minute.
    fn session(number: u64, now: u64) -> Session {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&number.to_be_bytes());
        Session { version: Version::V2025_11_25, client: Client::NONE, name, home: [0; 4], ends: now + 60 }
    }

    #[test]
    fn subscriptions_of_ten_thousand_clients_that_go_without_a_word_end_with_their_sessions() {
        let mut tables = Tables::default();
        let sessions = MemorySessions::default();
        for now in 1_000..11_000 {
            tables.drop_expired(now, &sessions);
            let session = session(now, now);
            assert_eq!(sessions.hold(&session, Share::ALL, now), Ok(()), "{now}");
            let subscribed = Subscribed { session, uris: HashMap::new(), permit: Permit::uncounted() };
            tables.subscribed.insert(session.name, subscribed);
        }
        assert!(tables.subscribed.len() < 200, "{}", tables.subscribed.len());
        let last = session(10_999, 10_999);
        tables.hearing.insert(last.name, mpsc::channel(1).0);
        tables.drop_expired(20_000, &sessions);
        assert_eq!(tables.subscribed.len(), 1, "its stream is open");
        tables.hearing.clear();
        tables.drop_expired(20_060, &sessions);
        assert!(tables.subscribed.is_empty());
        for number in 20_000..20_000 + limits::SESSIONS as u64 {
            let fresh = session(number, 20_060);
            assert_eq!(sessions.hold(&fresh, Share::ALL, 20_060), Ok(()), "each slot is free again");
        }
    }
}
