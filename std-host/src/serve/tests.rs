//! Connections that are slow, silent or greedy.

use super::*;
use bytes::Bytes;
use core::task::{Context, Poll};
use core::time::Duration;
use http_body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Connects a client to a router that is served with these limits. The server lives as long as the
/// test's runtime.
async fn client(router: axum::Router, limits: Limits) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(Listener::try_from(listener).unwrap(), router).limits(limits).into_future());
    TcpStream::connect(address).await.unwrap()
}

/// Returns how long the connection stays open, and the bytes that still arrive.
async fn rest(mut client: TcpStream) -> (Duration, Vec<u8>) {
    let (started, mut bytes) = (Instant::now(), Vec::new());
    let _ = timeout(LONG, client.read_to_end(&mut bytes)).await.expect("the end of the connection");
    (started.elapsed(), bytes)
}

/// Signals when it is dropped.
struct Witness(mpsc::UnboundedSender<()>);

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// An answer that never ends.
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

/// A router that answers once the test adds a permit.
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
    // The first stream makes progress, a kilobyte at a time.
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
    // RFC 9113: the preface, settings with a window of 0, and GET / as fields of the static table
    // and a literal.
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
    // Such small steps keep the system from waiting for larger ones on the way.
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
