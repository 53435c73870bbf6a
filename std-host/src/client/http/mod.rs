//! The HTTP transports: Streamable HTTP of revisions 2025-03-26 to 2026-07-28, and the transport of
//! 2024-11-05.

mod connection;
mod connections;
mod endpoint;
mod events;
mod exchange;
mod idle;
mod old;
mod response;
mod session;
mod stream;

use super::credential::{Credential, TokenRefusal};
use super::error::Error;
use super::limits::{ClientLimits, NOTIFY_TIME, REDIRECTS, TOKENS};
use super::outgoing::{Drive, Head, Outgoing, Sending};
use super::profile::OwnProfile;
use super::router::Router;
use attache_core::client::field_value;
use attache_core::era::Version;
use attache_core::json::Sink;
use bytes::Bytes;
use core::sync::atomic::{AtomicUsize, Ordering};
use endpoint::Endpoint;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::Full;
use reqwest::Url;
use response::Response;
use session::Session;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// An endpoint of a server.
#[derive(Debug)]
pub(super) struct Http {
    /// The endpoint. A redirect changes it.
    endpoint: RwLock<Arc<Endpoint>>,
    /// The endpoint for POST requests on the transport of 2024-11-05.
    post_endpoint: OnceLock<Arc<Endpoint>>,
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

/// Writes header fields of a request.
type Fill<'f> = &'f (dyn Fn(&mut HeaderMap) + Sync);

/// As many header fields as a request has, without those of the user.
const HEAD_FIELDS: usize = 8;

impl Http {
    pub(super) fn new(
        options: HttpOptions,
        router: Arc<Router>,
        responses: mpsc::Receiver<Bytes>,
        profile: Arc<OwnProfile>,
        limits: ClientLimits,
    ) -> Result<Arc<Self>, Error> {
        let url: Url = options.url.parse().map_err(|error| Error::Unreachable(format!("{}: {error}", options.url)))?;
        let is_plain = url.scheme() == "http" && !is_loopback(&url);
        let endpoint = Endpoint::new(url)?;
        let has_credential = options.credential.is_some() || endpoint.has_user();
        if has_credential && is_plain && !options.allow_plain {
            return Err(Error::PlainHttp);
        }
        let http = Arc::new_cyclic(|own| Self {
            endpoint: RwLock::new(Arc::new(endpoint)),
            post_endpoint: OnceLock::new(),
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

    /// Sends a request, and delivers everything in the response to its receiver.
    pub(super) fn start(self: &Arc<Self>, outgoing: Outgoing, drive: Drive) -> Sending {
        let http = Arc::clone(self);
        Sending::of(drive, async move {
            let id = outgoing.id;
            if let Err(error) = http.exchange(outgoing).await {
                http.router.fail(id, error);
            }
        })
    }

    /// Posts a notification or a response. Any 2xx status is success, and its body is ignored.
    pub(super) async fn notify(&self, body: Bytes) -> Result<(), Error> {
        let posted = async {
            let response = self.post(body, None).await?;
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
    /// Posts a request with its head, or a notification or a response without one.
    async fn post(&self, body: Bytes, outgoing: Option<&Head>) -> Result<Response, Error> {
        let endpoint = self.post_endpoint.get().cloned().unwrap_or_else(|| self.endpoint());
        let credential = outgoing.and_then(|head| head.credential.as_ref()).unwrap_or(&self.credential);
        let head = |head: &mut HeaderMap| {
            head.insert(header::CONTENT_TYPE, JSON);
            self.own_head(outgoing, head);
        };
        self.send_as(credential, Method::POST, endpoint, &head, body).await
    }

    async fn send(&self, method: Method, fill: Fill<'_>) -> Result<Response, Error> {
        self.send_as(&self.credential, method, self.endpoint(), fill, Bytes::new()).await
    }

    /// Whether a request waits for another token. A person may have to sign in meanwhile.
    pub(super) fn is_waiting_for_token(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Sends a request, and sends it again with another token if the server refuses the token and
    /// the source has another one.
    async fn send_as(
        &self,
        credential: &Credential,
        method: Method,
        endpoint: Arc<Endpoint>,
        fill: Fill<'_>,
        body: Bytes,
    ) -> Result<Response, Error> {
        let mut left = TOKENS;
        loop {
            let token = credential.token().await?;
            let field = credential.header(token.as_deref())?;
            let response = self.follow(&method, Arc::clone(&endpoint), fill, &body, field.as_ref()).await?;
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

    /// Sends a request once, with the header fields that `fill` writes, and follows redirects within
    /// the origin.
    async fn follow(
        &self,
        method: &Method,
        mut endpoint: Arc<Endpoint>,
        fill: Fill<'_>,
        body: &Bytes,
        credential: Option<&(HeaderName, HeaderValue)>,
    ) -> Result<Response, Error> {
        for redirects in 0..=REDIRECTS {
            let mut head = HeaderMap::with_capacity(HEAD_FIELDS + self.headers.len());
            // The fields of the credential and of the protocol replace configured ones of the same
            // name.
            head.extend(self.headers.clone());
            fill(&mut head);
            if let Some((name, value)) = credential {
                head.insert(name, value.clone());
            }
            let request = endpoint.request(method.clone(), head, Full::new(body.clone()));
            let response = endpoint.connections.exchange(endpoint.uri(), request).await?;
            if !response.status().is_redirection() || response.status().as_u16() == 304 {
                if redirects > 0 && self.post_endpoint.get().is_none() {
                    *self.endpoint.write().unwrap_or_else(PoisonError::into_inner) = endpoint;
                }
                return Ok(response);
            }
            let url = redirected(&response, endpoint.url(), method)?;
            endpoint = Arc::new(endpoint.at(url)?);
        }
        Err(Error::Redirect(format!("more than {REDIRECTS} in a row")))
    }

    fn endpoint(&self) -> Arc<Endpoint> {
        Arc::clone(&self.endpoint.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the header fields of a POST. Without `outgoing`, those of a notification or a response.
    fn own_head(&self, outgoing: Option<&Head>, head: &mut HeaderMap) {
        head.insert(header::ACCEPT, BOTH);
        let method = outgoing.map(|head| &*head.method);
        // MCP 2025-11-25 basic/lifecycle: `initialize` carries no session id and no version.
        if method == Some("initialize") || self.post_endpoint.get().is_some() {
            return;
        }
        let version = outgoing.map(|head| head.version).or_else(|| self.router.version());
        match version {
            Some(version) if version.is_modern() => {
                head.insert(PROTOCOL_VERSION, HeaderValue::from_static(version.as_str()));
                outgoing.into_iter().for_each(|outgoing| mirror(outgoing, head));
            }
            version => self.session.put(version, head),
        }
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

/// Whether requests of this revision have the version in a header, and only there.
const fn names_version(version: Version) -> bool {
    matches!(version, Version::V2025_06_18 | Version::V2025_11_25)
}
