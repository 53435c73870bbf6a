//! The tables, which all connections share.

use crate::budget::{Account, Permit, Slots, share};
use crate::limits::{self, Limits};
use crate::store::SessionStore;
use attache_core::era::Session;
use attache_core::exchange::{Inflight, Share};
use core::fmt;
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// What is remembered of legacy clients.
pub(crate) struct Memory {
    tables: Mutex<Tables>,
    /// Called while the tables are locked, and never the other way round.
    pub(super) sessions: Arc<dyn SessionStore>,
    /// Calls that run; a caller has a share of them.
    pub(super) calls: Slots,
    /// Slots of the table of sessions that one caller may have.
    share: usize,
}

/// Each table is bounded by the limits.
#[derive(Default)]
pub(crate) struct Tables {
    pub(super) calls: Box<Inflight<{ limits::LEGACY_CALLS }>>,
    /// The ways to the calls that run, by the numbers of their places.
    pub(super) ways: HashMap<usize, (Session, mpsc::UnboundedSender<Signal>)>,
    /// The resources that sessions have subscribed to.
    pub(super) subscribed: HashMap<[u8; 16], Subscribed>,
    /// The pages that persons were sent to, and the session of each; the newest is the last.
    pub(super) pages: VecDeque<(String, [u8; 16])>,
    /// The sessions with an open stream; it ends when its sender is dropped.
    pub(super) hearing: HashMap<[u8; 16], mpsc::Sender<()>>,
}

/// The resources that one session has subscribed to.
#[derive(Default)]
pub(super) struct Subscribed {
    pub(super) uris: HashSet<String>,
    pub(super) permit: Permit,
}

/// What reaches a call from outside.
#[derive(Debug)]
pub(crate) enum Signal {
    /// It is to stop, and to answer no more.
    Cancel,
    /// The answer to one of its questions, by the place of that among those it has asked together, and the memory that it takes.
    Answer(usize, Result<Value, Value>, Permit),
}

impl Memory {
    pub(crate) fn new(limits: &Limits, sessions: Arc<dyn SessionStore>) -> Self {
        Self {
            tables: Mutex::default(),
            sessions,
            calls: Slots::new(limits::LEGACY_CALLS, limits.share),
            share: share(limits::SESSIONS, limits.share),
        }
    }

    /// How much of the table of sessions `account` may have.
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

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
