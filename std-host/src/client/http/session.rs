//! The session of revisions 2025-03-26 to 2025-11-25: its id, its end, and its renewal.

use super::response::Response;
use super::{Http, PROTOCOL_VERSION, SESSION_ID, names_version};
use crate::client::error::Error;
use crate::client::limits::DELETE_TIME;
use crate::client::notice::Notice;
use crate::client::outgoing::{Head, Outgoing};
use crate::client::router::Purpose;
use attache_core::era::Version;
use http::{HeaderMap, HeaderValue, Method};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Longest session id that is accepted, in bytes.
const ID: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Session {
    state: Mutex<State>,
    /// The task that reads the GET stream of the session.
    hearing: Mutex<Option<AbortHandle>>,
    /// Allows one renewal at a time, for all requests that find the session lost.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    id: Option<HeaderValue>,
    generation: u64,
}

impl Session {
    /// Whether the session has an id.
    pub(super) fn is_named(&self) -> bool {
        self.lock().id.is_some()
    }

    /// The number of sessions that were begun.
    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    // MCP 2025-11-25 basic/transports: the id arrives with the answer to `initialize`, and only
    // there.
    pub(super) fn begin(&self, response: &Response) {
        let id = response
            .headers()
            .get(SESSION_ID)
            .filter(|id| (1..=ID).contains(&id.len()) && id.as_bytes().iter().all(|byte| matches!(byte, 0x21..=0x7E)));
        let mut state = self.lock();
        state.generation += 1;
        state.id = id.cloned().map(|mut id| {
            id.set_sensitive(true);
            id
        });
    }

    /// Adds the session id and the version to the head of a request.
    pub(super) fn put(&self, version: Option<Version>, head: &mut HeaderMap) {
        if let Some(id) = &self.lock().id {
            head.insert(SESSION_ID, id.clone());
        }
        if let Some(version) = version.filter(|version| names_version(*version)) {
            head.insert(PROTOCOL_VERSION, HeaderValue::from_static(version.as_str()));
        }
    }

    /// Registers the task that reads the stream of the session, and aborts the previous one.
    pub(super) fn hearing(&self, task: AbortHandle) {
        let last = self.hearing.lock().unwrap_or_else(PoisonError::into_inner).replace(task);
        last.inspect(AbortHandle::abort);
    }

    fn forget(&self) -> bool {
        self.lock().id.take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.hearing.get_mut().unwrap_or_else(PoisonError::into_inner).as_ref().inspect(|task| task.abort());
    }
}

/// Whether an answer means that the session has ended: 404, or a status that some servers use
/// instead, with a body that mentions the session.
pub(super) fn is_lost(status: u16, had_session: bool, body: &[u8]) -> bool {
    let says_session = || body.to_ascii_lowercase().windows(7).any(|window| window == b"session");
    had_session && (status == 404 || (matches!(status, 400 | 401) && says_session()))
}

impl Http {
    /// Opens a new session in place of that of `generation`. Requests that wait for it share one
    /// renewal.
    pub(super) async fn renew(self: &Arc<Self>, generation: u64) -> Result<(), Error> {
        let _one = self.session.renewing.lock().await;
        if self.session.generation() != generation {
            return Ok(());
        }
        let offered = self.router.version().unwrap_or(Version::NEWEST_LEGACY);
        let (id, mailbox) = self.router.open(Purpose::Upkeep)?;
        let body = self.profile.initialize(id, offered);
        let method = "initialize".into();
        let head = Head { version: offered, method, name: None, mirrored: Vec::new(), credential: None };
        if let Err(error) = self.attempt(&Outgoing { id, body, head }).await {
            self.router.forget(id);
            return Err(error);
        }
        let agreed = match mailbox.next().await {
            Err(Ok(answer)) => answer.agreed().ok_or(Error::SessionLost)?,
            Err(Err(error)) => return Err(error),
            Ok(_) => return Err(Error::SessionLost),
        };
        self.router.agree(agreed);
        self.notify(self.profile.initialized()).await?;
        self.hear().await;
        self.restore().await;
        self.router.tell(Notice::Reconnected);
        Ok(())
    }

    /// Restores the state of the lost session: its log level and its subscriptions.
    async fn restore(self: &Arc<Self>) {
        for request in self.profile.standing() {
            let Ok((id, mailbox)) = self.router.open(Purpose::Upkeep) else { return };
            let body = request.body(id, Version::NEWEST_LEGACY, self.profile.borrowed(), &[]);
            let version = self.router.version().unwrap_or(Version::NEWEST_LEGACY);
            let method = request.method.clone();
            let head = Head { version, method, name: None, mirrored: Vec::new(), credential: None };
            if let Err(error) = self.attempt(&Outgoing { id, body, head }).await {
                self.router.forget(id);
                tracing::warn!(%error, method = %request.method, "the new session could not be set up like the last one");
            }
            drop(mailbox);
        }
    }

    /// Ends the session. Notifies the server, and accepts any answer.
    pub(in crate::client) async fn end(&self) {
        let mut head = HeaderMap::new();
        self.session.put(self.router.version(), &mut head);
        if self.session.forget() {
            let fill = |own: &mut HeaderMap| own.extend(head.clone());
            let told = self.send(Method::DELETE, &fill);
            let _ = timeout(DELETE_TIME, told).await;
        }
    }
}
