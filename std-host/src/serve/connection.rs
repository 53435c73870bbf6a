//! One connection: TLS, the version of HTTP, the timers, and the router behind them.

use super::Serving;
use super::body::{Exchange, TimedBody};
use super::connections::Entry;
use super::head_guard::HeadGuard;
use super::listener::Stream;
use super::metrics::Metrics;
use super::preface::Peeked;
use super::proxies::Proxies;
use super::socket::Socket;
use super::switch::Tunnel;
use super::timers::{ConnectionTimers, Cut};
use super::tls::Certificate;
use crate::http::OverTls;
use crate::limits;
use axum::body::Body;
use core::net::IpAddr;
use core::pin::{Pin, pin};
use http::header::CONNECTION;
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tower_service::Service;

impl Serving {
    /// Serves one connection to its end, then drops `kept`. Each idle connection costs the size of
    /// this future, and a value that is passed to another future is stored in both.
    pub(super) async fn connection<K>(
        self: Arc<Self>,
        stream: Box<dyn Stream>,
        peer: Option<IpAddr>,
        stopping: watch::Receiver<()>,
        kept: (Entry, K),
    ) {
        let timers = Arc::clone(kept.0.timers());
        let socket = Socket::new(stream, Arc::clone(&timers));
        match &self.tls {
            None => self.requests(socket, timers, peer, stopping).await,
            // Boxed, so that a plain connection is not as large as one with TLS.
            Some(tls) => {
                let socket = socket.below_tls(self.budget.clone(), self.proxies.account(peer));
                Box::pin(self.encrypted(tls, socket, timers, peer, stopping)).await
            }
        }
        drop(kept);
    }

