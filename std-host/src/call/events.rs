//! Events of a running call before its result: progress, log messages and questions.

use super::sealer::Sealer;
use crate::budget::Permit;
use crate::limits;
use crate::sink::Growing;
use attache_core::era::Version;
use attache_core::json::{Full, Sink};
use attache_core::mcp;
use attache_core::tool::{Level, RequestMeta};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// An event that a running call sends before its result.
pub(crate) enum Event {
    /// A notification for the caller, ready to be sent.
    Message(Bytes),
    /// Questions to the client. The call stays alive while it waits for the answers.
    Ask(Question),
}

/// Questions of a call that stays alive, and where the answers go.
pub(crate) struct Question {
    /// The requests by key, each an object with `method` and `params`.
    pub(crate) requests: Map<String, Value>,
    /// Takes the answers by the same keys, or a sentence that says why there are none.
    pub(crate) reply: oneshot::Sender<Result<Map<String, Value>, String>>,
    /// Seals the state that leads a modern client's retry back to the call.
    pub(crate) sealer: Arc<Sealer>,
    /// Sends the later events of the call.
    pub(crate) events: Arc<Events>,
}

/// Sends the events of one call to its caller.
#[derive(Debug)]
pub(crate) struct Events {
    progress: Mutex<Progress>,
    level: Option<Level>,
    version: Version,
    /// `None` if the call cannot send any event.
    sender: Option<mpsc::Sender<Event>>,
    /// Messages that wait to be sent are charged to the request of the call.
    permit: Permit,
}

/// Receives the events of one call.
#[derive(Debug)]
pub(crate) struct EventReceiver(Option<mpsc::Receiver<Event>>);

impl EventReceiver {
    /// The events of a call that sends none.
    pub(crate) const NONE: Self = Self(None);

    /// Returns the next event, or `None` if no further event can come.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.0.as_mut()?.recv().await
    }

    /// Returns the next event that was already sent.
    pub(crate) fn sent(&mut self) -> Option<Event> {
        self.0.as_mut()?.try_recv().ok()
    }
}

impl From<mpsc::Receiver<Event>> for EventReceiver {
    fn from(receiver: mpsc::Receiver<Event>) -> Self {
        Self(Some(receiver))
    }
}

#[derive(Debug)]
struct Progress {
    /// The token as the client wrote it; `None` if the client did not ask for progress.
    token: Option<Vec<u8>>,
    /// The progress that was sent last.
    last: f64,
}

impl Events {
    /// Creates the sender of a call's events, and the receiver for them. `logging` says whether the
    /// server has declared the logging capability. `level` is that of a legacy session; in the
    /// modern era each call brings its own. `asks` says whether the call may [`ask`](Self::ask).
    pub(crate) fn new(
        version: Version,
        request_meta: &RequestMeta<'_>,
        logging: bool,
        level: Option<Level>,
        asks: bool,
        permit: &Permit,
    ) -> (Self, EventReceiver) {
        let wanted = if version.is_modern() { request_meta.log_level } else { level };
        // MCP server/utilities/logging: a server that sends log messages MUST declare it.
        let level = wanted.filter(|_| logging);
        let token = request_meta.progress_token.map(<[u8]>::to_vec);
        // Most callers want no event.
        let sends = asks || level.is_some() || token.is_some();
        let (sender, receiver) = sends.then(|| mpsc::channel(WAITING)).unzip();
        let progress = Mutex::new(Progress { token, last: f64::NEG_INFINITY });
        (Self { progress, level, version, sender, permit: permit.another() }, EventReceiver(receiver))
    }

    /// Returns the least severe level of log messages that the caller wants.
    pub(crate) const fn level(&self) -> Option<Level> {
        self.level
    }

    /// Whether the caller has asked for progress notifications.
    pub(crate) fn wants_progress(&self) -> bool {
        self.lock().token.is_some()
    }

    /// Sends progress to a later request of the same call, under the token that this request brought.
    pub(crate) fn continue_as(&self, token: Option<&[u8]>) {
        *self.lock() = Progress { token: token.map(<[u8]>::to_vec), last: f64::NEG_INFINITY };
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let token = {
            let mut sent = self.lock();
            // MCP basic/patterns/progress: "MUST increase with each notification". JSON cannot
            // express infinity and NaN.
            match sent.token.clone() {
                Some(token) if progress.is_finite() && progress > sent.last => {
                    sent.last = progress;
                    token
                }
                _ => return,
            }
        };
        // MCP 2025-03-26 changelog: progress has a message since this revision.
        let message = message.filter(|_| self.version >= Version::V2025_03_26);
        let total = total.filter(|total| total.is_finite()).map(|total| total.to_string());
        self.send(|out| mcp::progress(&token, &progress.to_string(), total.as_deref(), message, out)).await;
    }

    pub(crate) async fn log(&self, level: Level, logger: Option<&str>, data: &impl Serialize) {
        // MCP 2026-07-28 server/utilities/logging: no messages unless the request asks for them,
        // and none below the requested level.
        if self.level.is_none_or(|asked| level < asked) {
            return;
        }
        if let Ok(data) = serde_json::to_string(data) {
            self.send(|out| mcp::message(level, logger, &data, out)).await;
        }
    }

    /// Asks the client while the call stays alive, and waits for the answers. They have the keys of
    /// the requests. The error is a sentence that says why there are no answers.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        requests: Map<String, Value>,
        sealer: &Arc<Sealer>,
    ) -> Result<Map<String, Value>, String> {
        let gone = || "The client has gone".to_owned();
        let (reply, answers) = oneshot::channel();
        let question = Question { requests, reply, sealer: Arc::clone(sealer), events: Arc::clone(self) };
        let sender = self.sender.as_ref().ok_or_else(gone)?;
        sender.send(Event::Ask(question)).await.map_err(|_| gone())?;
        answers.await.map_err(|_| gone())?
    }

    async fn send(&self, write: impl FnOnce(&mut dyn Sink) -> Result<(), Full>) {
        let Some(sender) = &self.sender else { return };
        let mut message = Growing::charged(&self.permit, limits::RESULT);
        match write(&mut message) {
            // A failed send means that the caller has gone, which is fine.
            Ok(()) => drop(sender.send(Event::Message(message.into_bytes())).await),
            Err(Full) => tracing::debug!("a message of a call was left out: the memory budget has no room for it"),
        }
    }
}

/// Buffer size for events that the caller has not read yet. When it is full, the handler waits.
const WAITING: usize = 16;
