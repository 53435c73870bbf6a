//! The HTTP connections of a client: they are used again, and one that the server has closed is not.

use crate::hostile::DISCOVERED;
use attache_host::client::{Client, Error, RawJson, Request};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What a server has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    closed: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

/// Serves each connection until it has answered so many requests, and closes it then. The last
/// request of a connection stays unanswered if `breaks_off` is set.
async fn served(most: usize, breaks_off: bool) -> (String, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::new(Seen::default());
    let own = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            own.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(connection(stream, most, breaks_off, Arc::clone(&own)));
        }
    });
    (format!("http://ann:p%40ss@{address}/mcp?a=b#part"), seen)
}

async fn connection(mut stream: TcpStream, most: usize, breaks_off: bool, seen: Arc<Seen>) {
    for number in 1..=most {
        let Some((head, body)) = request(&mut stream).await else { return };
        seen.heads.lock().expect("no panic").push(head);
        if breaks_off && number == most {
            return;
        }
        let result = if body["method"] == "server/discover" { DISCOVERED } else { r#"{"content":[]}"# };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, body["id"]);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.expect("it is taken");
    }
    drop(stream);
    seen.closed.fetch_add(1, Ordering::SeqCst);
}

/// Reads one request.
async fn request(stream: &mut TcpStream) -> Option<(String, serde_json::Value)> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
        if body.len() >= length {
            return Some((head, serde_json::from_str(body).unwrap_or_default()));
        }
    }
}

async fn call(client: &Client) -> Result<RawJson, Error> {
    client.call("t", RawJson::empty_object()).await
}

#[tokio::test]
async fn connection_is_used_again_for_the_next_request() {
    let (url, seen) = served(usize::MAX, false).await;
    let client = Client::builder("test", "1").http(&url).await.expect("connected");
    for _ in 0..20 {
        call(&client).await.expect("a result");
    }
    assert_eq!(seen.connections.load(Ordering::SeqCst), 1);
    let heads = seen.heads.lock().expect("no panic").clone();
    assert_eq!(heads.len(), 21);
    for head in heads {
        // RFC 9110 §4.2.4 and §7.1: neither user information nor fragment is part of the target.
        assert!(head.starts_with("post /mcp?a=b http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nauthorization: basic yw5uonbac3m=\r\n"), "{head}");
        assert_eq!(head.matches("\r\nhost: 127.0.0.1:").count(), 1, "{head}");
    }
}

#[tokio::test]
async fn concurrent_requests_have_connections_of_their_own_which_are_used_again() {
    let (url, seen) = served(usize::MAX, false).await;
    let client = Client::builder("test", "1").http(&url).await.expect("connected");
    for _ in 0..3 {
        let calls: Vec<_> = (0..8).map(|_| client.start(Request::call("t", RawJson::empty_object()))).collect();
        for call in calls {
            call.result().await.expect("a result");
        }
    }
    assert!(seen.connections.load(Ordering::SeqCst) <= 8);
}

#[tokio::test]
async fn connection_that_the_server_has_closed_is_replaced_without_a_failed_call() {
    let (url, seen) = served(2, false).await;
    let client = Client::builder("test", "1").http(&url).await.expect("connected");
    // The first connection also has the request that discovers the revision.
    for number in 0..10 {
        call(&client).await.expect("a result");
        while seen.closed.load(Ordering::SeqCst) < usize::div_ceil(number + 1, 2) {
            sleep(Duration::from_millis(1)).await;
        }
        // The runtime learns of the end of the connection.
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(seen.connections.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn request_whose_connection_breaks_after_it_was_written_is_not_sent_again() {
    let (url, seen) = served(2, true).await;
    let client = Client::builder("test", "1").http(&url).await.expect("connected");
    let error = call(&client).await.expect_err("no answer");
    assert!(matches!(error, Error::Lost(_)) && !error.is_unsent(), "{error}");
    assert_eq!(seen.heads.lock().expect("no panic").len(), 2);
}

#[tokio::test]
async fn credential_in_the_url_does_not_travel_in_the_clear_to_another_machine() {
    let error = Client::builder("test", "1").http("http://ann:secret@192.0.2.1/mcp").await;
    assert!(matches!(error, Err(Error::PlainHttp)), "{error:?}");
}
