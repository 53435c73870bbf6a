//! The state of an upstream that the calls of a bridge share.

use super::connection::{Connection, Lent};
use super::domain::{Domain, Per, Profile, configured_name};
use super::sessions::Sessions;
use super::target::Target;
use crate::backend::Call;
use crate::client::{Credential, Error};
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
    /// The number of times that the connection was made again after it had failed.
    pub(super) restarts: AtomicU64,
    /// The tools that run only as a task.
    tasks: Mutex<BTreeSet<String>>,
    /// Notified by a call that finds the child stopped because it was idle.
    pub(super) wanted: Notify,
    /// Notified by a call that could not be written to the first connection.
    pub(super) suspicion: Notify,
    /// The resources that clients have subscribed to.
    watched: Mutex<BTreeSet<String>>,
    /// Notified when they have changed.
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

/// Why a call has no connection.
pub(super) enum Unconnected {
    Failed(Option<Error>),
    TooMany,
}

impl Upstream {
    pub(super) fn new(name: String, target: Target) -> Self {
        Self {
            name,
            sessions: Sessions::new(target.most_sessions, target.session_back_off()),
            tasks: Mutex::default(),
            target,
            calls: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            wanted: Notify::new(),
            state: watch::Sender::new(State::Down { since: Instant::now(), reason: None }),
            suspicion: Notify::new(),
            watched: Mutex::default(),
            watching: Notify::new(),
        }
    }

    /// The connection for a call. Waits a while if the upstream is being connected again.
    pub(super) async fn connection(&self, call: &Call) -> Result<Lent, Unconnected> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let credential = self.target.credential_of(call).map_err(|error| Unconnected::Failed(Some(error)))?;
        Ok(self.connection_as(call, credential.as_ref()).await?.with(credential))
    }

    async fn connection_as(&self, call: &Call, credential: Option<&Credential>) -> Result<Lent, Unconnected> {
        let first = self.first().await?;
        let (is_process, per) = (self.target.is_process(), self.target.per);
        // Requests of revision 2026-07-28 are independent of each other, so all callers share a
        // connection, unless they are to have children of their own.
        let is_shared = !is_process || matches!(per, Per::Auto | Per::Process);
        if is_shared && first.client.version().is_modern() {
            return Ok(Lent::shared(first));
        }
        // In a box, because a future is as large as its largest path, and most calls do not connect.
        Box::pin(self.own_connection(first, call, credential)).await
    }

    /// A connection to an upstream of an older revision, or to a child of one caller.
    async fn own_connection(
        &self,
        first: Arc<Connection>,
        call: &Call,
        credential: Option<&Credential>,
    ) -> Result<Lent, Unconnected> {
        let (is_process, per) = (self.target.is_process(), self.target.per);
        let domain = if is_process { Domain::of_process(per, call) } else { Domain::of_session(call) };
        let caller = configured_name(call.caller()).filter(|_| per == Per::Caller);
        let connect = |profile, caller| self.connect(profile, caller, credential.cloned());
        let is_claimed = is_process && per == Per::Auto && domain != Domain::First && first.claim(&domain);
        let made = match &domain {
            Domain::First => return Ok(Lent::shared(first)),
            Domain::User(_) if is_claimed => return Ok(Lent::shared(first)),
            Domain::User(user) => self.sessions.of(user, connect(&user.profile, caller.as_deref())).await,
            Domain::Alone(profile) => match is_claimed.then(|| first.lend()).flatten() {
                Some(lent) if lent.is_quiet().await => return Ok(lent),
                _ => self.sessions.alone(profile, connect(profile, None)).await,
            },
        };
        match made {
            Some(made) => made.map_err(|error| Unconnected::Failed(Some(error))),
            None => Err(Unconnected::TooMany),
        }
    }

    /// The first connection.
    pub(super) async fn first(&self) -> Result<Arc<Connection>, Unconnected> {
        if let State::Up(connection) = &*self.state.borrow() {
            return Ok(Arc::clone(connection));
        }
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

    /// Makes a further connection, which declares `profile`. A child process gets the settings of
    /// `caller`.
    pub(super) async fn connect(
        &self,
        profile: &Profile,
        caller: Option<&str>,
        credential: Option<Credential>,
    ) -> Result<Connection, Error> {
        Ok(Connection::new(self.target.connect_for(profile, caller, credential).await?))
    }

    /// Records that a call has failed on a connection, so that the next call gets another one.
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

    /// Records that no further connection could be made. Calls wait until the first connection is
    /// known to live.
    pub(super) fn doubt(&self, reason: Error) {
        self.state.send_if_modified(|state| {
            let is_up = matches!(state, State::Up(_));
            if is_up {
                *state = State::Down { since: Instant::now(), reason: Some(reason) };
            }
            is_up
        });
        self.suspicion.notify_one();
    }

    /// Whether the tool runs only as a task.
    pub(super) fn needs_task(&self, tool: &str) -> bool {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).contains(tool)
    }

    /// Records the tools that run only as a task.
    pub(super) fn note_tasks(&self, tools: BTreeSet<String>) {
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tools;
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
        // A stubborn child takes seconds, so they end at the same time.
        let close = |connection: Arc<Connection>| {
            let client = connection.client.clone();
            drop(connection);
            tokio::spawn(client.close())
        };
        for closing in connections.into_iter().map(close).collect::<Vec<_>>() {
            // An error means that the runtime ends.
            let _ = closing.await;
        }
    }
}
