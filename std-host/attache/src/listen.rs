//! Connections: how many there are, how long they may take, and how they end.

use super::connections::{Connections, Entry};
use super::heads::Heads;
use super::listener::{Listener, Stream};
use super::metrics::Metrics;
use super::pace::{Cut, Open, Pace};
use super::preface::Begun;
use super::proxies::Proxies;
use super::socket::Socket;
use super::system::Signals;
use super::tls::Certificate;
use attache_host::http::OverTls;
use attache_host::{Budget, Limits, limits};
use axum::body::Body;
use bytes::Bytes;
use core::net::IpAddr;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower_service::Service;

/// What all connections have in common.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) router: axum::Router,
    pub(super) limits: Arc<Limits>,
    pub(super) tls: Option<Certificate>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) proxies: Arc<Proxies>,
    pub(super) budget: Budget,
    pub(super) connections: Connections,
}

/// Serves connections until a signal comes and `stopped` has been told; then the requests that have begun have
/// [`stop_grace`](Limits::stop_grace) to be answered, or until a second signal.
pub(super) async fn serve(listener: Listener, serving: Arc<Serving>, signals: &mut Signals, stopped: impl FnOnce()) {
    if let Err(error) = listener.bound_buffers() {
        tracing::warn!(%error, "slow readers may be cut early: the send buffer of connections is as the system has it");
    }
    let limits = Arc::clone(&serving.limits);
    let mut connections = JoinSet::new();
    let (stop, stopping) = watch::channel(());
    loop {
        // While the table is full and all connections in it are in use, further ones stay in the system's queue.
        let admitted = tokio::select! {
            admitted = serving.admitted(&listener) => admitted,
            () = signals.next() => break,
        };
        while connections.try_join_next().is_some() {}
        if let Some((stream, peer, entry)) = admitted {
            let kept = (entry, serving.metrics.connected());
            connections.spawn(Arc::clone(&serving).connection(stream, peer, stopping.clone(), kept));
        }
    }
    tracing::info!("stopping");
    // From here on connections are refused, and those that are open learn of the stop.
    drop((listener, stop));
    stopped();
    let ended = async { while connections.join_next().await.is_some() {} };
    let in_time = tokio::select! {
        in_time = timeout(limits.stop_grace, ended) => in_time.is_ok(),
        () = signals.next() => false,
    };
    if !in_time {
        tracing::warn!(connections = connections.len(), "stopped; requests that were not answered yet were dropped");
    }
}

impl Serving {
    /// Serves what an operator reads, beside the rest and until the program ends.
    pub(super) async fn aside(self: Arc<Self>, listener: Listener) {
        let (_stop, stopping) = watch::channel(());
        loop {
            if let Some((stream, peer, entry)) = self.admitted(&listener).await {
                tokio::spawn(Arc::clone(&self).connection(stream, peer, stopping.clone(), (entry, ())));
            }
        }
    }

    /// The next connection, and its entry in the table; nothing if it was not accepted, or its caller has too many.
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

    /// Serves one connection to its end, and drops then what is `kept` for it. What this future holds, each idle connection costs: what is
    /// handed to another one stands in it twice.
    async fn connection<K>(
        self: Arc<Self>,
        stream: Box<dyn Stream>,
        peer: Option<IpAddr>,
        stopping: watch::Receiver<()>,
        kept: (Entry, K),
    ) {
        let pace = Arc::clone(kept.0.pace());
        let socket = Socket::new(stream, Arc::clone(&pace));
        match &self.tls {
            None => self.requests(socket, pace, peer, stopping).await,
            // In a box: a plain connection must not be as large as one with TLS.
            Some(tls) => {
                let socket = socket.below_tls(self.budget.clone(), self.proxies.account(peer));
                Box::pin(self.encrypted(tls, socket, pace, peer, stopping)).await
            }
        }
        drop(kept);
    }

