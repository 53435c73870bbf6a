//! HTTP/1.1 connections to one origin, and the exchange of a request for a response.
//!
//! A connection has no task of its own: the future that waits for the response drives it. So an
//! exchange needs no channel and wakes no other task, and dropping it closes its connection.

use super::response::Response;
use crate::client::error::Error;
#[cfg(target_os = "linux")]
use crate::client::limits::UNACKNOWLEDGED;
use crate::client::limits::{CONNECT_TIME, IDLE_CONNECTIONS, IDLE_TIME, KEEP_ALIVE, KEEP_ALIVE_PROBES, SWEEP};
use crate::https;
use bytes::Bytes;
use core::fmt;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Waker};
use http::{Request, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tower_service::Service;

/// The connections to one origin.
pub(super) struct Connections {
    connector: HttpsConnector<HttpConnector>,
    /// The connections that no request uses. The last one was used last.
    idle: Mutex<Vec<(Box<Connection>, Instant)>>,
}

impl Connections {
    /// Makes a table without connections. `is_secure` says whether the origin uses TLS.
    ///
    /// # Errors
    /// If the root certificates of the platform cannot be read.
    pub(super) fn new(is_secure: bool) -> Result<Arc<Self>, Error> {
        let config = https::config(is_secure).map_err(Error::Unreachable)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEP_ALIVE));
        tcp.set_keepalive_interval(Some(KEEP_ALIVE));
        tcp.set_keepalive_retries(Some(KEEP_ALIVE_PROBES));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        // The time is divided among the addresses of the host.
        tcp.set_connect_timeout(Some(CONNECT_TIME));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().wrap_connector(tcp);
        let connections = Arc::new(Self { connector, idle: Mutex::default() });
        tokio::spawn(sweep(Arc::downgrade(&connections)));
        Ok(connections)
    }

    /// Sends a request to the origin of `uri`, and waits for the head of the response. A request
    /// that an idle connection did not take is sent on another connection.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        uri: &Uri,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response, Error> {
        loop {
            let (mut connection, is_new) = match self.take() {
                Some(connection) => (connection, false),
                None => (Box::pin(self.connect(uri)).await?, true),
            };
            let mut failure = match connection.exchange(request).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    return Ok(Response::new(head, body, connection, Arc::clone(self)));
                }
                Err(failure) => failure,
            };
            // A request that is given back was not written.
            match failure.take_message() {
                Some(unsent) if !is_new => request = unsent,
                unsent => {
                    let causes = https::causes(&failure.into_error());
                    return Err(if unsent.is_some() { Error::Unreachable(causes) } else { Error::Lost(causes) });
                }
            }
        }
    }

    async fn connect(&self, uri: &Uri) -> Result<Box<Connection>, Error> {
        let connecting = self.connector.clone().call(uri.clone());
        let io = match timeout(CONNECT_TIME, connecting).await {
            Ok(Ok(io)) => io,
            Ok(Err(error)) => return Err(Error::Unreachable(https::causes(&*error))),
            Err(_) => return Err(Error::Unreachable(format!("no connection within {} s", CONNECT_TIME.as_secs()))),
        };
        let unreachable = |error: hyper::Error| Error::Unreachable(https::causes(&error));
        let (sender, driver) = http1::handshake(io).await.map_err(unreachable)?;
        Ok(Box::new(Connection { sender, driver, has_ended: false }))
    }

    /// Takes the connection that was used last and is still open.
    fn take(&self) -> Option<Box<Connection>> {
        let mut idle = self.lock();
        while let Some((mut connection, _)) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, connection: Box<Connection>) {
        let mut idle = self.lock();
        if !connection.has_ended && idle.len() < IDLE_CONNECTIONS {
            idle.push((connection, Instant::now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Box<Connection>, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that are idle for too long or that the server has closed.
async fn sweep(connections: Weak<Connections>) {
    loop {
        sleep(SWEEP).await;
        let Some(connections) = connections.upgrade() else { return };
        connections.lock().retain_mut(|(connection, since)| since.elapsed() < IDLE_TIME && connection.is_ready());
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("idle", &self.lock().len()).finish_non_exhaustive()
    }
}

/// One connection.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<MaybeHttpsStream<TokioIo<TcpStream>>, Full<Bytes>>,
    /// Whether the driver has ended and must not be polled again.
    has_ended: bool,
}

/// A request without a response.
type Failure = hyper::client::conn::TrySendError<Request<Full<Bytes>>>;

impl Connection {
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<http::Response<Incoming>, Failure> {
        let mut answered = pin!(self.sender.try_send_request(request));
        poll_fn(|context| {
            if !self.has_ended {
                self.has_ended = Pin::new(&mut self.driver).poll(context).is_ready();
            }
            answered.as_mut().poll(context)
        })
        .await
    }

    /// Reads and writes what the socket is ready for.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        // An error also arrives at the request or the body that is in progress.
        if !self.has_ended {
            self.has_ended = Pin::new(&mut self.driver).poll(context).is_ready();
        }
    }

    /// Whether an idle connection can take a request: the server has not closed it.
    fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.has_ended && self.sender.is_ready()
    }
}
