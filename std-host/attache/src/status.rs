//! The status page: servers and their tools, live exchanges, latencies, refusals with their reason,
//! and a form to try a tool. It is for people at this machine. A call from the page needs the same
//! credentials as any other call.

use super::config::ServerConfig;
use attache_host::observe::{Exchange, Observe};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use core::convert::Infallible;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast::{self, error::RecvError};
use tower_service::Service;

/// The most recent exchanges, and a channel for the pages that wait for new ones.
#[derive(Debug)]
pub(super) struct Recent {
    last: Mutex<VecDeque<Bytes>>,
    next: broadcast::Sender<Bytes>,
}

/// The number of exchanges that are kept for a page that is opened later.
const KEPT: usize = 200;

/// The number of exchanges that wait for a slow page. Further ones are not shown on that page.
const WAITING: usize = 1024;

impl Default for Recent {
    fn default() -> Self {
        Self { last: Mutex::default(), next: broadcast::Sender::new(WAITING) }
    }
}

impl Recent {
    /// Returns the kept exchanges, and a receiver for all later ones.
    fn listen(&self) -> (Vec<Bytes>, broadcast::Receiver<Bytes>) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (last.iter().cloned().collect(), self.next.subscribe())
    }
}

impl Observe for Recent {
    fn exchange(&self, exchange: &Exchange<'_>) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = json!({
            "at": u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            "server": exchange.server,
            "transport": exchange.transport.as_str(),
            "peer": exchange.peer,
            "caller": exchange.caller,
            "revision": exchange.revision.map(|revision| revision.as_str()),
            "method": exchange.method,
            "name": exchange.name,
            "end": exchange.end.as_str(),
            "status": exchange.status,
            "code": exchange.code.map(|code| code.digits()),
            "reason": exchange.reason,
            "microseconds": u64::try_from(exchange.took.as_micros()).unwrap_or(u64::MAX),
            "received": exchange.received,
            "sent": exchange.sent,
        });
        let record = Bytes::from(format!("data: {record}\n\n"));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(record.clone());
        // Sending fails if no page is open. The lock is held while sending, so that a page neither
        // misses an exchange nor receives one twice.
        let _ = self.next.send(record);
    }
}

/// A server as the page shows it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    path: String,
    /// A host name that the server accepts.
    host: HeaderValue,
    /// The description for the page.
    words: Value,
}

impl Shown {
    pub(super) fn of(endpoint: &ServerConfig) -> Self {
        let ServerConfig { path, name, tools, protection, .. } = endpoint;
        let named = endpoint.hosts.first().and_then(|host| host.parse().ok());
        let shows = [("key", protection.keys_file.is_some()), ("token", !protection.policies.is_empty())];
        let shows: Vec<_> = shows.into_iter().filter(|(_, asked)| *asked).map(|(what, _)| what).collect();
        Self {
            path: path.clone(),
            host: named.unwrap_or(HeaderValue::from_static("localhost")),
            words: json!({ "name": name, "path": path, "tools": tools, "shows": shows }),
        }
    }
}

/// The page.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) recent: Arc<Recent>,
    pub(super) servers: Vec<Shown>,
    /// The router of all endpoints.
    pub(super) endpoints: Router,
}

impl Status {
    pub(super) fn routes(self) -> Router {
        let asset = |kind: &'static str, text: &'static str| get(move || async move { ([(CONTENT_TYPE, kind)], text) });
        Router::new()
            .route("/", asset("text/html; charset=utf-8", include_str!("status/page.html")))
            .route("/page.css", asset("text/css; charset=utf-8", include_str!("status/page.css")))
            .route("/page.js", asset("text/javascript; charset=utf-8", include_str!("status/page.js")))
            .route("/servers", get(servers))
            .route("/exchanges", get(exchanges))
            .route("/try/{number}", post(forward))
            .layer(middleware::from_fn(guard))
            .with_state(Arc::new(self))
    }
}

/// Refuses requests that other pages in the same browser send, through DNS rebinding or across
/// origins.
async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_local = host
        .parse::<Uri>()
        .is_ok_and(|uri| uri.host().is_some_and(|name| attache_core::http::LOOPBACK.contains(&name)));
    let is_own = headers.get(ORIGIN).is_none_or(|origin| origin.as_bytes() == format!("http://{host}").as_bytes());
    if !is_local || !is_own {
        return (StatusCode::FORBIDDEN, "The status page answers to localhost and to its own page alone\n")
            .into_response();
    }
    let mut response = next.run(request).await;
    for (name, value) in [
        (http::header::CONTENT_SECURITY_POLICY, POLICY),
        (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (http::header::REFERRER_POLICY, "no-referrer"),
        (http::header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The Content-Security-Policy: the page may only run its own script and call this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

async fn servers(State(status): State<Arc<Status>>) -> Response {
    let servers: Vec<&Value> = status.servers.iter().map(|server| &server.words).collect();
    let page = json!({ "version": env!("CARGO_PKG_VERSION"), "servers": servers });
    ([(CONTENT_TYPE, "application/json")], page.to_string()).into_response()
}

/// Streams the last exchanges and all later ones as server-sent events.
async fn exchanges(State(status): State<Arc<Status>>) -> Response {
    let (last, mut next) = status.recent.listen();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let mut last = last.into_iter();
        loop {
            let record = match last.next() {
                Some(record) => record,
                None => tokio::select! {
                    record = next.recv() => match record {
                        Ok(record) => record,
                        Err(RecvError::Lagged(missed)) => Bytes::from(format!("event: missed\ndata: {missed}\n\n")),
                        Err(RecvError::Closed) => break,
                    },
                    // The page was closed.
                    () = sender.closed() => break,
                },
            };
            if sender.send(record).await.is_err() {
                break;
            }
        }
    });
    let frames = Frames(receiver);
    ([(CONTENT_TYPE, "text/event-stream")], Body::new(StreamBody::new(frames))).into_response()
}

/// The messages of a channel, as the frames of a body.
struct Frames(tokio::sync::mpsc::Receiver<Bytes>);

impl futures_core::Stream for Frames {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: core::pin::Pin<&mut Self>,
        context: &mut core::task::Context<'_>,
    ) -> core::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Forwards a request of the page to its endpoint. Passes on the fields that an MCP client would
/// send, and drops those of the browser.
async fn forward(State(status): State<Arc<Status>>, Path(number): Path<usize>, request: Request) -> Response {
    let Some(server) = status.servers.get(number) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (head, body) = request.into_parts();
    let passes = |name: &str| name.starts_with("mcp-") || OWN.contains(&name);
    let mut headers: HeaderMap = head.headers.into_iter().filter_map(|(name, value)| Some((name?, value))).collect();
    let names: Vec<_> = headers.keys().filter(|name| !passes(name.as_str())).cloned().collect();
    names.iter().for_each(|name| drop(headers.remove(name)));
    headers.insert(HOST, server.host.clone());
    let mut forwarded = Request::new(body);
    *forwarded.method_mut() = head.method;
    *forwarded.headers_mut() = headers;
    let Ok(uri) = server.path.parse() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    *forwarded.uri_mut() = uri;
    let Ok(response) = status.endpoints.clone().call(forwarded).await;
    response
}

/// The fields of the page's requests that are passed on.
const OWN: [&str; 6] =
    ["accept", "authorization", "content-length", "content-type", "transfer-encoding", "x-functions-key"];
