//! HTTP/1.1 connections to one origin, and the exchange of a request for a response.
//!
//! A connection has no task of its own: the future that waits for the response drives it. So an
//! exchange needs no channel and wakes no other task, and dropping it closes its connection.

use super::connection::Connection;
use super::idle::Idle;
use super::response::Response;
use crate::client::error::Error;
#[cfg(target_os = "linux")]
use crate::client::limits::UNACKNOWLEDGED;
use crate::client::limits::{CONNECT_TIME, KEEP_ALIVE, KEEP_ALIVE_PROBES};
use crate::https;
use bytes::Bytes;
use core::fmt;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use std::sync::Arc;
use tokio::time::timeout;
use tower_service::Service;

/// The connections to one origin.
pub(super) struct Connections {
    connector: HttpsConnector<HttpConnector>,
    idle: Arc<Idle>,
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
        Ok(Arc::new(Self { connector, idle: Idle::new() }))
    }

    /// Sends a request to the origin of `uri`, and waits for the head of the response. A request
    /// that an idle connection did not take is sent on another connection.
    pub(super) async fn exchange(&self, uri: &Uri, mut request: Request<Full<Bytes>>) -> Result<Response, Error> {
        loop {
            let (mut connection, is_new) = match self.idle.take() {
                Some(connection) => (connection, false),
                None => (Box::pin(self.connect(uri)).await?, true),
            };
            let mut failure = match connection.exchange(request).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    return Ok(Response::new(head, body, connection, Arc::clone(&self.idle)));
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
        Ok(Box::new(Connection::begin(io).await.map_err(unreachable)?))
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("idle", &self.idle.len()).finish_non_exhaustive()
    }
}
