//! The other server, as the calls of a bridge see it.

use super::domain::{Domain, Per, Profile, configured_name};
use super::sessions::Sessions;
use super::target::Target;
use crate::backend::Call;
use crate::client::{Client, Error};
use attache_core::tool::Level;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

/// The other server.
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) state: watch::Sender<State>,
    pub(super) sessions: Sessions,
    /// The number of calls so far.
    pub(super) calls: AtomicU64,
    /// Rung by a call that finds the child stopped because it was idle.
    pub(super) wanted: Notify,
    /// Rung by a call that could not be written to the first connection.
    pub(super) suspicion: Notify,
    /// The resources that clients have subscribed to.
    watched: Mutex<BTreeSet<String>>,
    /// Rung when they have changed.
    pub(super) watching: Notify,
}

/// The state of the first connection: the one that has the lists and the notices.
#[derive(Clone)]
pub(super) enum State {
    Up(Arc<Connection>),
    /// The child was stopped because it was idle. A call starts it again.
    Idle,
    Down {
        since: Instant,
        reason: Option<Error>,
    },
}

/// A connection to the upstream.
pub(super) struct Connection {
    pub(super) client: Client,
    /// The least severe level of log messages that a session of an older revision was asked for.
    level: tokio::sync::Mutex<Option<Level>>,
}

/// Why a call has no connection.
pub(super) enum Unconnected {
    Failed(Option<Error>),
    TooMany,
}

impl Upstream {
    pub(super) fn new(name: String, target: Target) -> Self {
        Self {
            name,
            sessions: Sessions::new(target.most_sessions),
            target,
            calls: AtomicU64::new(0),
            wanted: Notify::new(),
            state: watch::Sender::new(State::Down { since: Instant::now(), reason: None }),
            suspicion: Notify::new(),
            watched: Mutex::default(),
            watching: Notify::new(),
        }
    }

    /// The connection for a call. Waits a while if the upstream is being connected again.
    pub(super) async fn connection(&self, call: &Call) -> Result<Arc<Connection>, Unconnected> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let first = self.first().await?;
        let is_modern = first.client.version().is_modern();
        let domain = match self.target.is_process() {
            true => Domain::of_process(self.target.per, is_modern, call),
            // Requests of revision 2026-07-28 stand for themselves, so all callers share a connection.
            false if is_modern => None,
            false => Some(Domain::of_session(call)),
        };
        let Some(domain) = domain else { return Ok(first) };
        let caller = configured_name(call.caller()).filter(|_| self.target.per == Per::Caller);
        let connect = async { Ok(Connection::new(self.target.connect_for(&domain.profile, caller.as_deref()).await?)) };
        match self.sessions.of(&domain, connect).await {
            Some(made) => made.map_err(|error| Unconnected::Failed(Some(error))),
            None => Err(Unconnected::TooMany),
        }
    }

    /// The first connection.
    pub(super) async fn first(&self) -> Result<Arc<Connection>, Unconnected> {
        let mut states = self.state.subscribe();
        let begun = Instant::now();
        loop {
            let state = states.borrow_and_update().clone();
            let (since, reason) = match state {
                State::Up(connection) => return Ok(connection),
                State::Idle => {
                    self.wanted.notify_one();
                    (begun, None)
                }
                State::Down { since, reason } => (since, reason),
            };
            if timeout_at(since + self.target.times.restart, states.changed()).await.is_err() {
                return Err(Unconnected::Failed(reason));
            }
        }
    }

    /// Makes the first connection.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        self.target.connect(&Profile::full()).await.map(Connection::new)
    }

    /// Notes that a connection has failed a call, so that the next call gets another one.
    pub(super) fn suspect(&self, failed: &Arc<Connection>) {
        self.sessions.forget(failed);
        let reason = None;
        self.state.send_if_modified(|state| {
            let is_first = matches!(state, State::Up(first) if Arc::ptr_eq(first, failed));
            if is_first {
                *state = State::Down { since: Instant::now(), reason };
            }
            is_first
        });
        self.suspicion.notify_one();
    }

    pub(super) fn watch(&self, uri: &str, is_watched: bool) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if is_watched {
            watched.insert(uri.to_owned())
        } else {
            watched.remove(uri)
        };
        drop(watched);
        self.watching.notify_one();
    }

    pub(super) fn watched(&self) -> BTreeSet<String> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes all connections and waits until child processes have ended.
    pub(super) async fn close(&self) {
        let down = State::Down { since: Instant::now(), reason: Some(Error::Closed) };
        let mut connections = self.sessions.take();
        if let State::Up(first) = self.state.send_replace(down) {
            connections.push(first);
        }
        for connection in connections {
            connection.client.clone().close().await;
        }
    }
}

impl Connection {
    fn new(client: Client) -> Self {
        Self { client, level: tokio::sync::Mutex::default() }
    }

    /// Whether no call holds the connection.
    pub(super) fn is_free(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }

    /// Asks a session of an older revision for log messages of this level, if it was not asked yet. What is below the level of a
    /// call is left out later.
    pub(super) async fn log_from(&self, level: Level) {
        let mut asked = self.level.lock().await;
        let has_logging = self.client.server().has(&["logging"]);
        if self.client.version().is_modern() || !has_logging || asked.is_some_and(|asked| asked <= level) {
            return;
        }
        match self.client.set_level(level).await {
            Ok(()) => *asked = Some(level),
            Err(error) => tracing::debug!(%error, "the upstream does not take a log level"),
        }
    }
}
