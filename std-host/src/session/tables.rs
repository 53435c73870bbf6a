//! The tables of legacy sessions, shared by all connections.

use crate::budget::{Account, Permit, Slots, share};
use crate::limits::{self, Limits};
use attache_core::era::Session;
use attache_core::exchange::{Inflight, Sessions, Share};
use core::fmt;
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The remembered state of legacy clients.
pub(crate) struct Memory {
    tables: Mutex<Tables>,
    /// Slots for running calls; each caller has a share of them.
    pub(super) calls: Slots,
    /// The number of slots in the table of sessions that one caller may have.
    share: usize,
}

/// The tables. The size of each is limited.
#[derive(Default)]
pub(crate) struct Tables {
    pub(super) sessions: Box<Sessions<{ limits::SESSIONS }>>,
    pub(super) calls: Box<Inflight<{ limits::LEGACY_CALLS }>>,
    /// The senders of signals to running calls, by the index of their places.
    pub(super) ways: HashMap<usize, (Session, mpsc::UnboundedSender<Signal>)>,
    /// The resources that sessions have subscribed to.
    pub(super) subscribed: HashMap<[u8; 16], Subscribed>,
    /// The pages that users were sent to, with the session of each; the newest is last.
    pub(super) pages: VecDeque<(String, [u8; 16])>,
    /// The sessions with an open stream, which ends when its sender is dropped.
    pub(super) hearing: HashMap<[u8; 16], mpsc::Sender<()>>,
}

/// The resources that one session has subscribed to.
#[derive(Default)]
pub(super) struct Subscribed {
    pub(super) uris: HashSet<String>,
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

impl Memory {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            tables: Mutex::default(),
            calls: Slots::new(limits::LEGACY_CALLS, limits.share),
            share: share(limits::SESSIONS, limits.share),
        }
    }

    /// Returns the share of the table of sessions that `account` may have.
    pub(super) fn share(&self, account: Account) -> Share {
        account.number().map_or(Share::ALL, |owner| Share::of(owner, self.share))
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