    async fn encrypted(
        &self,
        tls: &Certificate,
        socket: Socket<Box<dyn Stream>>,
        timers: Arc<ConnectionTimers>,
        peer: Option<IpAddr>,
        stopping: watch::Receiver<()>,
    ) {
        let accepted = tokio::select! {
            accepted = timeout(self.limits.head_time, tls.accept(socket)) => accepted,
            () = timers.is_to_give_way() => return,
        };
        match accepted {
            Ok(Ok(stream)) => self.requests(stream, timers, peer, stopping).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn requests(
        &self,
        stream: impl Stream + 'static,
        timers: Arc<ConnectionTimers>,
        peer: Option<IpAddr>,
        mut stopping: watch::Receiver<()>,
    ) {
        let begun = tokio::select! {
            begun = timeout(self.limits.head_time, Peeked::of(stream)) => begun,
            // The client has not sent a request yet.
            _ = stopping.changed() => return,
            () = timers.is_to_give_way() => return,
        };
        let (stream, is_http2) = match begun {
            Ok(Ok(begun)) => begun,
            Ok(Err(error)) => return tracing::debug!(%error, "a connection ended"),
            Err(_) => return tracing::debug!(cut = ?Cut::Head, "a connection was cut"),
        };
        let permit = match self.budget.reserve(self.proxies.account(peer), 0) {
            Ok(permit) => permit,
            Err(short) => return tracing::debug!(?short, "a connection was cut"),
        };
        let stream = TokioIo::new(HeadGuard::new(stream, Arc::clone(&timers), permit, is_http2));
        let (router, metrics) = (self.router.clone(), Arc::clone(&self.metrics));
        let (timers_of_service, proxies) = (Arc::clone(&timers), Arc::clone(&self.proxies));
        let service =
            TimedService { router, timers: timers_of_service, peer, is_tls: self.tls.is_some(), metrics, proxies };
        match is_http2 {
            false => {
                let connection = self.http1().serve_connection(stream, service).with_upgrades();
                watched(pin!(connection), &timers, stopping.clone()).await;
                if let Some(tunnel) = timers.tunnel() {
                    tokio::select! {
                        () = tunnel => {}
                        // A tunnel does not end by itself, and HTTP cannot tell its ends to stop.
                        _ = stopping.changed() => {}
                    }
                }
            }
            // Boxed, so that HTTP/1 connections are not as large as HTTP/2 connections.
            true => watched(Box::pin(self.http2().serve_connection(stream, service)).as_mut(), &timers, stopping).await,
        }
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // HeadGuard have their time from the first byte on, see `ConnectionTimers`.
            .header_read_timeout(None)
            .max_buf_size(self.limits.head)
            .max_headers(self.limits.fields);
        builder
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(u32::try_from(self.limits.multiplexed).unwrap_or(u32::MAX))
            .max_header_list_size(u32::try_from(self.limits.head).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(limits::SEND_AHEAD)
            .max_pending_accept_reset_streams(limits::RESETS);
        builder
    }
}

/// Drives a connection until it ends, or a timer cuts it.
async fn watched<C: Connection>(
    mut connection: Pin<&mut C>,
    timers: &ConnectionTimers,
    mut stopping: watch::Receiver<()>,
) {
    let mut stops = false;
    let mut looks = pin!(sleep_until(timers.look().unwrap_or_else(|_| Instant::now())));
    let served = loop {
        tokio::select! {
            served = connection.as_mut() => break served,
            // Nothing is ever sent on this channel: the sender is dropped.
            _ = stopping.changed(), if !stops => {
                stops = true;
                connection.as_mut().end();
            }
            () = timers.is_to_give_way() => return leave(connection).await,
            () = looks.as_mut() => match timers.look() {
                Ok(next) => looks.as_mut().reset(next),
                Err(Cut::Idle) => return leave(connection).await,
                Err(cut) => return tracing::debug!(?cut, "a connection was cut"),
            },
        }
    };
    // The peer closed the connection or was too slow. Only the peer knows whether that is a fault.
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Closes an idle connection. HTTP/2 sends a GOAWAY frame, for which it gets only a short time.
async fn leave<C: Connection>(mut connection: Pin<&mut C>) {
    connection.as_mut().end();
    let _ = timeout(limits::LINGER, connection).await;
}

/// Flow-control windows are 32-bit numbers.
const STREAM_WINDOW: u32 = limits::STREAM_WINDOW as u32;

/// Several bodies may arrive at once, and each of them is bounded by its own window.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// A connection of hyper, HTTP/1 or HTTP/2.
trait Connection: Future<Output = hyper::Result<()>> {
    /// Answers the requests in progress, then closes the connection.
    fn end(self: Pin<&mut Self>);
}

/// The byte stream that hyper reads.
type Io<S> = TokioIo<HeadGuard<Peeked<S>>>;

impl<S: Stream + 'static> Connection for http1::UpgradeableConnection<Io<S>, TimedService> {
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S: Stream + 'static> Connection for http2::Connection<Io<S>, TimedService, TokioExecutor> {
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// The router, and the timers of one connection.
#[derive(Clone, Debug)]
struct TimedService {
    router: axum::Router,
    timers: Arc<ConnectionTimers>,
    peer: Option<IpAddr>,
    is_tls: bool,
    metrics: Arc<Metrics>,
    proxies: Arc<Proxies>,
}

impl hyper::service::Service<Request<Incoming>> for TimedService {
    type Response = Response<TimedBody>;
    type Error = core::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let multiplexed = request.version() == Version::HTTP_2;
        let open = self.timers.begin(multiplexed);
        self.proxies.introduce(self.peer, &mut request);
        if self.is_tls {
            request.extensions_mut().insert(OverTls);
        }
        let (begun, metrics) = (Instant::now(), Arc::clone(&self.metrics));
        let mut router = self.router.clone();
        Box::pin(async move {
            let mut response = router.call(request.map(Body::new)).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                open.switch(response.extensions_mut().remove::<Tunnel>().and_then(|tunnel| tunnel.take()));
            } else if response.headers().contains_key(CONNECTION) {
                open.timers().leave_unread();
            }
            // With HTTP/1, the socket itself notices when the peer takes nothing.
            let number = multiplexed.then(|| open.timers().answer());
            let exchange = Exchange::new(response.status(), begun, metrics);
            Ok(response.map(|body| TimedBody::new(body, open, number, exchange)))
        })
    }
}