    async fn encrypted(
        &self,
        tls: &Certificate,
        socket: Socket<Box<dyn Stream>>,
        pace: Arc<Pace>,
        peer: Option<IpAddr>,
        stopping: watch::Receiver<()>,
    ) {
        let accepted = tokio::select! {
            accepted = timeout(self.limits.head_time, tls.accept(socket)) => accepted,
            () = pace.is_to_give_way() => return,
        };
        match accepted {
            Ok(Ok(stream)) => self.requests(stream, pace, peer, stopping).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn requests(
        &self,
        stream: impl Stream + 'static,
        pace: Arc<Pace>,
        peer: Option<IpAddr>,
        mut stopping: watch::Receiver<()>,
    ) {
        let begun = tokio::select! {
            begun = timeout(self.limits.head_time, Begun::of(stream)) => begun,
            // Nothing has been asked for yet.
            _ = stopping.changed() => return,
            () = pace.is_to_give_way() => return,
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
        let stream = TokioIo::new(Heads::new(stream, Arc::clone(&pace), permit, is_http2));
        let (router, metrics) = (self.router.clone(), Arc::clone(&self.metrics));
        let (pace_of_service, proxies) = (Arc::clone(&pace), Arc::clone(&self.proxies));
        let service = Paced { router, pace: pace_of_service, peer, is_tls: self.tls.is_some(), metrics, proxies };
        match is_http2 {
            false => watched(pin!(self.http1().serve_connection(stream, service)), &pace, stopping).await,
            // In a box: the other version must not be as large as this one.
            true => watched(Box::pin(self.http2().serve_connection(stream, service)).as_mut(), &pace, stopping).await,
        }
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // Heads have their time from the first byte on, see `Pace`.
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

/// Drives a connection as long as it keeps its pace.
async fn watched<C: Connection>(mut connection: Pin<&mut C>, pace: &Pace, mut stopping: watch::Receiver<()>) {
    let mut stops = false;
    let mut looks = pin!(sleep_until(pace.look().unwrap_or_else(|_| Instant::now())));
    let served = loop {
        tokio::select! {
            served = connection.as_mut() => break served,
            // Nothing is ever sent: the sender is dropped.
            _ = stopping.changed(), if !stops => {
                stops = true;
                connection.as_mut().end();
            }
            () = pace.is_to_give_way() => return leave(connection).await,
            () = looks.as_mut() => match pace.look() {
                Ok(next) => looks.as_mut().reset(next),
                Err(Cut::Idle) => return leave(connection).await,
                Err(cut) => return tracing::debug!(?cut, "a connection was cut"),
            },
        }
    };
    // The peer broke off or was too slow; whether that matters is known to him alone.
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Ends a connection that is idle. HTTP/2 takes leave, and has to do so at once.
async fn leave<C: Connection>(mut connection: Pin<&mut C>) {
    connection.as_mut().end();
    let _ = timeout(limits::LINGER, connection).await;
}

/// Windows are numbers of 32 bits.
const STREAM_WINDOW: u32 = limits::STREAM_WINDOW as u32;

/// Several bodies may come in at once; each of them counts with its own window.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// A connection of hyper, of either version.
trait Connection: Future<Output = hyper::Result<()>> {
    /// Answers what was asked, and ends.
    fn end(self: Pin<&mut Self>);
}

/// The bytes of a connection, as hyper reads them.
type Io<S> = TokioIo<Heads<Begun<S>>>;

impl<S: Stream + 'static> Connection for http1::Connection<Io<S>, Paced> {
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S: Stream + 'static> Connection for http2::Connection<Io<S>, Paced, TokioExecutor> {
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// The router behind the pace of one connection.
#[derive(Clone, Debug)]
struct Paced {
    router: axum::Router,
    pace: Arc<Pace>,
    peer: Option<IpAddr>,
    is_tls: bool,
    metrics: Arc<Metrics>,
    proxies: Arc<Proxies>,
}

impl hyper::service::Service<Request<Incoming>> for Paced {
    type Response = Response<PacedBody>;
    type Error = core::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let multiplexed = request.version() == Version::HTTP_2;
        let open = self.pace.begin(multiplexed);
        self.proxies.introduce(self.peer, &mut request);
        if self.is_tls {
            request.extensions_mut().insert(OverTls);
        }
        let (begun, metrics) = (Instant::now(), Arc::clone(&self.metrics));
        let mut router = self.router.clone();
        Box::pin(async move {
            let response = router.call(request.map(Body::new)).await?;
            if response.headers().contains_key(CONNECTION) {
                open.pace().leave_unread();
            }
            // To HTTP/1 the socket itself says when nothing is taken.
            let number = multiplexed.then(|| open.pace().answer());
            let exchange = Exchange { status: response.status(), begun, metrics };
            Ok(response.map(|body| PacedBody { body, rest: Bytes::new(), open, number, exchange }))
        })
    }
}

/// The answer on paths that are not served. A hidden endpoint (`auth.unauthenticated = 404`) answers in the same way.
pub(super) async fn not_found(version: Version) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    // The body of the request is not read.
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// The body of an answer; the request is open until it is dropped.
#[derive(Debug)]
struct PacedBody {
    body: Body,
    /// What is left of a frame that is handed out in pieces.
    rest: Bytes,
    open: Open,
    /// Its number among the answers of an HTTP/2 connection.
    number: Option<u64>,
    #[expect(dead_code, reason = "written when it is dropped")]
    exchange: Exchange,
}

/// Bytes of an answer that HTTP/2 is handed at once: one frame of the usual size (RFC 9113 §6.5.2).
const PIECE: usize = 16 * 1024;

/// What the figures have of one exchange.
#[derive(Debug)]
struct Exchange {
    status: StatusCode,
    begun: Instant,
    metrics: Arc<Metrics>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.metrics.answered(self.status, self.begun.elapsed());
    }
}

impl http_body::Body for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(number) = this.number else {
            return Pin::new(&mut this.body).poll_frame(context);
        };
        if this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => {
                    this.open.pace().owe(number, other.is_ready());
                    return other;
                }
            }
        }
        this.open.pace().owe(number, true);
        // In pieces: whether one is taken shows that the answer gets on.
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, mut hint) = (self.rest.len() as u64, self.body.size_hint());
        if rest > 0 {
            let upper = hint.upper();
            hint.set_lower(hint.lower() + rest);
            if let Some(upper) = upper {
                hint.set_upper(upper + rest);
            }
        }
        hint
    }
}

