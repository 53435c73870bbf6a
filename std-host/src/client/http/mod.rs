//! The HTTP transports: Streamable HTTP of revisions 2025-03-26 to 2026-07-28, and the transport of
//! 2024-11-05.

mod credential;
mod events;
mod exchange;
mod old;
mod session;
mod stream;

pub use credential::{Credential, TokenFuture, TokenRefusal, TokenSource};

use super::error::Error;
use super::limits::{CONNECT_TIME, ClientLimits, NOTIFY_TIME, REDIRECTS, TOKENS};
use super::outgoing::{Head, Outgoing, Sending};
use super::profile::OwnProfile;
use super::router::Router;
use crate::https;
use attache_core::client::field_value;
use attache_core::era::Version;
use attache_core::json::Sink;
use bytes::Bytes;
use core::sync::atomic::{AtomicUsize, Ordering};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::{Response, Url};
use session::Session;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// An endpoint of a server.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    /// The URL of the endpoint. A redirect changes it.
    url: RwLock<Url>,
    /// The URL for POST requests on the transport of 2024-11-05.
    post_url: OnceLock<Url>,
    headers: HeaderMap,
    credential: Credential,
    router: Arc<Router>,
    profile: Arc<OwnProfile>,
    limits: ClientLimits,
    session: Session,
    /// The requests that wait for another token.
    waiting: AtomicUsize,
    tasks: Mutex<Vec<AbortHandle>>,
    own: Weak<Self>,
}

/// The options for an endpoint.
#[derive(Clone, Debug)]
pub(super) struct HttpOptions {
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) credential: Credential,
    pub(super) allow_plain: bool,
}

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

impl Http {
    pub(super) fn new(
        options: HttpOptions,
        router: Arc<Router>,
        responses: mpsc::Receiver<Bytes>,
        profile: Arc<OwnProfile>,
        limits: ClientLimits,
    ) -> Result<Arc<Self>, Error> {
        let url: Url = options.url.parse().map_err(|error| Error::Unreachable(format!("{}: {error}", options.url)))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Error::Unreachable(format!("{url}: the URL must begin with http:// or https://")));
        }
        if options.credential.is_some() && url.scheme() == "http" && !is_loopback(&url) && !options.allow_plain {
            return Err(Error::PlainHttp);
        }
        let client = https::builder(url.scheme() == "https")
            .and_then(|builder| builder.connect_timeout(CONNECT_TIME).build().map_err(|error| error.to_string()))
            .map_err(Error::Unreachable)?;
        let http = Arc::new_cyclic(|own| Self {
            client,
            url: RwLock::new(url),
            post_url: OnceLock::new(),
            headers: options.headers,
            credential: options.credential,
            router,
            profile,
            limits,
            session: Session::default(),
            waiting: AtomicUsize::new(0),
            tasks: Mutex::default(),
            own: Weak::clone(own),
        });
        http.keep(tokio::spawn(respond(Arc::downgrade(&http), responses)).abort_handle());
        Ok(http)
    }

    /// Whether requests carry a credential.
    pub(super) fn has_credential(&self) -> bool {
        self.credential.is_some() || self.headers.contains_key(header::AUTHORIZATION)
    }

    pub(super) fn start(self: &Arc<Self>, outgoing: Outgoing) -> Sending {
        let http = Arc::clone(self);
        let task = tokio::spawn(async move {
            let id = outgoing.id;
            if let Err(error) = http.exchange(outgoing).await {
                http.router.fail(id, error);
            }
        });
        Sending::task(task.abort_handle())
    }

    /// Posts a notification or a response. Any 2xx status is success, and its body is ignored.
    pub(super) async fn notify(&self, body: Bytes) -> Result<(), Error> {
        let posted = async {
            let response = self.post(body, &self.own_head(None), None).await?;
            match response.status().is_success() {
                true => Ok(()),
                false => Err(exchange::refusal(response).await),
            }
        };
        let posted = timeout(NOTIFY_TIME, posted).await.unwrap_or(Err(Error::Timeout(NOTIFY_TIME)));
        if let Err(error) = &posted {
            tracing::debug!(%error, "a notification was not taken");
        }
        posted
    }

    /// Posts a message. Follows redirects within the origin.
    async fn post(&self, body: Bytes, head: &HeaderMap, credential: Option<&Credential>) -> Result<Response, Error> {
        let url = self.post_url.get().cloned().unwrap_or_else(|| self.url());
        self.send_as(credential.unwrap_or(&self.credential), Method::POST, url, head, Some(body)).await
    }

    async fn send(&self, method: Method, url: Url, head: &HeaderMap, body: Option<Bytes>) -> Result<Response, Error> {
        self.send_as(&self.credential, method, url, head, body).await
    }

    /// Whether a request waits for another token. A person may have to sign in meanwhile.
    pub(super) fn is_waiting_for_token(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Sends a request, and sends it again with another token if the server refuses the token and the source has another one.
    async fn send_as(
        &self,
        credential: &Credential,
        method: Method,
        url: Url,
        head: &HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, Error> {
        let mut left = TOKENS;
        loop {
            let token = credential.token().await?;
            let field = credential.header(token.as_deref())?;
            let response = self.follow(&method, url.clone(), head, body.as_ref(), field.as_ref()).await?;
            let status = response.status().as_u16();
            if left == 0 || !matches!(status, 401 | 403) {
                return Ok(response);
            }
            left -= 1;
            let refusal = TokenRefusal { status, challenge: exchange::challenge(&response).unwrap_or_default(), token };
            let waiting = Waiting::of(&self.waiting);
            let is_renewed = credential.renewed(&refusal).await?;
            drop(waiting);
            if !is_renewed {
                return Ok(response);
            }
        }
    }

    /// Sends a request once, and follows redirects.
    async fn follow(
        &self,
        method: &Method,
        url: Url,
        head: &HeaderMap,
        body: Option<&Bytes>,
        credential: Option<&(HeaderName, HeaderValue)>,
    ) -> Result<Response, Error> {
        let mut url = url;
        let first = url.clone();
        for _ in 0..=REDIRECTS {
            // The fields of the credential and of the protocol replace configured ones of the same name.
            let mut headers = self.headers.clone();
            headers.extend(head.clone());
            if let Some((name, value)) = credential {
                headers.insert(name, value.clone());
            }
            let mut request = self.client.request(method.clone(), url.clone()).headers(headers);
            if let Some(body) = body {
                request = request.header(header::CONTENT_TYPE, JSON).body(body.clone());
            }
            let response = request.send().await.map_err(|error| failed(&error))?;
            if !response.status().is_redirection() || response.status().as_u16() == 304 {
                if url != first && self.post_url.get().is_none() {
                    *self.url.write().unwrap_or_else(PoisonError::into_inner) = url;
                }
                return Ok(response);
            }
            url = redirected(&response, &url, method)?;
        }
        Err(Error::Redirect(format!("more than {REDIRECTS} in a row")))
    }

    fn url(&self) -> Url {
        self.url.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The header fields of a POST. Without `outgoing`, those of a notification or a response.
    fn own_head(&self, outgoing: Option<&Head>) -> HeaderMap {
        let mut head = HeaderMap::new();
        head.insert(header::ACCEPT, BOTH);
        let method = outgoing.map(|head| head.method.as_str());
        // MCP 2025-11-25 basic/lifecycle: `initialize` carries no session id and no version.
        if method == Some("initialize") || self.post_url.get().is_some() {
            return head;
        }
        let version = outgoing.map(|head| head.version).or_else(|| self.router.version());
        match version {
            Some(version) if version.is_modern() => {
                head.insert(PROTOCOL_VERSION, HeaderValue::from_static(version.as_str()));
                outgoing.into_iter().for_each(|outgoing| mirror(outgoing, &mut head));
            }
            version => self.session.put(version, &mut head),
        }
        head
    }

    /// Registers a task that ends when this value is dropped.
    fn keep(&self, task: AbortHandle) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }
}

/// Counts a request while it waits for another token.
struct Waiting<'w>(&'w AtomicUsize);

