//! Serving a router: the listener, TLS, timeouts, limits and a graceful stop.
//!
//! [`serve`] does for an axum router what the program `attache` does for its servers. It enforces
//! the limits of connections in [`Limits`]: their number, the timeout of a request head, idle
//! connections, and clients that stop reading a response. It refuses messages that two parsers
//! could end at different places (request smuggling, RFC 9112 §11.2), and it speaks HTTP/1.1 and
//! HTTP/2 on one port.
//!
//! ```no_run
//! use attache_host::serve::{Listener, serve};
//! use attache_host::{Ctx, NoArgs, Server};
//!
//! # async fn run() -> std::io::Result<()> {
//! let server = Server::new("greeter", "1").tool("greet", "Say hello", |_: NoArgs, _: Ctx| async { "hello" });
//! let listener = Listener::tcp("127.0.0.1:8080".parse().expect("an address")).await?;
//! let interrupt = async {
//!     let _ = tokio::signal::ctrl_c().await;
//! };
//! serve(listener, server.routes()).stop(interrupt).await;
//! # Ok(())
//! # }
//! ```

/// Implements `AsyncWrite` for a stream that only looks at the bytes it reads: writes go to its field `inner`.
macro_rules! pass_writes {
    ($stream:ident) => {
        impl<S: tokio::io::AsyncWrite + Unpin> tokio::io::AsyncWrite for $stream<S> {
            fn poll_write(
                mut self: core::pin::Pin<&mut Self>,
                context: &mut core::task::Context<'_>,
                bytes: &[u8],
            ) -> core::task::Poll<std::io::Result<usize>> {
                core::pin::Pin::new(&mut self.inner).poll_write(context, bytes)
            }

            fn poll_write_vectored(
                mut self: core::pin::Pin<&mut Self>,
                context: &mut core::task::Context<'_>,
                pieces: &[std::io::IoSlice<'_>],
            ) -> core::task::Poll<std::io::Result<usize>> {
                core::pin::Pin::new(&mut self.inner).poll_write_vectored(context, pieces)
            }

            fn is_write_vectored(&self) -> bool {
                self.inner.is_write_vectored()
            }

            fn poll_flush(
                mut self: core::pin::Pin<&mut Self>,
                context: &mut core::task::Context<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                core::pin::Pin::new(&mut self.inner).poll_flush(context)
            }

            fn poll_shutdown(
                mut self: core::pin::Pin<&mut Self>,
                context: &mut core::task::Context<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                core::pin::Pin::new(&mut self.inner).poll_shutdown(context)
            }
        }
    };
}

mod body;
mod connection;
mod connections;
mod frames;
mod head_guard;
mod health;
mod key_administration;
mod listener;
mod metrics;
mod preface;
mod proxies;
mod socket;
mod switch;
#[cfg(test)]
mod tests;
mod timers;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;

pub use health::Ready;
pub use key_administration::key_administration;
pub use listener::Listener;
pub use metrics::Metrics;
pub use proxies::Proxies;
pub use switch::Tunnel;
#[cfg(feature = "tls")]
pub use tls::{Certificate, TlsFiles};

use crate::{Budget, Limits, limits};
use axum::body::Body;
use connections::{Connections, Entry};
use core::fmt;
use core::net::IpAddr;
use core::pin::Pin;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Response, StatusCode, Version};
use listener::Stream;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Serves `router` on `listener` when the result is awaited, until the future of
/// [`stop`](Serve::stop) is ready.
pub fn serve(listener: Listener, router: axum::Router) -> Serve {
    Serve {
        listener,
        router,
        limits: Arc::default(),
        budget: None,
        tls: None,
        proxies: Proxies::default(),
        metrics: Arc::default(),
        stop: Box::pin(core::future::pending()),
        on_stop: Box::new(|| ()),
    }
}

