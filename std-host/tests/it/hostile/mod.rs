//! A hand-written HTTP peer that answers with any bytes.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses some of it")]

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request that the peer got.
#[derive(Clone, Debug)]
pub struct Asked {
    pub verb: String,
    pub path: String,
    /// The head, in lower case.
    pub head: String,
    pub body: Value,
}

impl Asked {
    pub fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

/// The reaction of the peer to a request.
pub enum Reply {
    /// Sends these bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Sends these bytes and nothing more, and keeps the connection open.
    Hang(Vec<u8>),
    /// Sends the first bytes, then the second again and again.
    Endless(Vec<u8>, Vec<u8>),
}

/// A peer that runs as long as the test.
pub struct Peer {
    pub url: String,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl Peer {
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &log, &*answer).await });
            }
        });
        Self { url, asked }
    }

    /// The methods that were asked for, in their order; GET and DELETE are named so.
    pub fn methods(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        let name = |asked: &Asked| if asked.verb == "post" { asked.method().to_owned() } else { asked.verb.clone() };
        asked.iter().map(name).collect()
    }
}

async fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &(impl Fn(&Asked) -> Reply + Sync)) {
    let Some(asked) = read(&mut stream).await else { return };
    log.lock().expect("no panic").push(asked.clone());
    match answer(&asked) {
        Reply::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Reply::Hang(bytes) => {
            let _ = stream.write_all(&bytes).await;
            // Until the client gives up.
            let _ = stream.read(&mut [0; 64]).await;
        }
        Reply::Endless(first, again) => {
            let _ = stream.write_all(&first).await;
            while stream.write_all(&again).await.is_ok() {}
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let mut first = head.split(' ');
    let (verb, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    Some(Asked { verb, path, body: serde_json::from_slice(&bytes[end..]).unwrap_or(json!(null)), head })
}

/// An HTTP answer with this status, these header lines, and a body.
pub fn http(status: &str, head: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(
        format!("HTTP/1.1 {status}\r\n{head}connection: close\r\ncontent-length: {length}\r\n\r\n{body}").into(),
    )
}

/// A JSON body under status 200.
pub fn json_body(body: &str) -> Reply {
    http("200 OK", "content-type: application/json\r\n", body)
}

/// A result for a request.
pub fn result(asked: &Asked, result: &str) -> Reply {
    json_body(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, asked.body["id"]))
}

/// The head of a stream of events that ends with its connection.
pub fn events(stream: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{stream}").into()
}

pub const DISCOVERED: &str = r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#;

pub const AGREED: &str =
    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"p","version":"1"}}"#;