impl Drop for PacedBody {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.open.pace().owe(number, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(20);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    /// A client of a router that is served within these limits. The server lives as long as the test's runtime.
    async fn client(router: axum::Router, limits: Limits) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let serving = Serving {
                router,
                budget: Budget::new(&limits),
                connections: Connections::new(&limits),
                limits: Arc::new(limits),
                tls: None,
                metrics: Arc::default(),
                proxies: Arc::default(),
            };
            serve(Listener::tcp(listener).unwrap(), Arc::new(serving), &mut Signals::take().unwrap(), || ()).await;
        });
        TcpStream::connect(address).await.unwrap()
    }

    /// How long the connection stays open, and what still comes.
    async fn rest(mut client: TcpStream) -> (Duration, Vec<u8>) {
        let (started, mut bytes) = (Instant::now(), Vec::new());
        let _ = timeout(LONG, client.read_to_end(&mut bytes)).await.expect("the end of the connection");
        (started.elapsed(), bytes)
    }

    /// Tells when it is dropped.
    struct Witness(mpsc::UnboundedSender<()>);

    impl Drop for Witness {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    /// An answer without end.
    struct Endless(#[expect(dead_code, reason = "dropped with the answer")] Witness);

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = core::convert::Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024])))))
        }
    }

    fn endless() -> (axum::Router, mpsc::UnboundedReceiver<()>) {
        let (tell, told) = mpsc::unbounded_channel();
        let answer = move || {
            let witness = Witness(tell.clone());
            async move { Response::new(Body::new(Endless(witness))) }
        };
        (axum::Router::new().route("/", axum::routing::get(answer)), told)
    }

    /// A router whose answers come when they are let.
    fn held_back() -> (axum::Router, Arc<tokio::sync::Semaphore>) {
        let go = Arc::new(tokio::sync::Semaphore::new(0));
        let gate = Arc::clone(&go);
        let answer = move || {
            let gate = Arc::clone(&gate);
            async move { gate.acquire().await.map(|_| "done").unwrap_or_default() }
        };
        (axum::Router::new().route("/", axum::routing::get(answer)), go)
    }

    async fn another(first: &TcpStream) -> TcpStream {
        TcpStream::connect(first.peer_addr().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn connection_beyond_the_limit_waits_while_all_are_in_use() {
        let (router, go) = held_back();
        let mut answer = [0; 12];
        let mut first = client(router, Limits::default().connections(1_usize).share(100)).await;
        first.write_all(REQUEST).await.unwrap();
        let mut second = another(&first).await;
        second.write_all(REQUEST).await.unwrap();
        let waits = timeout(Duration::from_millis(300), second.read_exact(&mut answer)).await;
        assert!(waits.is_err());
        go.add_permits(1);
        timeout(LONG, first.read_exact(&mut answer)).await.unwrap().unwrap();
        go.add_permits(1);
        timeout(LONG, second.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn longest_idle_connection_gives_way_when_all_are_taken() {
        let mut answer = [0; 12];
        let mut first = client(axum::Router::new(), Limits::default().connections(2_usize).share(100)).await;
        let mut second = another(&first).await;
        for stream in [&mut first, &mut second] {
            stream.write_all(REQUEST).await.unwrap();
            timeout(LONG, stream.read_exact(&mut answer)).await.unwrap().unwrap();
            sleep(Duration::from_millis(20)).await;
        }
        let mut third = another(&first).await;
        for stream in [&mut third, &mut second] {
            stream.write_all(REQUEST).await.unwrap();
            timeout(LONG, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        }
        let mut rest = Vec::new();
        timeout(LONG, first.read_to_end(&mut rest)).await.expect("its end").unwrap();
    }

    #[tokio::test]
    async fn stream_whose_reader_takes_nothing_is_cut_although_another_is_read() {
        let (router, mut dropped) = endless();
        let mut client = client(router, Limits::default().stall_time(SHORT)).await;
        let started = Instant::now();
        // RFC 9113: the preface, settings with a window of 0 for each stream, GET / on two of them.
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        client.write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0").await.unwrap();
        for stream in [1, 3] {
            client.write_all(&[0, 0, 6, 1, 5, 0, 0, 0, stream, 0x82, 0x84, 0x86, 1, 1, b'a']).await.unwrap();
        }
        let (mut reader, mut writer) = client.into_split();
        let reads = tokio::spawn(async move {
            let mut scratch = vec![0; 64 * 1024];
            while reader.read(&mut scratch).await.is_ok_and(|read| read > 0) {}
        });
        // The first gets on, a kilobyte at a time.
        let moves = async {
            while writer.write_all(b"\0\0\x04\x08\0\0\0\0\x01\0\0\x80\0").await.is_ok() {
                sleep(SHORT / 10).await;
            }
        };
        tokio::select! {
            _ = dropped.recv() => {}
            () = moves => {}
            () = sleep(LONG) => panic!("it is not cut"),
        }
        assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
        drop(reads);
    }

    #[tokio::test]
    async fn frames_that_are_no_requests_end_a_connection_that_sends_nothing_else() {
        let ping = b"\0\0\x08\x06\0\0\0\0\0pingpong".as_slice();
        let priority = b"\0\0\x05\x02\0\0\0\0\x03\0\0\0\0\x10";
        for frame in [priority.as_slice(), ping, b"\0\0\0\x04\0\0\0\0\0"] {
            let client = client(axum::Router::new(), Limits::default()).await;
            let (mut reader, mut writer) = client.into_split();
            tokio::spawn(async move {
                let mut scratch = vec![0; 64 * 1024];
                while reader.read(&mut scratch).await.is_ok_and(|read| read > 0) {}
            });
            writer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
            let mut sent = 0;
            let many = frame.repeat(100);
            while sent < 1_000_000 && writer.write_all(&many).await.is_ok() {
                sent += 100;
            }
            assert!(sent < 1_000_000, "{frame:?}");
        }
    }

    #[tokio::test]
    async fn reader_that_takes_nothing_is_cut_and_its_answer_dropped() {
        // RFC 9113: the preface, settings with a window of 0, and GET / as fields of the static table and a literal.
        let http2 = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
            b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0",
            b"\0\0\x06\x01\x05\0\0\0\x01\x82\x84\x86\x01\x01a",
        ]
        .concat();
        for request in [REQUEST, &http2] {
            let (router, mut dropped) = endless();
            let mut client = client(router, Limits::default().stall_time(SHORT)).await;
            let started = Instant::now();
            client.write_all(request).await.unwrap();
            timeout(LONG, dropped.recv()).await.expect("it is dropped");
            assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
        }
    }

    #[tokio::test]
    async fn reader_that_takes_a_little_now_and_then_is_not_cut() {
        let (router, mut dropped) = endless();
        let stall_time = Duration::from_secs(1);
        let mut client = client(router, Limits::default().stall_time(stall_time)).await;
        client.write_all(REQUEST).await.unwrap();
        let started = Instant::now();
        // Steps as small as these keep the system from waiting for larger ones on the way.
        let mut some = vec![0; 32 * 1024];
        while started.elapsed() < stall_time * 5 / 2 {
            client.read_exact(&mut some).await.unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        assert!(dropped.try_recv().is_err());
    }

    #[tokio::test]
    async fn head_has_its_time_from_the_first_byte_and_idleness_another() {
        let limits = || Limits::default().head_time(SHORT).idle_time(SHORT * 4);
        for (sent, limit) in [(b"".as_slice(), SHORT), (b"GET / HT", SHORT), (REQUEST, SHORT * 4)] {
            let mut client = client(axum::Router::new(), limits()).await;
            client.write_all(sent).await.unwrap();
            let (time, _) = rest(client).await;
            assert!(time > limit / 2 && time < limit * 3, "{:?}: {time:?}", str::from_utf8(sent));
        }
    }

    #[tokio::test]
    async fn head_that_trickles_is_cut_although_it_never_stops() {
        let mut client = client(axum::Router::new(), Limits::default().head_time(SHORT)).await;
        let started = Instant::now();
        while client.write_all(b"x").await.is_ok() {
            sleep(SHORT / 10).await;
            assert!(started.elapsed() < LONG, "it is not cut");
        }
    }

    #[tokio::test]
    async fn call_that_takes_long_is_not_idle() {
        let answer = || async {
            sleep(SHORT * 3).await;
            "done"
        };
        let router = axum::Router::new().route("/", axum::routing::get(answer));
        let limits = Limits::default().idle_time(SHORT).head_time(SHORT).stall_time(SHORT);
        let mut client = client(router, limits).await;
        client.write_all(REQUEST).await.unwrap();
        let (_, answer) = rest(client).await;
        assert!(answer.ends_with(b"done"), "{:?}", String::from_utf8_lossy(&answer));
    }

    #[tokio::test]
    async fn refusal_of_a_body_that_is_still_coming_arrives() {
        let router =
            axum::Router::new().fallback(|| async { (StatusCode::BAD_REQUEST, [(CONNECTION, "close")], "refused") });
        let mut client = client(router, Limits::default()).await;
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2000000\r\n\r\n").await.unwrap();
        for _ in 0..100 {
            client.write_all(&[b'x'; 10_000]).await.unwrap();
        }
        let (_, answer) = rest(client).await;
        assert!(answer.starts_with(b"HTTP/1.1 400"), "{:?}", String::from_utf8_lossy(&answer));
    }
}
