//! The transport of revision 2024-11-05, HTTP with SSE, next to Streamable HTTP.

use crate::running::{Running, attache};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// An open stream of events.
pub(crate) struct Events(BufReader<TcpStream>);

impl Events {
    fn open(server: &Running, fields: &str) -> Result<(Self, String), u16> {
        Self::at(server.address(), "/mcp", fields)
    }

    /// Opens a stream next to an endpoint, and returns it with the path for messages. `Err` has the status of a refusal.
    pub(crate) fn at(address: &str, base: &str, fields: &str) -> Result<(Self, String), u16> {
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(stream, "GET {base}/sse HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{fields}\r\n")
            .expect("taken");
        let mut events = Self(BufReader::new(stream));
        let mut line = String::new();
        events.0.read_line(&mut line).expect("a status line");
        let status: u16 = line.get(9..12).expect("a status").parse().expect("a number");
        if status != 200 {
            return Err(status);
        }
        let (kind, data) = events.next().expect("a first event");
        assert_eq!(kind, "endpoint");
        Ok((events, format!("{base}/{data}")))
    }

    /// Waits for the next event, and returns its kind and data. `None` at the end of the stream.
    fn next(&mut self) -> Option<(String, String)> {
        let (mut kind, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            if self.0.read_line(&mut line).expect("readable") == 0 {
                return None;
            }
            if let Some(name) = line.trim_end().strip_prefix("event: ") {
                name.clone_into(&mut kind);
            } else if let Some(data) = line.trim_end().strip_prefix("data: ") {
                return Some((kind, data.to_owned()));
            }
        }
    }

    pub(crate) fn message(&mut self) -> Value {
        let (kind, data) = self.next().expect("a message");
        assert_eq!(kind, "message");
        serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"))
    }
}

fn send(server: &Running, method: &str, path: &str, fields: &str, body: &str) -> u16 {
    send_to(server.address(), method, path, fields, body)
}

/// Sends a request, and returns its status.
pub(crate) fn send_to(address: &str, method: &str, path: &str, fields: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n{fields}\
         content-length: {length}\r\n\r\n{body}"
    )
    .expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.get(9..12).expect("a status").parse().expect("a number")
}

pub(crate) fn request(id: u64, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

#[test]
fn client_of_revision_2024_11_05_gets_all_answers_as_events_of_its_stream() {
    let server = Running::with(&["--http-sse"]);
    let (mut events, path) = Events::open(&server, "").expect("it is open");
    let hello =
        json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    assert_eq!(send(&server, "POST", &path, "", &request(1, "initialize", hello)), 202);
    let answer = events.message();
    assert_eq!((&answer["id"], &answer["result"]["protocolVersion"]), (&json!(1), &json!("2024-11-05")), "{answer}");
    assert_eq!(send(&server, "POST", &path, "", READY), 202);
    for id in 2..5 {
        let call = request(id, "tools/call", json!({"name": "echo", "arguments": {"text": "hey"}}));
        assert_eq!(send(&server, "POST", &path, "", &call), 202);
        let answer = events.message();
        assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(id), &json!("hey")), "{answer}");
    }
    // What is wrong with a message is an event, too.
    assert_eq!(send(&server, "POST", &path, "", "{"), 202);
    assert_eq!(events.message()["error"]["code"], -32700);
    assert_eq!(send(&server, "POST", "/mcp/message?sessionId=0", "", READY), 404);
    assert_eq!(send(&server, "POST", "/mcp/message", "", READY), 404);
    assert_eq!(send(&server, "POST", "/mcp/sse", "", READY), 405);
    assert_eq!(send(&server, "GET", &path, "", ""), 405);
    assert_eq!(send(&server, "GET", "/mcp/sse", "origin: https://evil.example\r\n", ""), 403);
    drop(events);
    // The session ends with its stream, as soon as the server has noticed that.
    let until = std::time::Instant::now() + core::time::Duration::from_secs(10);
    while send(&server, "POST", &path, "", READY) != 404 {
        assert!(std::time::Instant::now() < until, "the session goes on");
        std::thread::sleep(core::time::Duration::from_millis(50));
    }
}

#[test]
fn transport_is_off_until_it_is_switched_on() {
    let server = Running::start();
    assert_eq!(Events::open(&server, "").err(), Some(404));
    assert_eq!(send(&server, "POST", "/mcp/message?sessionId=0", "", READY), 404);
}

#[test]
fn each_message_needs_the_credentials_of_the_caller_that_has_opened_the_stream() {
    let file = std::env::temp_dir().join(format!("attache-sse-keys-{}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let file = file.to_str().expect("UTF-8");
    let [first, second] = ["one", "two"].map(|name| {
        let made = attache(&["key", "add", name, "--keys-file", file]).output().expect("it runs");
        let key = String::from_utf8(made.stdout).expect("UTF-8").trim().to_owned();
        format!("x-functions-key: {key}\r\n")
    });
    let server = Running::with(&["--http-sse", "--auth-keys-file", file]);
    assert_eq!(Events::open(&server, "").err(), Some(401));
    let (mut events, path) = Events::open(&server, &first).expect("it is open");
    assert!(!path.contains("code="), "the URL has no key: {path}");
    let ping = |id| request(id, "ping", json!({}));
    assert_eq!(send(&server, "POST", &path, "", &ping(1)), 401);
    assert_eq!(send(&server, "POST", &path, &second, &ping(2)), 404, "another caller does not find the session");
    let hello =
        json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    assert_eq!(send(&server, "POST", &path, &first, &request(3, "initialize", hello)), 202);
    assert_eq!(events.message()["id"], 3);
    assert_eq!(send(&server, "POST", &path, &first, &ping(4)), 202);
    assert_eq!(events.message(), json!({"jsonrpc": "2.0", "id": 4, "result": {}}));
    let _ = std::fs::remove_file(file);
}
