//! A bridge: a [`Backend`] that is an MCP client of another server.
//!
//! This server publishes the offers of the other one, in every revision of the protocol. Calls are
//! forwarded with their progress, log messages, questions and cancellation, whatever revisions the
//! two sides speak.
//!
//! ```no_run
//! use attache_host::Server;
//! use attache_host::bridge::Bridge;
//! use attache_host::client::ServerCommand;
//!
//! # async fn example() {
//! let files = ServerCommand::new("npx", ["-y", "@modelcontextprotocol/server-filesystem", "/srv/data"]);
//! let router: axum::Router = Server::new("gate", "1.0")
//!     .backend("", Bridge::command("files", files))
//!     .backend("crm_", Bridge::http("crm", "http://127.0.0.1:3000/mcp"))
//!     .routes();
//! # let _ = router;
//! # }
//! ```

mod calls;
mod completion;
mod connection;
mod content;
mod domain;
mod entries;
mod failures;
mod following;
mod hearing;
mod json;
pub mod limits;
mod questions;
mod requests;
mod sessions;
mod status;
mod supervisor;
mod target;
mod tasks;
mod upstream;

use crate::CompletionRequest;
use crate::backend::{Backend, Call, Publisher, Run};
#[cfg(unix)]
use crate::client::SerialPort;
use crate::client::{ClientLimits, Credential, Error, ServerCommand, Version};
use core::fmt;
use core::pin::Pin;
pub use domain::Per;
use http::{HeaderName, HeaderValue};
use limits::Times;
pub use status::{BridgeState, BridgeStatus};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
use target::{Place, Target};
use tokio::task::JoinHandle;
use upstream::{State, Upstream};

/// A backend that is an MCP client of another server, the upstream.
///
/// The bridge connects by itself, and again when the connection is lost. While the upstream is down, its entries are taken out of the
/// lists after [`limits::RESTART`]. Add a bridge to a server inside of a Tokio runtime.
#[must_use]
pub struct Bridge {
    name: String,
    target: Target,
    keeps_entries: bool,
    running: Mutex<Option<Running>>,
}

/// The parts that run once the bridge is attached.
struct Running {
    upstream: Arc<Upstream>,
    supervisor: JoinHandle<()>,
}

impl Bridge {
    /// A bridge to the server at a URL. `name` is shown to people and in the log.
    pub fn http(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::to(name, Place::Http { url: url.into(), old_transport: false })
    }

    /// A bridge to the server at a URL that speaks the transport of revision 2024-11-05: HTTP with a separate event stream.
    pub fn old_http(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::to(name, Place::Http { url: url.into(), old_transport: true })
    }

    /// A bridge to a server that is started as a child process and speaks over its standard input and output.
    pub fn command(name: impl Into<String>, command: ServerCommand) -> Self {
        Self::to(name, Place::Command(command))
    }

    /// A bridge to a server that is started as a child process and serves HTTP at a URL. `{port}` in the arguments and the
    /// environment of the command and in the URL is replaced by a free port of this machine.
    pub fn served(name: impl Into<String>, command: ServerCommand, url: impl Into<String>) -> Self {
        Self::to(name, Place::Served { command, url: url.into(), current: Arc::default() })
    }

    /// A bridge to a board on a serial port, which all calls share.
    #[cfg(unix)]
    pub fn serial(name: impl Into<String>, port: SerialPort) -> Self {
        Self::to(name, Place::Serial(port)).per(Per::Process).most_sessions(0)
    }

    fn to(name: impl Into<String>, place: Place) -> Self {
        Self { name: name.into(), target: Target::new(place), keeps_entries: false, running: Mutex::default() }
    }

