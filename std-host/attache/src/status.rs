//! The status page for people who operate the program: backends, live exchanges, totals, latencies, callers,
//! and forms to call tools, get prompts and read resources. It is for people at this machine. A call from the
//! page needs the same credentials as any other call.

mod latencies;
mod recent;
mod record;
mod state;

use super::backends::Fleet;
use super::config::ServerConfig;
use super::last_reload::LastReload;
use super::secret_filter::SecretFilter;
use attache_host::serve::Metrics;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use core::convert::Infallible;
use core::time::Duration;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use http_body::Frame;
use http_body_util::StreamBody;
pub(super) use recent::Recent;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};
use tower_service::Service;

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
    pub(super) fleet: Fleet,
    pub(super) last_reload: LastReload,
    pub(super) filter: SecretFilter,
    pub(super) metrics: Arc<Metrics>,
}

impl Status {
    pub(super) fn routes(self) -> Router {
        let asset = |kind: &'static str, text: &'static str| get(move || async move { ([(CONTENT_TYPE, kind)], text) });
        Router::new()
            .route("/", asset("text/html; charset=utf-8", include_str!("status/page.html")))
            .route("/page.css", asset("text/css; charset=utf-8", include_str!("status/page.css")))
            .route("/page.js", asset("text/javascript; charset=utf-8", include_str!("status/page.js")))
            .route("/form.js", asset("text/javascript; charset=utf-8", include_str!("status/form.js")))
            .route("/servers", get(servers))
            .route("/state", get(|State(status): State<Arc<Self>>| async move { json_of(&status.state()) }))
            .route("/events", get(events))
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

/// The Content-Security-Policy: the page may only run its own script, call this server, and show images of results.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

async fn servers(State(status): State<Arc<Status>>) -> Response {
    let servers: Vec<&Value> = status.servers.iter().map(|server| &server.words).collect();
    json_of(&json!({ "version": env!("CARGO_PKG_VERSION"), "servers": servers }))
}

fn json_of(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// The interval at which an open page gets the state.
const EVERY: Duration = Duration::from_secs(1);

/// Streams the last exchanges and all later ones as server-sent events, and the state at intervals.
async fn events(State(status): State<Arc<Status>>) -> Response {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let (last, mut next) = status.recent.listen();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = last.into_iter();
        loop {
            let event = match last.next() {
                Some(record) => format!("data: {}\n\n", record.print(&status.filter)),
                None => tokio::select! {
                    record = next.recv() => match record {
                        Ok(record) => format!("data: {}\n\n", record.print(&status.filter)),
                        Err(RecvError::Lagged(missed)) => format!("event: missed\ndata: {missed}\n\n"),
                        Err(RecvError::Closed) => break,
                    },
                    _ = ticks.tick() => format!("event: state\ndata: {}\n\n", status.state()),
                    // The page was closed.
                    () = sender.closed() => break,
                },
            };
            if sender.send(event.into()).await.is_err() {
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
