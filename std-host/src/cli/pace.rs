//! How long a connection may take: what is open on it, since when nothing has happened, and what follows.

use attache_host::Limits;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// What is known of one connection, shared by its socket, its requests and its task.
#[derive(Debug)]
pub(super) struct Pace {
    limits: Arc<Limits>,
    now: Mutex<Now>,
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
    /// Events that were handed to HTTP/2 and of which it is not known that the peer took them.
    owed: usize,
    /// When an answer has last got on.
    moved: Instant,
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
            owed: 0,
            moved: Instant::now(),
        };
        Arc::new(Self { limits: Arc::clone(limits), now: Mutex::new(now) })
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
        // What HTTP/2 says of itself is smaller, and no sign that an answer gets on.
        if bytes > SMALL_TALK {
            self.edit(|now| now.moved = Instant::now());
        }
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

    /// An answer has handed out a piece, or is asked for the next one, which is to say that the last was taken.
    pub(super) fn owe(&self, owed: &mut bool, owes: bool) {
        if *owed == owes {
            return;
        }
        *owed = owes;
        self.edit(|now| {
            now.moved = Instant::now();
            now.owed = if owes { now.owed + 1 } else { now.owed.saturating_sub(1) };
        });
    }

    /// When the connection has to be looked at again, or what it is cut for.
    pub(super) fn look(&self) -> Result<Instant, Cut> {
        let now = Instant::now();
        let Limits { head_time, idle_time, stall_time, .. } = *self.limits;
        let (since, limit, cut) = self.edit(|state| match state.phase {
            Phase::Head(since) => (since, head_time, Cut::Head),
            Phase::Idle(since) => (since, idle_time, Cut::Idle),
            Phase::Busy if state.owed > 0 => (state.moved, stall_time, Cut::Stall),
            Phase::Busy => (now, stall_time, Cut::Stall),
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

/// The largest frame of HTTP/2 that carries nothing of an answer: a ping with its head (RFC 9113 §6.7) and some settings.
const SMALL_TALK: usize = 64;