/// What [`serve`] returns: await it to serve. Dropping it drops all connections at once.
#[must_use = "nothing is served until it is awaited"]
pub struct Serve {
    listener: Listener,
    router: axum::Router,
    limits: Arc<Limits>,
    budget: Option<Budget>,
    tls: Option<tls::Certificate>,
    proxies: Proxies,
    metrics: Arc<Metrics>,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    on_stop: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("listener", &self.listener).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Serve {
    /// Sets the limits of connections; by default those of [`Limits::default`].
    pub fn limits(self, limits: impl Into<Arc<Limits>>) -> Self {
        Self { limits: limits.into(), ..self }
    }

    /// Has connections draw their memory from `budget`, together with the servers that were given the same one; by default they
    /// have a budget of their own.
    pub fn budget(self, budget: Budget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// Serves over TLS with this certificate; by default without TLS.
    #[cfg(feature = "tls")]
    pub fn tls(self, certificate: impl Into<Option<Certificate>>) -> Self {
        Self { tls: certificate.into(), ..self }
    }

    /// Trusts the addresses that these proxies report for their clients (`X-Forwarded-For`); by
    /// default no proxy is trusted.
    pub fn proxies(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// Counts connections and requests in `metrics`.
    pub fn metrics(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    /// Stops gracefully when `stop` completes: no connection is accepted any more, and the requests that are open have
    /// [`stop_grace`](Limits::stop_grace) to end. By default it serves for ever.
    pub fn stop(self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { stop: Box::pin(stop), ..self }
    }

    /// Runs `on_stop` once no connection is accepted any more: the place to end subscriptions
    /// ([`Changes::end_subscriptions`](crate::Changes::end_subscriptions)), which would otherwise last as long as the grace.
    pub fn on_stop(self, on_stop: impl FnOnce() + Send + 'static) -> Self {
        Self { on_stop: Box::new(on_stop), ..self }
    }

    async fn run(self) {
        let Self { listener, router, limits, budget, tls, proxies, metrics, mut stop, on_stop } = self;
        let budget = budget.unwrap_or_else(|| Budget::new(&limits));
        let connections = Connections::new(&limits);
        let proxies = Arc::new(proxies);
        let stop_grace = limits.stop_grace;
        let serving = Arc::new(Serving { router, limits, tls, metrics, proxies, budget, connections });
        if let Err(error) = listener.bound_buffers() {
            tracing::warn!(%error, "slow readers may be cut early: the send buffer of connections is as the system has it");
        }
        let mut connections = JoinSet::new();
        let (end, ending) = watch::channel(());
        loop {
            // While all connections in the full table are in use, further ones wait in the system's
            // accept queue.
            let admitted = tokio::select! {
                admitted = serving.admitted(&listener) => admitted,
                () = &mut stop => break,
            };
            while connections.try_join_next().is_some() {}
            if let Some((stream, peer, entry)) = admitted {
                let kept = (entry, serving.metrics.connected());
                connections.spawn(Arc::clone(&serving).connection(stream, peer, ending.clone(), kept));
            }
        }
        tracing::info!("stopping");
        // The listener is closed here, and open connections are told to stop.
        drop((listener, end));
        on_stop();
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(stop_grace, ended).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "stopped; requests that were not answered yet were dropped"
            );
        }
    }
}

impl IntoFuture for Serve {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The state that all connections share.
#[derive(Debug)]
struct Serving {
    router: axum::Router,
    limits: Arc<Limits>,
    tls: Option<tls::Certificate>,
    metrics: Arc<Metrics>,
    proxies: Arc<Proxies>,
    budget: Budget,
    connections: Connections,
}

impl Serving {
    /// Accepts the next connection, and enters it in the table; `None` if that failed, or its caller has too many.
    async fn admitted(&self, listener: &Listener) -> Option<(Box<dyn Stream>, Option<IpAddr>, Entry)> {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let account = self.proxies.account(peer);
                let entry = self.connections.admit(account, &self.limits).await;
                if entry.is_none() {
                    tracing::debug!(?peer, "a connection was closed: its caller has too many that are in use");
                }
                entry.map(|entry| (stream, peer, entry))
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(limits::ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

/// Answers 404 on a path that is not served; a fallback for routers. A hidden endpoint
/// ([`Unauthenticated::NotFound`](crate::auth::Unauthenticated::NotFound)) answers in the same way.
pub async fn not_found(version: Version) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    // The request body is not read, so an HTTP/1 connection must close.
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}
