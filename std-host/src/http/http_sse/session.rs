//! The sessions of the transport: the stream of each client, and the messages that are served for it.

use crate::door::Relayed;
use crate::http::McpService;
use crate::http::answer::AnswerBody;
use attache_core::http::sse::{BACK, FRONT};
use bytes::Bytes;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tower_service::Service;

/// The open streams of an endpoint, by the id in the URL of their messages.
#[derive(Clone)]
pub(super) struct Sessions {
    service: McpService,
    open: Arc<Mutex<HashMap<String, Arc<Session>>>>,
}

/// The stream of one client.
pub(super) struct Session {
    /// The identity of the caller. Empty for an anonymous one.
    identity: Vec<u8>,
    /// `None` after the end of the stream.
    events: Mutex<Option<mpsc::Sender<Bytes>>>,
    /// Held while an event is sent in pieces.
    order: tokio::sync::Mutex<()>,
    /// The session of the protocol, after the handshake.
    name: OnceLock<HeaderValue>,
    is_listening: AtomicBool,
}

/// The events of a stream. Dropping them ends the session.
pub(super) struct Opened {
    pub(super) events: mpsc::Receiver<Bytes>,
    id: String,
    sessions: Sessions,
    /// The head of the request that has opened the stream, with the credentials of the client.
    head: Parts,
}

/// Events that wait for the client. A client that reads slowly delays its own calls.
const WAITING: usize = 16;

impl Sessions {
    pub(super) fn new(service: McpService) -> Self {
        Self { service, open: Arc::default() }
    }

    /// Opens a session for a caller. `None` if `most` are open, or if the system has no random numbers for its id.
    pub(super) fn open(&self, identity: Vec<u8>, most: usize, head: &Parts) -> Option<(String, Opened)> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (sender, events) = mpsc::channel(WAITING);
        let session = Session {
            identity,
            events: Mutex::new(Some(sender)),
            order: tokio::sync::Mutex::default(),
            name: OnceLock::new(),
            is_listening: AtomicBool::new(false),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= most {
            return None;
        }
        open.insert(id.clone(), Arc::new(session));
        drop(open);
        Some((id.clone(), Opened { events, id, sessions: self.clone(), head: head.clone() }))
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Serves a message of a client in a task of its own.
    pub(super) fn relay(&self, session: Arc<Session>, head: Parts, body: Bytes) {
        let this = self.clone();
        let relay = async move {
            // MCP 2024-11-05 basic/lifecycle: before the client has said that it is ready, nothing is sent to it.
            let is_ready = session.name.get().is_some();
            if is_ready && !session.is_listening.swap(true, Ordering::Relaxed) {
                let (this, session, head) = (this.clone(), Arc::clone(&session), head.clone());
                tokio::spawn(async move { this.listen(&session, head).await });
            }
            let response = this.serve(&session, Method::POST, head, body).await;
            if let Some(name) = response.headers().get(NAME) {
                let _ = session.name.set(name.clone());
            }
            session.forward(response).await;
        };
        #[cfg(feature = "functions")]
        let relay = crate::functions::relayed(relay);
        tokio::spawn(relay);
    }

    /// Forwards the messages that belong to no call, until the server ends them.
    async fn listen(&self, session: &Session, head: Parts) {
        let response = self.serve(session, Method::GET, head, Bytes::new()).await;
        let has_begun = response.status() == StatusCode::OK;
        session.forward(response).await;
        // The server is stopping.
        if has_begun {
            session.end();
        }
    }

    /// Serves a request of Streamable HTTP with the credentials of this head.
    async fn serve(&self, session: &Session, method: Method, mut head: Parts, body: Bytes) -> Response<AnswerBody> {
        let accepts = if method == Method::GET { "text/event-stream" } else { "application/json, text/event-stream" };
        head.method = method;
        head.headers.remove(CONTENT_LENGTH);
        head.headers.remove(TRANSFER_ENCODING);
        head.headers.insert(ACCEPT, HeaderValue::from_static(accepts));
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match session.name.get() {
            Some(name) => drop(head.headers.insert(NAME, name.clone())),
            None => drop(head.headers.remove(NAME)),
        }
        head.extensions.insert(Relayed);
        let mut service = self.service.clone();
        let served = service.call(Request::from_parts(head, Full::new(body))).await;
        served.unwrap_or_else(|never| match never {})
    }
}

/// The header field with the session of the protocol.
const NAME: &str = "mcp-session-id";

impl Session {
    pub(super) fn is_of(&self, identity: &[u8]) -> bool {
        self.identity == identity
    }

    fn sender(&self) -> Option<mpsc::Sender<Bytes>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn end(&self) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Forwards an answer to the stream.
    async fn forward(&self, response: Response<AnswerBody>) {
        let Some(events) = self.sender() else { return };
        let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let mut body = pin!(response.into_body());
        if !is_stream {
            let Ok(answer) = body.collect().await.map(http_body_util::Collected::to_bytes) else { return self.end() };
            // A notification has no answer.
            if !answer.is_empty() {
                let _order = self.order.lock().await;
                let _ = events.send(Bytes::from([FRONT, &answer, BACK].concat())).await;
            }
            return;
        }
        let mut order = None;
        while let Some(frame) = body.frame().await {
            // An answer that has broken off cannot be taken back.
            let Ok(frame) = frame else { return self.end() };
            let Ok(piece) = frame.into_data() else { continue };
            // The stream has its own comments that keep it open.
            if piece.is_empty() || (order.is_none() && piece.starts_with(b":")) {
                continue;
            }
            if order.is_none() {
                order = Some(self.order.lock().await);
            }
            let is_end = piece.ends_with(BACK);
            if events.send(piece).await.is_err() {
                return;
            }
            if is_end {
                order = None;
            }
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let session = self.sessions.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        let Some(session) = session else { return };
        session.end();
        // The end of the stream ends the session of the protocol, too.
        if let (Some(_), Ok(runtime)) = (session.name.get(), Handle::try_current()) {
            let (sessions, head) = (self.sessions.clone(), self.head.clone());
            runtime.spawn(async move { sessions.serve(&session, Method::DELETE, head, Bytes::new()).await });
        }
    }
}
