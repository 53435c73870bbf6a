//! Delivers each message of a server to its request, on whatever stream the message arrives.

mod questions;

use super::error::{Error, shown};
use super::limits::{NOTICE_BYTES, NOTICES, OUTGOING};
use super::mailbox::{Answer, Incoming, Mailbox};
use super::notice::Notice;
use super::question::Question;
use super::raw::RawJson;
use super::request::Asks;
use attache_core::client::{self, AnswerId, Message, Unreadable, elements, number};
use attache_core::era::{self, Version};
use attache_core::json::{Item, Value};
use bytes::Bytes;
use core::fmt;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::AbortHandle;

/// A function that answers questions.
pub(super) type Answers = Arc<dyn Fn(Question) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Why a body could not be delivered.
#[derive(Debug)]
pub(super) enum Stray {
    /// It is not an MCP message.
    Unreadable(String),
    /// It answers a request that is not running.
    Id(String),
}

pub(super) struct Router {
    ids: AtomicU64,
    calls: Mutex<Calls>,
    notices: broadcast::Sender<Notice>,
    /// Responses to requests of the server, which the transport sends.
    responses: mpsc::Sender<Bytes>,
    declared: era::Client,
    answers: Option<Answers>,
    open_questions: Arc<AtomicUsize>,
    /// Whether a question may come that belongs to no running call.
    strays: AtomicBool,
    /// Whether the connection has ended.
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct Calls {
    running: HashMap<u64, Running>,
    version: Option<Version>,
    /// Why no more requests can be made.
    closed: Option<Error>,
    /// The open questions of the server, by id, with the tasks that wait for their answers.
    questions: HashMap<Bytes, AbortHandle>,
}

struct Running {
    mailbox: Arc<Mailbox>,
    purpose: Purpose,
    written: bool,
}

/// The purpose of a request, which decides what may arrive for it before its answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// The client itself needs the answer: a list, a check, a handshake.
    Upkeep,
    /// A call of the user. It gets log messages, and questions if it accepts them.
    Call(Option<Asks>),
    /// A subscription, which runs for as long as the connection.
    Listen,
}

impl Running {
    const fn listens(&self) -> bool {
        matches!(self.purpose, Purpose::Listen)
    }

    /// The user that accepts the questions of the call; `None` if the request accepts none.
    const fn asks(&self) -> Option<Asks> {
        match self.purpose {
            Purpose::Call(asks) => asks,
            Purpose::Upkeep | Purpose::Listen => None,
        }
    }
}

impl Router {
    pub(super) fn new(capabilities: &RawJson, answers: Option<Answers>) -> (Arc<Self>, mpsc::Receiver<Bytes>) {
        let (responses, outgoing) = mpsc::channel(OUTGOING);
        let declared = era::Client::declared(capabilities.value());
        let router = Self {
            ids: AtomicU64::new(1),
            calls: Mutex::default(),
            notices: broadcast::Sender::new(NOTICES),
            responses,
            declared,
            answers,
            open_questions: Arc::default(),
            strays: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        };
        (Arc::new(router), outgoing)
    }

    pub(super) fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    pub(super) fn tell(&self, notice: Notice) {
        let _ = self.notices.send(notice);
    }

    pub(super) fn answers(&self) -> Option<&Answers> {
        self.answers.as_ref()
    }

    pub(super) const fn declared(&self) -> era::Client {
        self.declared
    }

    /// The negotiated revision.
    pub(super) fn version(&self) -> Option<Version> {
        self.lock().version
    }

    pub(super) fn agree(&self, version: Version) {
        self.lock().version = Some(version);
    }

