//! HTTP/1.1 connections: how many there are, how long they may take, and how they end.

use attache_host::limits;
use core::pin::pin;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Serves up to `room` connections at once until a signal comes; then the requests that have begun have
/// [`STOP_GRACE`](limits::STOP_GRACE) to be answered, or until a second signal.
pub(super) async fn serve(listener: TcpListener, router: axum::Router, room: usize, signals: &mut Signals) {
    let room = Arc::new(Semaphore::new(room));
    let mut connections = JoinSet::new();
    let (stop, stopping) = watch::channel(());
    loop {
        let next = async {
            // What does not fit stays in the system's queue.
            let place = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            () = signals.next() => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let serving = connection(stream, router.clone(), stopping.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
    // From here on connections are refused, and those that are open learn of the stop.
    drop((listener, stop));
    let ended = async { while connections.join_next().await.is_some() {} };
    let in_time = tokio::select! {
        in_time = timeout(limits::STOP_GRACE, ended) => in_time.is_ok(),
        () = signals.next() => false,
    };
    if !in_time {
        tracing::warn!(connections = connections.len(), "stopped; requests that were not answered yet were dropped");
    }
}

async fn connection(stream: TcpStream, router: axum::Router, mut stopping: watch::Receiver<()>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits::HEAD_TIME);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        // Nothing is ever sent: the sender is dropped.
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // The peer broke off or was too slow; whether that matters is known to him alone.
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

/// The signals that ask the program to stop: Ctrl-C, and what service managers send.
pub(super) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// From here on these signals do not end the program by themselves.
    #[cfg(unix)]
    pub(super) fn take() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// From here on these signals do not end the program by themselves.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "the same for all systems")]
    pub(super) fn take() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn connection_beyond_the_limit_waits_until_another_has_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut signals = Signals::take().unwrap();
            serve(listener, axum::Router::new(), 1, &mut signals).await;
        });
        const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let mut answer = [0; 12];
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(REQUEST).await.unwrap();
        first.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404");
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        let waits = timeout(Duration::from_millis(200), second.read_exact(&mut answer)).await;
        assert!(waits.is_err());
        drop(first);
        timeout(Duration::from_secs(10), second.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404");
        serving.abort();
    }
}
