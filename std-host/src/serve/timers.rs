//! Per-connection timers: the head, idle and stall deadlines, and the requests in progress.

use super::switch::Work;
use crate::Limits;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The timers of one connection, shared by its socket, its requests and its task.
#[derive(Debug)]
pub(super) struct ConnectionTimers {
    limits: Arc<Limits>,
    now: Mutex<Now>,
    /// The number of bytes that the peer has taken.
    sent: AtomicU64,
    /// Tells the connection to close, because another one needs its slot.
    leave: Notify,
    /// Whether the bytes that arrive are no longer HTTP.
    is_switched: AtomicBool,
    after: Mutex<After>,
}

/// The work of the connection after its last HTTP message.
#[derive(Default)]
struct After(Option<Work>);

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("After").field(&self.0.is_some()).finish()
    }
}

#[derive(Debug)]
struct Now {
    phase: Phase,
    /// The number of requests in progress.
    open: usize,
    /// Whether the connection is HTTP/2. Its requests are interleaved, so bytes between them are
    /// not a head.
    multiplexed: bool,
    /// Whether an answer was given before its request was read to the end.
    unread: bool,
    /// The HTTP/2 answers with a piece that the peer has not taken yet, each with the time since
    /// then.
    owed: HashMap<u64, Instant>,
    /// The number of the newest answer.
    newest: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A head has been arriving since this time.
    Head(Instant),
    /// Requests are open.
    Busy,
    /// Nothing has arrived since this time.
    Idle(Instant),
}

/// A request in progress, until this is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<ConnectionTimers>);

impl ConnectionTimers {
    /// Starts the timers of a new connection.
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
            is_switched: AtomicBool::new(false),
            after: Mutex::default(),
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

    /// The stall deadline: how long the peer may take no bytes.
    pub(super) fn stall_time(&self) -> Duration {
        self.limits.stall_time
    }

    /// Notes that the peer has taken bytes.
    pub(super) fn moved(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    /// The number of bytes that the peer has taken.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// The time since which the connection has been idle. `None` while it is in use.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.edit(|now| match now.phase {
            Phase::Idle(since) => Some(since),
            // A head is one or two packets, so a connection with a slower head is not in use.
            Phase::Head(since) => (since.elapsed() >= HEAD_PATIENCE).then_some(since),
            Phase::Busy => None,
        })
    }

    /// Asks the connection to close, because another one needs its slot.
    pub(super) fn give_way(&self) {
        self.leave.notify_one();
    }

    /// Waits until the connection is asked to close.
    pub(super) async fn is_to_give_way(&self) {
        self.leave.notified().await;
    }

    /// Notes that a request has arrived.
    pub(super) fn begin(self: &Arc<Self>, multiplexed: bool) -> Open {
        self.edit(|now| {
            now.phase = Phase::Busy;
            now.multiplexed = multiplexed;
            now.open += 1;
        });
        Open(Arc::clone(self))
    }

    /// Whether an answer has switched the connection to another protocol (RFC 9110 §7.8).
    pub(super) fn is_switched(&self) -> bool {
        self.is_switched.load(Relaxed)
    }

    /// Returns the work of the connection after its last HTTP message, if there is any.
    pub(super) fn tunnel(&self) -> Option<Work> {
        self.after.lock().unwrap_or_else(PoisonError::into_inner).0.take()
    }

    /// Notes that the rest of the incoming message will not be read.
    pub(super) fn leave_unread(&self) {
        self.edit(|now| now.unread = true);
    }

    /// Whether closing the connection now would cut an incoming message.
    pub(super) fn ends_unread(&self) -> bool {
        self.edit(|now| now.unread || matches!(now.phase, Phase::Head(_)))
    }

    /// Returns a number for an answer on an HTTP/2 stream, and starts its stall deadline.
    pub(super) fn answer(&self) -> u64 {
        self.edit(|now| {
            now.newest += 1;
            let number = now.newest;
            now.owed.insert(number, Instant::now());
            number
        })
    }

    /// Notes that the answer with this number has handed out a piece (`owes`), or has nothing to
    /// send.
    pub(super) fn owe(&self, answer: u64, owes: bool) {
        self.edit(|now| match owes {
            true => drop(now.owed.insert(answer, Instant::now())),
            false => drop(now.owed.remove(&answer)),
        });
    }

    /// Returns when the connection must be checked again, or which deadline it has missed.
    pub(super) fn look(&self) -> Result<Instant, Cut> {
        let now = Instant::now();
        let Limits { head_time, idle_time, stall_time, .. } = *self.limits;
        let (since, limit, cut) = self.edit(|state| match state.phase {
            Phase::Head(since) => (since, head_time, Cut::Head),
            Phase::Idle(since) => (since, idle_time, Cut::Idle),
            // Each stream has its own deadline: a stream that is read does not excuse another.
            Phase::Busy => (state.owed.values().min().copied().unwrap_or(now), stall_time, Cut::Stall),
        });
        let end = since + limit;
        match end > now {
            // Another phase with a shorter deadline may begin before then.
            true => Ok(end.min(now + head_time)),
            false => Err(cut),
        }
    }
}

/// The deadline that a connection has missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The head deadline.
    Head,
    /// Nothing came.
    Idle,
    /// The stall deadline: the peer took no bytes.
    Stall,
}

impl Open {
    pub(super) fn timers(&self) -> &ConnectionTimers {
        &self.0
    }

    /// Notes that the answer to this request switches the connection to another protocol. The connection counts as in use until
    /// `tunnel` has ended.
    pub(super) fn switch(&self, tunnel: Option<Work>) {
        self.0.is_switched.store(true, Relaxed);
        let open = self.0.begin(false);
        let tunnel = tunnel.map(|tunnel| -> Work {
            Box::pin(async move {
                tunnel.await;
                drop(open);
            })
        });
        self.0.after.lock().unwrap_or_else(PoisonError::into_inner).0 = tunnel;
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

/// The time after which an unfinished head counts as idle if another connection needs the slot.
const HEAD_PATIENCE: Duration = Duration::from_secs(1);
