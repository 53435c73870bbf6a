//! Connections to an upstream, and their use by one call at a time or by several.

use super::domain::Domain;
use super::limits::QUIET_TIME;
use crate::client::{Client, Credential, Error};
use attache_core::tool::Level;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::time::timeout;

/// A connection to the upstream.
pub(super) struct Connection {
    pub(super) client: Client,
    /// The time at which the connection was made.
    pub(super) since: Instant,
    /// The least severe level of log messages that a session of an older revision was asked for.
    level: tokio::sync::Mutex<Option<Level>>,
    /// Whether a call uses the connection that no other call that can be asked may use meanwhile.
    is_lent: AtomicBool,
    /// Whether the connection was lent before.
    was_lent: AtomicBool,
    /// The calls that can be asked and use this connection, if it is the first one.
    domain: OnceLock<Domain>,
}

impl Connection {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            since: Instant::now(),
            level: tokio::sync::Mutex::default(),
            is_lent: AtomicBool::new(false),
            was_lent: AtomicBool::new(false),
            domain: OnceLock::new(),
        }
    }

    /// Whether no call holds the connection.
    pub(super) fn is_free(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }

    /// Takes the first connection for the calls of `domain`. Calls of one domain alone that can be
    /// asked may use it, for as long as it exists. Returns whether it is this domain.
    pub(super) fn claim(&self, domain: &Domain) -> bool {
        self.domain.get_or_init(|| domain.clone()) == domain
    }

    /// Lends the connection to one call. `None` if another call has it, or if a question of an
    /// earlier call may still come.
    pub(super) fn lend(self: &Arc<Self>) -> Option<Lent> {
        if self.is_spoilt() || self.is_lent.swap(true, Ordering::Acquire) {
            return None;
        }
        Some(Lent { connection: Arc::clone(self), is_alone: true, credential: None })
    }

    /// Whether a call that can be asked may use the lent connection. A server may ask a question
    /// after it has answered the last call, which would reach this call. So it first answers a ping:
    /// the questions that it asks before then belong to no running call, and spoil the connection.
    pub(super) async fn is_quiet(&self) -> bool {
        if !self.was_lent.swap(true, Ordering::AcqRel) {
            return true;
        }
        let answers = matches!(timeout(QUIET_TIME, self.client.check()).await, Ok(Ok(()) | Err(Error::Rpc(_))));
        answers && !self.is_spoilt()
    }

    /// Whether a question of an earlier call may still come.
    pub(super) fn is_spoilt(&self) -> bool {
        self.client.may_ask_astray()
    }

    /// Asks a session of an older revision for log messages of this level, if it was not asked yet.
    /// Messages below the level of a call are left out later.
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

/// A connection that a call uses.
pub(super) struct Lent {
    connection: Arc<Connection>,
    is_alone: bool,
    /// The credential of the call, if it differs from that of the connection.
    pub(super) credential: Option<Credential>,
}

impl Lent {
    /// A connection that calls share.
    pub(super) const fn shared(connection: Arc<Connection>) -> Self {
        Self { connection, is_alone: false, credential: None }
    }

    /// Sets the credential of the call.
    pub(super) fn with(mut self, credential: Option<Credential>) -> Self {
        self.credential = credential;
        self
    }
}

impl Deref for Lent {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.is_alone {
            self.connection.is_lent.store(false, Ordering::Release);
        }
    }
}