impl<'w> Waiting<'w> {
    fn of(waiting: &'w AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).iter().for_each(AbortHandle::abort);
    }
}

// MCP 2026-07-28 streamable-http, "Standard headers".
fn mirror(outgoing: &Head, head: &mut HeaderMap) {
    if let Ok(method) = HeaderValue::from_str(&outgoing.method) {
        head.insert(METHOD, method);
    }
    if let Some(name) = outgoing.name.as_deref().and_then(header_value) {
        head.insert(NAME, name);
    }
    for (name, value) in &outgoing.mirrored {
        head.insert(name, value.clone());
    }
}

/// Encodes a text as the value of a header field.
pub(super) fn header_value(text: &str) -> Option<HeaderValue> {
    let mut out = crate::sink::Growing::unlimited();
    field_value(text, &mut out).ok()?;
    debug_assert_eq!(out.len(), out.bytes.len());
    HeaderValue::from_bytes(&out.bytes).ok()
}

/// Posts the responses to requests of the server.
async fn respond(http: Weak<Http>, mut responses: mpsc::Receiver<Bytes>) {
    while let Some(response) = responses.recv().await {
        let Some(http) = http.upgrade() else { break };
        let _ = http.notify(response).await;
    }
}

/// Returns the target of a redirect that is followed: to the same origin, or from http to https of
/// the same host. Statuses that change a POST into a GET are not followed, because method and body
/// must stay the same.
fn redirected(response: &Response, from: &Url, method: &Method) -> Result<Url, Error> {
    let status = response.status().as_u16();
    let keeps_method = matches!(status, 307 | 308) || *method == Method::GET;
    if !keeps_method {
        return Err(Error::Redirect(format!("status {status} turns a POST into a GET")));
    }
    let place = response.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
    let to = place.and_then(|place| from.join(place).ok());
    let to = to.ok_or_else(|| Error::Redirect("it names no place".to_owned()))?;
    let is_upgrade = from.scheme() == "http"
        && to.scheme() == "https"
        && from.host() == to.host()
        && from.port().is_none()
        && to.port().is_none();
    match to.origin() == from.origin() || is_upgrade {
        true => Ok(to),
        false => Err(Error::Redirect(format!("it leads to another origin, {}", to.origin().ascii_serialization()))),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<core::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Translates an error of the HTTP library. It distinguishes whether the request may have been
/// sent.
fn failed(error: &reqwest::Error) -> Error {
    let causes = https::causes(error);
    if error.is_connect() || error.is_builder() { Error::Unreachable(causes) } else { Error::Lost(causes) }
}

/// Whether requests of this revision have the version in a header, and only there.
const fn names_version(version: Version) -> bool {
    matches!(version, Version::V2025_06_18 | Version::V2025_11_25)
}
