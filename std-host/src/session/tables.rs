//! The tables of legacy sessions, shared by all connections.

use crate::backend::Watched;
use crate::budget::{Account, Permit, Slots, share};
use crate::limits::{self, Limits};
use attache_core::era::Session;
use attache_core::exchange::{Inflight, Sessions, Share};
use core::fmt;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
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

impl Tables {
    /// Drops the subscriptions of sessions whose ids have expired and that have no open stream: most clients go without a word. It looks
    /// for them once in [`limits::SESSIONS_AGAIN`] at most.
    pub(super) fn drop_expired(&mut self, now: u64) {
        if now < self.looked.saturating_add(limits::SESSIONS_AGAIN) {
            return;
        }
        self.looked = now;
        let (sessions, hearing) = (&mut self.sessions, &self.hearing);
        self.subscribed.retain(|name, Subscribed { session, .. }| {
            let lives = session.ends >= now || hearing.contains_key(name);
            if !lives {
                sessions.release(session);
            }
            lives
        });
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        for now in 1_000..11_000 {
            tables.drop_expired(now);
            let session = session(now, now);
            assert_eq!(tables.sessions.hold(&session, Share::ALL, now), Ok(()), "{now}");
            let subscribed = Subscribed { session, uris: HashMap::new(), permit: Permit::uncounted() };
            tables.subscribed.insert(session.name, subscribed);
        }
        assert!(tables.subscribed.len() < 200, "{}", tables.subscribed.len());
        let last = session(10_999, 10_999);
        tables.hearing.insert(last.name, mpsc::channel(1).0);
        tables.drop_expired(20_000);
        assert_eq!(tables.subscribed.len(), 1, "its stream is open");
        tables.hearing.clear();
        tables.drop_expired(20_060);
        assert!(tables.subscribed.is_empty());
        for number in 20_000..20_000 + limits::SESSIONS as u64 {
            let fresh = session(number, 20_060);
            assert_eq!(tables.sessions.hold(&fresh, Share::ALL, 20_060), Ok(()), "each slot is free again");
        }
    }
}
