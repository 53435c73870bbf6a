//! The status of a bridge, for people who operate it and for metrics.

use super::upstream::{State, Upstream};
use crate::client::{Error, Version};
use core::sync::atomic::Ordering;
use core::time::Duration;

/// The status of a bridge at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BridgeStatus {
    /// The state of the connection that has the lists.
    pub state: BridgeState,
    /// The time since this state began. `None` for a child that was stopped because it was idle.
    pub since: Option<Duration>,
    /// The revision that is spoken, while the upstream is connected.
    pub revision: Option<Version>,
    /// Why the upstream is down: one line.
    pub reason: Option<String>,
    /// The number of times that the connection was made again after it had failed.
    pub restarts: u64,
    /// The number of further connections, of sessions and callers.
    pub sessions: usize,
    /// The last lines of the child's standard error: of the running child, or of the one that has ended. At
    /// most 20.
    pub stderr: Vec<String>,
}

/// The state of the connection of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeState {
    /// Calls can be made.
    Up,
    /// The child was stopped because no call has used it. The next call starts it.
    Idle,
    /// The upstream is being connected, for the first time or again.
    Down,
}

impl BridgeState {
    /// The name as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Idle => "idle",
            Self::Down => "down",
        }
    }
}

impl BridgeStatus {
    pub(super) fn of(upstream: &Upstream) -> Self {
        let state = upstream.state.borrow().clone();
        let restarts = upstream.restarts.load(Ordering::Relaxed);
        let status = Self {
            state: BridgeState::Idle,
            since: None,
            revision: None,
            reason: None,
            restarts,
            sessions: upstream.sessions.len(),
            stderr: Vec::new(),
        };
        match state {
            State::Idle => status,
            State::Up(connection) => Self {
                state: BridgeState::Up,
                since: Some(connection.since.elapsed()),
                revision: Some(connection.client.version()),
                stderr: last(connection.client.stderr()),
                ..status
            },
            State::Down { since, reason } => Self {
                state: BridgeState::Down,
                since: Some(since.elapsed()),
                reason: reason.as_ref().map(first_line),
                stderr: match reason {
                    Some(Error::Exited(exit)) => exit.stderr,
                    _ => Vec::new(),
                },
                ..status
            },
        }
    }
}

/// The reason without the lines of standard error.
fn first_line(error: &Error) -> String {
    match error {
        Error::Exited(exit) => format!("the server process ended ({})", exit.status),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

fn last(lines: Vec<String>) -> Vec<String> {
    let skipped = lines.len().saturating_sub(crate::children::limits::STDERR_LINES);
    lines.into_iter().skip(skipped).collect()
}
