//! The tables, which all connections share.

use crate::limits;
use attache_core::era::Session;
use attache_core::exchange::{Inflight, Sessions};
use core::fmt;
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// What is remembered of legacy clients.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Tables>);

/// Each table is bounded by the limits.
#[derive(Default)]
pub(crate) struct Tables {
    pub(super) sessions: Box<Sessions<{ limits::SESSIONS }>>,
    pub(super) calls: Box<Inflight<{ limits::LEGACY_CALLS }>>,
    /// The ways to the calls that run, by the numbers of their places.
    pub(super) ways: HashMap<usize, (Session, mpsc::UnboundedSender<Signal>)>,
    /// The resources that sessions have subscribed to.
    pub(super) subscribed: HashMap<[u8; 16], HashSet<String>>,
    /// The pages that persons were sent to, and the session of each; the newest is the last.
    pub(super) pages: VecDeque<(String, [u8; 16])>,
    /// The sessions with an open stream; it ends when its sender is dropped.
    pub(super) hearing: HashMap<[u8; 16], mpsc::Sender<()>>,
}

/// What reaches a call from outside.
#[derive(Debug)]
pub(crate) enum Signal {
    /// It is to stop, and to answer no more.
    Cancel,
    /// The answer to one of its questions, by the place of that among those it has asked together.
    Answer(usize, Result<Value, Value>),
}

impl Memory {
    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