    /// Sends this credential to the upstream, only to the origin of its URL.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.target.credential = credential;
        self
    }

    /// Makes each call with a token of its caller. The lists are fetched with this server's own token, by client credentials, unless
    /// [`credential`](Self::credential) sets another one. The server needs
    /// [`ServerBuilder::keep_caller_tokens`](crate::ServerBuilder::keep_caller_tokens).
    #[cfg(feature = "oauth-client")]
    pub fn downstream(mut self, tokens: crate::downstream::Downstream) -> Self {
        self.target.downstream = Some(Arc::new(tokens));
        self
    }

    /// Fetches the lists without a token, with [`downstream`](Self::downstream).
    #[cfg(feature = "oauth-client")]
    pub const fn anonymous_lists(mut self) -> Self {
        self.target.anonymous_lists = true;
        self
    }

    /// Adds a header field to each HTTP request.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.target.headers.push((name, value));
        self
    }

    /// Lets the credential travel unencrypted to another machine.
    pub const fn allow_plain_http(mut self) -> Self {
        self.target.allow_plain = true;
        self
    }

    /// Speaks only this revision with the upstream. Without it, the bridge negotiates the newest
    /// revision that both sides speak.
    pub const fn version(mut self, version: Version) -> Self {
        self.target.version = Some(version);
        self
    }

    /// Replaces the limits of the client.
    pub fn limits(mut self, limits: ClientLimits) -> Self {
        self.target.limits = limits;
        self
    }

    /// Replaces the timeouts and pauses of reconnection.
    pub const fn times(mut self, times: Times) -> Self {
        self.target.times = times;
        self
    }

    /// Sets which calls share a child process. A server at a URL is shared by all.
    pub const fn per(mut self, per: Per) -> Self {
        self.target.per = per;
        self
    }

    /// Sets environment variables of the child of one caller, with [`Per::Caller`]. `name` is the name of an API key, or the issuer
    /// and the subject of an access token with a space between them.
    pub fn caller(mut self, name: impl Into<String>, environment: Vec<(OsString, OsString)>) -> Self {
        self.target.callers.insert(name.into(), environment);
        self
    }

    /// Sets the most connections of callers in addition to the first one; default [`limits::SESSIONS`].
    pub const fn most_sessions(mut self, most: usize) -> Self {
        self.target.most_sessions = most;
        self
    }

    /// Keeps the entries in the lists while the upstream is down. Their calls fail at once, with the reason.
    pub const fn keep_entries(mut self) -> Self {
        self.keeps_entries = true;
        self
    }

    /// Calls a function whenever the connection that has the lists has ended or could not be made, with
    /// the reason: for metrics.
    pub fn on_end(mut self, on_end: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.target.on_end = Some(Arc::new(on_end));
        self
    }

    /// Whether calls can be made. A child that was stopped because it was idle counts.
    pub fn is_connected(&self) -> bool {
        self.upstream().is_some_and(|upstream| matches!(&*upstream.state.borrow(), State::Up(_) | State::Idle))
    }

    /// Waits until the bridge is connected, and what the upstream offers is published.
    pub async fn connected(&self) {
        let Some(mut states) = self.upstream().map(|upstream| upstream.state.subscribe()) else { return };
        // An error means that the bridge was stopped.
        let _ = states.wait_for(|state| matches!(state, State::Up(_) | State::Idle)).await;
    }

    /// Waits until the bridge is connected, or until the first attempt has failed.
    ///
    /// # Errors
    /// Why the attempt has failed. `None` if the bridge is not attached to a server, or was stopped.
    pub async fn tried(&self) -> Result<(), Option<Error>> {
        let mut states = self.upstream().ok_or(None)?.state.subscribe();
        let is_known = |state: &State| !matches!(state, State::Down { reason: None, .. });
        match &*states.wait_for(is_known).await.map_err(|_| None)? {
            State::Up(_) | State::Idle => Ok(()),
            State::Down { reason, .. } => Err(reason.clone()),
        }
    }

    /// Returns the revision that is spoken with the upstream, while it is connected.
    pub fn revision(&self) -> Option<Version> {
        match &*self.upstream()?.state.borrow() {
            State::Up(connection) => Some(connection.client.version()),
            State::Idle | State::Down { .. } => None,
        }
    }

    /// Returns the status of the bridge. `None` if it is not attached to a server, or was stopped.
    pub fn status(&self) -> Option<BridgeStatus> {
        self.upstream().map(|upstream| BridgeStatus::of(&upstream))
    }

    /// The name of the upstream for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn upstream(&self) -> Option<Arc<Upstream>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|running| Arc::clone(&running.upstream))
    }
}

impl Backend for Bridge {
    fn attach(&self, publisher: Publisher) {
        let upstream = Arc::new(Upstream::new(self.name.clone(), self.target.clone()));
        let supervisor = tokio::spawn(supervisor::supervise(Arc::clone(&upstream), publisher, self.keeps_entries));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { upstream, supervisor });
    }

    fn start(&self, call: Call) -> Run {
        let upstream = self.upstream();
        Box::pin(async move {
            match upstream {
                Some(upstream) => calls::run(&upstream, &call).await,
                None => failures::stopped(),
            }
        })
    }

    fn complete(&self, request: CompletionRequest, call: Call) -> Run {
        let upstream = self.upstream();
        Box::pin(async move {
            match upstream {
                Some(upstream) => completion::run(&upstream, &request, &call).await,
                None => failures::stopped(),
            }
        })
    }

    fn watch(&self, uri: &str, watched: bool) {
        if let Some(upstream) = self.upstream() {
            upstream.watch(uri, watched);
        }
    }

    fn session_ended(&self, session: [u8; 16]) {
        if let Some(upstream) = self.upstream() {
            upstream.sessions.end(session);
        }
    }

    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async {
            if let Some(Running { upstream, supervisor }) = running {
                supervisor.abort();
                // The supervisor holds a handle of the connection until it has ended.
                let _ = supervisor.await;
                upstream.close().await;
            }
        })
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        running.iter().for_each(|running| running.supervisor.abort());
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("name", &self.name).field("target", &self.target).finish_non_exhaustive()
    }
}
