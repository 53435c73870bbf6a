//! The application: where it is, and the connections to it.

use super::BoxError;
use super::activity::RequestBody;
use super::limits::{CONNECT_TIME, FIELDS, HEAD, POOL_IDLE, POOL_IDLE_TIME, WAIT_TIME};
use crate::https;
use core::fmt;
use core::net::SocketAddr;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::rustls;

/// An HTTP application behind a [`Proxy`](super::Proxy).
#[derive(Clone, Debug)]
pub struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, RequestBody>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Url(Origin),
    /// A process of this program, at the address where it listens now.
    Child(watch::Receiver<Option<SocketAddr>>),
}

/// The origin of an application.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    scheme: Scheme,
    authority: Authority,
    pub(super) host: HeaderValue,
}

/// Why a text is not the URL of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidUrl(String);

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        write!(
            f,
            "{url:?} must be the URL of an application without a path, such as http://127.0.0.1:3000: requests keep their paths"
        )
    }
}

impl core::error::Error for InvalidUrl {}

/// Why an application has not answered.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// It is being started.
    Starting,
    /// No connection to it can be made.
    Unreachable(BoxError),
    /// It has closed the connection, or its answer is malformed.
    Broken(BoxError),
}

impl Upstream {
    /// The application at a URL.
    ///
    /// # Errors
    /// If the URL is not one of HTTP, or has a path.
    pub fn url(url: &str) -> Result<Self, InvalidUrl> {
        let invalid = || InvalidUrl(url.to_owned());
        let parsed: Uri = url.parse().map_err(|_| invalid())?;
        let scheme = parsed.scheme().filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS).cloned();
        let authority = parsed.authority().filter(|authority| !authority.as_str().contains('@')).cloned();
        let has_path = parsed.path() != "/" || parsed.query().is_some();
        let (Some(scheme), Some(authority), false) = (scheme, authority, has_path) else { return Err(invalid()) };
        let is_tls = scheme == Scheme::HTTPS;
        let origin = Origin::new(scheme, authority).ok_or_else(invalid)?;
        let tls = https::config(is_tls).map_err(|_| invalid())?;
        Ok(Self { client: client(tls), place: Place::Url(origin) })
    }

    /// The application that listens at the newest of these addresses. It is not there while the address is `None`.
    pub(super) fn at(addresses: watch::Receiver<Option<SocketAddr>>) -> Self {
        let tls = https::config(false).expect("settings that read nothing of the system");
        Self { client: client(tls), place: Place::Child(addresses) }
    }

    /// Whether requests can be sent at the moment.
    pub(super) fn is_up(&self) -> bool {
        match &self.place {
            Place::Url(_) => true,
            Place::Child(addresses) => addresses.borrow().is_some(),
        }
    }

    /// The origin to which the next request goes. Waits for an application that is being started.
    pub(super) async fn origin(&self) -> Result<Origin, Unanswered> {
        let mut addresses = match &self.place {
            Place::Url(origin) => return Ok(origin.clone()),
            Place::Child(addresses) => addresses.clone(),
        };
        let address = match timeout(WAIT_TIME, addresses.wait_for(Option::is_some)).await {
            Ok(Ok(address)) => *address,
            _ => None,
        };
        let authority = address.and_then(|address| Authority::try_from(address.to_string()).ok());
        authority.and_then(|authority| Origin::new(Scheme::HTTP, authority)).ok_or(Unanswered::Starting)
    }

    pub(super) async fn send(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, Unanswered> {
        self.client.request(request).await.map_err(|error| match error.is_connect() {
            true => Unanswered::Unreachable(error.into()),
            false => Unanswered::Broken(error.into()),
        })
    }
}

impl Origin {
    fn new(scheme: Scheme, authority: Authority) -> Option<Self> {
        let host = HeaderValue::from_str(authority.as_str()).ok()?;
        Some(Self { scheme, authority, host })
    }

    /// The URL of a path here.
    pub(super) fn uri(&self, path: PathAndQuery) -> Option<Uri> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).ok()
    }
}

fn client(tls: rustls::ClientConfig) -> Client<HttpsConnector<HttpConnector>, RequestBody> {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIME));
    // Without this, it refuses URLs of HTTPS.
    tcp.enforce_http(false);
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE_TIME)
        .pool_max_idle_per_host(POOL_IDLE)
        .http1_max_buf_size(HEAD)
        .http1_max_headers(FIELDS)
        .set_host(false)
        .build(connector)
}