    /// Opens a request. Returns its id and its mailbox.
    pub(super) fn open(&self, purpose: Purpose) -> Result<(u64, Arc<Mailbox>), Error> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox::default());
        let mut calls = self.lock();
        if let Some(closed) = &calls.closed {
            return Err(closed.for_later_request());
        }
        calls.running.insert(id, Running { mailbox: Arc::clone(&mailbox), purpose, written: false });
        Ok((id, mailbox))
    }

    /// Forgets a request. Later messages for it are strays.
    pub(super) fn forget(&self, id: u64) -> bool {
        let forgotten = self.lock().running.remove(&id);
        // The server may go on with the call, and ask a question of it later.
        if forgotten.as_ref().is_some_and(|running| running.asks().is_some()) {
            self.strays.store(true, Ordering::Relaxed);
        }
        forgotten.is_some()
    }

    /// Whether a question may come that belongs to no running call: a call that accepted questions
    /// was given up, or such a question has come already.
    pub(super) fn may_stray(&self) -> bool {
        self.strays.load(Ordering::Relaxed)
    }

    /// Records that a request is being written, so that it may reach the server.
    pub(super) fn written(&self, id: u64) {
        if let Some(running) = self.lock().running.get_mut(&id) {
            running.written = true;
        }
    }

    /// Ends one request with an error.
    pub(super) fn fail(&self, id: u64, error: Error) {
        if let Some(running) = self.lock().running.remove(&id) {
            running.mailbox.end(Err(error));
        }
    }

    /// Whether the request still waits for its answer.
    pub(super) fn is_running(&self, id: u64) -> bool {
        self.lock().running.contains_key(&id)
    }

    /// Fails all requests, and all further ones until [`reopen`](Self::reopen).
    pub(super) fn close(&self, error: &Error) {
        let mut calls = self.lock();
        calls.closed.get_or_insert_with(|| error.clone());
        for (_, running) in calls.running.drain() {
            let error = match error {
                Error::Exited(exit) => Error::Exited(super::error::Exit { written: running.written, ..exit.clone() }),
                other => other.clone(),
            };
            running.mailbox.end(Err(error));
        }
        drop(calls);
        self.ended.send_replace(true);
    }

    /// Waits until no further request can be made, and returns the reason.
    pub(super) async fn ended(&self) -> Error {
        // The sender is a field of `self`, so it is there.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
        self.lock().closed.clone().unwrap_or(Error::Closed)
    }

    /// Allows requests again, after a new process was started.
    pub(super) fn reopen(&self) {
        self.lock().closed = None;
        self.ended.send_replace(false);
    }

    /// The only running request, if there is exactly one. A subscription does not count beside
    /// another request.
    pub(super) fn only(&self) -> Option<u64> {
        self.only_of(|running| !running.listens()).or_else(|| self.only_of(|_| true))
    }

    /// The only running call of the user, if there is exactly one.
    fn only_call(&self) -> Option<u64> {
        self.only_of(|running| matches!(running.purpose, Purpose::Call(_)))
    }

    fn only_of(&self, wanted: impl Fn(&Running) -> bool) -> Option<u64> {
        let calls = self.lock();
        let mut ids = calls.running.iter().filter(|(_, running)| wanted(running)).map(|(id, _)| *id);
        ids.next().filter(|_| ids.next().is_none())
    }

    /// Handles a body: a message, or a batch of messages. If the body arrived on the stream of a
    /// request, `stream` is the id of that request.
    pub(super) fn receive(&self, body: &Bytes, status: u16, stream: Option<u64>) -> Result<(), Stray> {
        match client::read(body) {
            Ok(received) => match received.message {
                Message::Answer(answer) => self.answered(body, status, answer, stream),
                Message::Request { id, method } => {
                    self.asked(body, id.of(body), method.of(body), received.params, stream);
                    Ok(())
                }
                Message::Notification(method) => {
                    self.told(body, method.of(body), received.params, stream);
                    Ok(())
                }
            },
            // MCP 2025-03-26 basic/index: batches MUST be accepted. Other revisions have no
            // batches.
            Err(Unreadable::Array) if self.version() == Some(Version::V2025_03_26) => self.batch(body, status, stream),
            Err(Unreadable::Array) => Err(Stray::Unreadable("an array of messages".to_owned())),
            Err(Unreadable::NotJson(error)) => Err(Stray::Unreadable(format!("not JSON: {error}"))),
            Err(Unreadable::NotAMessage(error)) => {
                Err(Stray::Unreadable(format!("not a message: {}", error.message()[0])))
            }
        }
    }

    fn batch(&self, body: &Bytes, status: u16, stream: Option<u64>) -> Result<(), Stray> {
        let Ok(array) = Value::parse(body) else {
            return Err(Stray::Unreadable("not JSON".to_owned()));
        };
        elements(array)
            .filter(|message| message.raw().first() == Some(&b'{'))
            .try_for_each(|message| self.receive(&body.slice_ref(message.raw()), status, stream))
    }

    fn answered(&self, body: &Bytes, status: u16, answer: client::Answer, stream: Option<u64>) -> Result<(), Stray> {
        let id = match answer.id {
            AnswerId::Number(id) => Some(id),
            // If exactly one request is outstanding, an error without an id is its answer.
            AnswerId::Missing if answer.outcome.is_err() => stream.or_else(|| self.only()),
            AnswerId::Missing | AnswerId::Foreign(_) => None,
        };
        let running = id.and_then(|id| self.lock().running.remove(&id));
        let Some(running) = running else {
            let written = match answer.id {
                AnswerId::Number(id) => id.to_string(),
                AnswerId::Foreign(id) => shown(&String::from_utf8_lossy(id.span().of(body))),
                AnswerId::Missing => "none".to_owned(),
            };
            tracing::debug!(id = %written, "an answer to no request that runs was dropped");
            return Err(Stray::Id(written));
        };
        running.mailbox.end(Ok(Answer { body: body.clone(), status, outcome: answer.outcome }));
        Ok(())
    }

    fn told(&self, body: &Bytes, method: Value<'_>, params: Option<Item>, stream: Option<u64>) {
        let Some(method) = method.text().map(|text| text.chars().collect::<String>()) else {
            return;
        };
        let params = params.map_or_else(RawJson::empty_object, |params| RawJson::part(body, params.of(body)));
        let len = params.as_bytes().len();
        match method.as_str() {
            "notifications/progress" => {
                // MCP basic/utilities/progress: unknown and late tokens are ignored.
                let token = params.value().member("progressToken").and_then(number);
                if let Some(mailbox) = token.and_then(|token| self.mailbox(token, |_| true)) {
                    let _ = mailbox.put(Incoming::Progress(params), len);
                }
            }
            "notifications/message" => {
                let call = stream.or_else(|| self.only_call());
                match call.and_then(|call| self.mailbox(call, |running| !running.listens())) {
                    Some(mailbox) => {
                        let _ = mailbox.put(Incoming::Log(params), len);
                    }
                    None => self.notice(&method, params),
                }
            }
            "notifications/cancelled" => self.cancelled(&params),
            _ => match self.subscription(&params, stream) {
                Some(mailbox) => {
                    let _ = mailbox.put(Incoming::Notification(method, params), len);
                }
                None => self.notice(&method, params),
            },
        }
    }

    /// The subscription of revision 2026-07-28 to which a notification belongs.
    fn subscription(&self, params: &RawJson, stream: Option<u64>) -> Option<Arc<Mailbox>> {
        let id = |params: Value<'_>| number(params.member("_meta")?.member("io.modelcontextprotocol/subscriptionId")?);
        let call = id(params.value()).or(stream)?;
        self.mailbox(call, |running| running.listens())
    }

    fn cancelled(&self, params: &RawJson) {
        let Some(id) = params.member("requestId") else { return };
        if !self.version().is_some_and(Version::is_modern) {
            // MCP 2025-11-25 basic/utilities/cancellation: a server withdraws its own question.
            self.lock().questions.remove(id.as_bytes()).inspect(AbortHandle::abort);
            return;
        }
        // MCP 2026-07-28 basic/patterns/cancellation: a server can cancel only a subscription,
        // which ends it.
        let listen = number(id.value()).filter(|id| self.mailbox(*id, |running| running.listens()).is_some());
        if let Some(listen) = listen {
            self.fail(listen, Error::Lost("the server ended the subscription".to_owned()));
        }
    }

    fn notice(&self, method: &str, params: RawJson) {
        if params.as_bytes().len() > NOTICE_BYTES {
            tracing::debug!("a notification of more than {NOTICE_BYTES} bytes was dropped");
            return;
        }
        if let Some(notice) = Notice::of(method, params) {
            self.tell(notice);
        }
    }

    fn mailbox(&self, id: u64, wanted: impl FnOnce(&Running) -> bool) -> Option<Arc<Mailbox>> {
        let calls = self.lock();
        let running = calls.running.get(&id)?;
        wanted(running).then(|| Arc::clone(&running.mailbox))
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("version", &self.version()).finish_non_exhaustive()
    }
}
