//! How long a connection may take: what is open on it, since when nothing has happened, and what follows.

use attache_host::Limits;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What is known of one connection, shared by its socket, its requests and its task.
#[derive(Debug)]
pub(super) struct Pace {
    limits: Arc<Limits>,
    now: Mutex<Now>,
    /// Bytes that the peer has taken.
    sent: AtomicU64,
    /// Tells the connection to give way to another one.
    leave: Notify,
}

#[derive(Debug)]
struct Now {
    phase: Phase,
    /// Requests that are open.
    open: usize,
    /// Requests of HTTP/2 come through one another; what the peer sends between them is no head.
    multiplexed: bool,
    /// An answer was given to a message that was not read to its end.
    unread: bool,
    /// The answers of HTTP/2 of which a piece was handed out that the peer has not taken yet, and since when.
    owed: HashMap<u64, Instant>,
    /// The number of the newest answer.
    newest: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A head is coming in since then.
    Head(Instant),
    /// Requests are open.
    Busy,
    /// Nothing has come since then.
    Idle(Instant),
}

/// A request that is open, until this is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<Pace>);

impl Pace {
    /// The pace of a connection that begins now.
    pub(super) fn new(limits: &Arc<Limits>) -> Arc<Self> {
        let now = Now {
            phase: Phase::Head(Instant::now()),
            open: 0,
            multiplexed: false,
            unread: false,
            owed: HashMap::new(),
            newest: 0,
        };
        Arc::new(Self {
            limits: Arc::clone(limits),
            now: Mutex::new(now),
            sent: AtomicU64::new(0),
            leave: Notify::new(),
        })
    }

    fn edit<R>(&self, edit: impl FnOnce(&mut Now) -> R) -> R {
        edit(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bytes have come in.
    pub(super) fn heard(&self) {
        self.edit(|now| {
            if matches!(now.phase, Phase::Idle(_)) && !now.multiplexed {
                now.phase = Phase::Head(Instant::now());
            }
        });
    }

    /// How long the peer may take nothing.
    pub(super) fn stall_time(&self) -> Duration {
        self.limits.stall_time
    }

    /// The peer has taken bytes.
    pub(super) fn moved(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    /// Bytes that the peer has taken.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Since when the connection has been idle; nothing where it is in use.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.edit(|now| match now.phase {
            Phase::Idle(since) => Some(since),
            // A head is one packet or two: what takes longer is not in use.
            Phase::Head(since) => (since.elapsed() >= HEAD_PATIENCE).then_some(since),
            Phase::Busy => None,
        })
    }

    /// Has the connection end, because others need its slot.
    pub(super) fn give_way(&self) {
        self.leave.notify_one();
    }

    /// Waits until it is to give way.
    pub(super) async fn is_to_give_way(&self) {
        self.leave.notified().await;
    }

    /// A request has come in.
    pub(super) fn begin(self: &Arc<Self>, multiplexed: bool) -> Open {
        self.edit(|now| {
            now.phase = Phase::Busy;
            now.multiplexed = multiplexed;
            now.open += 1;
        });
        Open(Arc::clone(self))
    }

    /// What follows on this connection is nobody's message.
    pub(super) fn leave_unread(&self) {
        self.edit(|now| now.unread = true);
    }

    /// Whether the connection ends in the middle of a message.
    pub(super) fn ends_unread(&self) -> bool {
        self.edit(|now| now.unread || matches!(now.phase, Phase::Head(_)))
    }

    /// A number for the answer on one stream of HTTP/2. As long as its peer takes nothing of it, it is late.
    pub(super) fn answer(&self) -> u64 {
        self.edit(|now| {
            now.newest += 1;
            let number = now.newest;
            now.owed.insert(number, Instant::now());
            number
        })
    }

    /// The answer with this number has handed out a piece (`owes`), or has nothing to send.
    pub(super) fn owe(&self, answer: u64, owes: bool) {
        self.edit(|now| match owes {
            true => drop(now.owed.insert(answer, Instant::now())),
            false => drop(now.owed.remove(&answer)),
        });
    }

    /// When the connection has to be looked at again, or what it is cut for.
    pub(super) fn look(&self) -> Result<Instant, Cut> {
        let now = Instant::now();
        let Limits { head_time, idle_time, stall_time, .. } = *self.limits;
        let (since, limit, cut) = self.edit(|state| match state.phase {
            Phase::Head(since) => (since, head_time, Cut::Head),
            Phase::Idle(since) => (since, idle_time, Cut::Idle),
            // Each stream by itself: one that is read does not excuse another.
            Phase::Busy => (state.owed.values().min().copied().unwrap_or(now), stall_time, Cut::Stall),
        });
        let end = since + limit;
        match end > now {
            // Another phase may have begun by then, whose time is shorter.
            true => Ok(end.min(now + head_time)),
            false => Err(cut),
        }
    }
}

/// Why a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The head took too long.
    Head,
    /// Nothing came.
    Idle,
    /// The peer takes no bytes.
    Stall,
}

impl Open {
    pub(super) fn pace(&self) -> &Pace {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.edit(|now| {
            now.open = now.open.saturating_sub(1);
            if now.open == 0 {
                now.phase = Phase::Idle(Instant::now());
            }
        });
    }
}

/// How long a head may take to come in before its connection counts as idle, when others need the slot.
const HEAD_PATIENCE: Duration = Duration::from_secs(1);
