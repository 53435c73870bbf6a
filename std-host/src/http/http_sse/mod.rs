//! The transport "HTTP with SSE" of revision 2024-11-05: a client opens a stream of events with GET, learns from its
//! first event where to POST messages, and gets all answers as events of the stream.
//!
//! Each message is served as one request of Streamable HTTP, with its own credentials. What is answered there goes to
//! the stream.

mod events;
mod session;

use super::answer::{Answered, closing, not_found, refuse, refuse_at_door, response, short_of_memory, too_often};
use super::cors;
use super::refused::{kept_out, turn_away};
use super::service::{McpService, Unread, read, watch};
use crate::budget::Account;
use crate::door::{Peer, size};
use crate::engine::Server;
use crate::limits::{FIELD_MEMORY, REQUEST_MEMORY};
use crate::why;
use attache_core::era::Version;
use attache_core::exchange::Standalone;
use attache_core::http::{ACCEPTED, Refusal, gate_route, sse};
use attache_core::rpc::Error;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use events::Events;
use http::header::{ALLOW, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use session::{Session, Sessions};
use std::sync::Arc;
use tokio::time::timeout;

/// The transport in front of one endpoint.
#[derive(Clone)]
pub(crate) struct HttpSse {
    server: Arc<Server>,
    sessions: Sessions,
}

/// The path behind that of the endpoint on which the stream is.
pub(crate) const STREAM: &str = "/sse";

/// The path behind that of the endpoint to which clients send messages.
pub(crate) const MESSAGE: &str = "/message";

impl HttpSse {
    /// Returns the two routes next to the endpoint at `path`.
    pub(crate) fn routes<S: Clone + Send + Sync + 'static>(server: Arc<Server>, path: &str) -> axum::Router<S> {
        let sessions = Sessions::new(McpService::new(Arc::clone(&server)));
        let (streams, base) = (Self { server, sessions }, path.trim_end_matches('/'));
        let messages = streams.clone();
        let stream = move |request: Request| {
            let this = streams.clone();
            this.answer(Method::GET, request, async move |this: &Self, head: Parts, _| this.stream(head).await)
        };
        let message = move |request: Request| {
            let this = messages.clone();
            this.answer(Method::POST, request, async move |this: &Self, head: Parts, body| {
                this.message(head, body).await
            })
        };
        axum::Router::new()
            .without_v07_checks()
            .route(&format!("{base}{STREAM}"), any(stream))
            .route(&format!("{base}{MESSAGE}"), any(message))
    }

    /// Answers a request that must have this method.
    async fn answer(
        self,
        method: Method,
        request: Request,
        serve: impl AsyncFnOnce(&Self, Parts, Body) -> Result<Response, http::Response<Answered>>,
    ) -> Response {
        let (head, body) = request.into_parts();
        let server = &self.server;
        if !server.auth().is_hidden()
            && let Some(preflight) = cors::preflight(server, &head)
        {
            return preflight.map(Body::new);
        }
        let asked = head.clone();
        let served = why::scope(async {
            if head.method != method && !server.auth().is_hidden() {
                let mut refused = refuse_at_door(server, Refusal::Method, watch(server, &head));
                let allowed = if method == Method::GET { "GET" } else { "POST" };
                refused.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
                return Err(refused);
            }
            serve(&self, head, body).await
        });
        // A request that is refused was not read to its end.
        let mut response = served.await.unwrap_or_else(|refused| closing(refused, asked.version).map(Body::new));
        cors::expose(server, &asked, &mut response);
        response
    }

    /// Opens a stream.
    async fn stream(&self, head: Parts) -> Result<Response, http::Response<Answered>> {
        let server = &self.server;
        let identity = self.identity(&head).await?;
        let Some((session, events)) = self.sessions.open(identity, server.limits().streams, &head) else {
            let busy = Error::Busy("Too many streams are open: try again later");
            return Err(refuse(server, Standalone::error(busy, Version::V2024_11_05), watch(server, &head)));
        };
        let mut watch = watch(server, &head);
        watch.status(StatusCode::OK.as_u16());
        watch.taken();
        // The URL is relative to that of the stream, so that a proxy may change the path in front of it.
        let first = format!("event: endpoint\ndata: {}?{SESSION}={session}\n\n", MESSAGE.trim_start_matches('/'));
        let mut response = Response::new(Body::new(Events::new(Bytes::from(first), events)));
        for (name, value) in sse::FIELDS {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        Ok(response)
    }

    /// Takes a message, and serves it in a task of its own.
    async fn message(&self, head: Parts, body: Body) -> Result<Response, http::Response<Answered>> {
        let server = &self.server;
        let identity = self.identity(&head).await?;
        // Another caller does not learn whether a session exists.
        let Some(session) = self.named(&head).filter(|session| session.is_of(&identity)) else {
            let mut unknown = response(StatusCode::NOT_FOUND.as_u16(), Bytes::from_static(UNKNOWN));
            unknown.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            return Err(unknown);
        };
        let too_large = || refuse(server, Standalone::too_large(server.limits().body), watch(server, &head));
        let permit = server.budget().reserve(account(&head), REQUEST_MEMORY);
        let permit = permit.map_err(|short| short_of_memory(server, short, watch(server, &head)))?;
        let read = timeout(server.limits().body_time, read(body, server.limits().body, permit)).await;
        let body = match read {
            Ok(Ok(body)) => body,
            Ok(Err(Unread::TooLarge)) => return Err(too_large()),
            Ok(Err(Unread::Short(short))) => return Err(short_of_memory(server, short, watch(server, &head))),
            Ok(Err(Unread::BrokenOff)) => return Err(response(StatusCode::BAD_REQUEST.as_u16(), Bytes::new())),
            Err(_) => return Err(response(StatusCode::REQUEST_TIMEOUT.as_u16(), Bytes::new())),
        };
        self.sessions.relay(session, head, body);
        let mut accepted = Response::new(Body::from("Accepted"));
        *accepted.status_mut() = StatusCode::from_u16(ACCEPTED).unwrap_or(StatusCode::ACCEPTED);
        Ok(accepted)
    }

    /// The session that the URL of a message names.
    fn named(&self, head: &Parts) -> Option<Arc<Session>> {
        let query = head.uri.query()?;
        let id = query.split('&').find_map(|pair| pair.strip_prefix(SESSION)?.strip_prefix('='))?;
        self.sessions.find(id)
    }

    /// Checks the credentials of a request, counts it for the rate limits, and returns the identity of its caller.
    async fn identity(&self, head: &Parts) -> Result<Vec<u8>, http::Response<Answered>> {
        let (server, checks) = (&self.server, &self.server.checks);
        let watch = || watch(server, head);
        let memory = REQUEST_MEMORY + size(head) + head.headers.len() * FIELD_MEMORY;
        let permit = server.budget().reserve(account(head), memory);
        let mut permit = permit.map_err(|short| short_of_memory(server, short, watch()))?;
        let refused = checks.refused(head, size(head));
        if server.auth().is_hidden() {
            let is_known = match refused {
                Some((Refusal::Rate, _)) => checks.is_remembered(head),
                _ => Box::pin(checks.is_known(head, &mut permit)).await,
            };
            if !is_known {
                watch().turned_away("hidden", StatusCode::NOT_FOUND.as_u16());
                return Err(not_found(head.version));
            }
        }
        match refused {
            Some((_, Some(wait))) => return Err(too_often(server, wait, watch())),
            Some((refusal, None)) => return Err(refuse_at_door(server, refusal, watch())),
            None => {}
        }
        let facts = checks.facts(head);
        let admitted = checks.admit(gate_route(&facts, &checks.policy()), head, &mut permit).await;
        let guest = admitted.map_err(|out| kept_out(server, out, head, watch()))?;
        let who = guest.who().map_err(|refusal| turn_away(server, refusal, head, watch()))?;
        checks.count_identity(&who).map_err(|wait| too_often(server, wait, watch()))?;
        Ok(who.identity().to_vec())
    }
}

/// The parameter with the session in the URL of messages.
const SESSION: &str = "sessionId";

const UNKNOWN: &[u8] =
    b"This session has no stream: open one with GET, and POST to the URL that its first event names.\n";

fn account(head: &Parts) -> Account {
    Account::address(head.extensions.get::<Peer>().map(|Peer(address)| *address))
}
