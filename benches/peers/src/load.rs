//! The load generator and its tokens.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;

pub const ISSUER: &str = "https://id.example";
pub const RESOURCE: &str = "https://api.example/mcp";

/// Connections at once, each of which sends one request after the other.
const CONNECTIONS: usize = 4;

/// Makes `count` tokens of about 700 bytes, each for another caller.
pub fn tokens(key: &EncodingKey, count: usize) -> Vec<String> {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some("k".to_owned());
    let token = |number: usize| {
        let claims = json!({"iss": ISSUER, "aud": RESOURCE, "exp": 4_000_000_000_u64, "sub": format!("caller-{number:06}"),
            "azp": "app", "scp": "use", "fill": "x".repeat(90)});
        jsonwebtoken::encode(&header, &claims, key).expect("a token")
    };
    (0..count).map(token).collect()
}

/// Sends `calls` calls of `echo` to the server at `address`, with these tokens in turn, and checks
/// each answer.
pub fn send(address: &str, tokens: &[String], calls: usize) {
    std::thread::scope(|scope| {
        for first in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut stream = TcpStream::connect(address).expect("it listens");
                stream.set_nodelay(true).expect("a socket");
                let mut came = Vec::new();
                for number in (first..calls).step_by(CONNECTIONS) {
                    let token = (!tokens.is_empty()).then(|| tokens[number % tokens.len()].as_str());
                    stream.write_all(&request(token)).expect("it is taken");
                    answer(&mut stream, &mut came);
                }
            });
        }
    });
}

/// Opens `count` connections, each of which gets one call answered and then stays idle.
pub fn idle(address: &str, count: usize) -> Vec<TcpStream> {
    let mut came = Vec::new();
    let mut connect = || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(&request(None)).expect("it is taken");
        answer(&mut stream, &mut came);
        stream
    };
    (0..count).map(|_| connect()).collect()
}

fn request(token: Option<&str>) -> Vec<u8> {
    const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"load","version":"1.0.0"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: echo\r\n{authorization}content-length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
}

/// Reads one answer, which must be the expected result.
fn answer(stream: &mut TcpStream, came: &mut Vec<u8>) {
    came.clear();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).expect("an answer");
        assert!(read > 0, "closed after {}", String::from_utf8_lossy(came));
        came.extend_from_slice(&piece[..read]);
        let Some(end) = came.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&came[..end]).to_lowercase();
        let length =
            head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
        let whole = match length {
            Some(length) => came.len() >= end + 4 + length,
            None => came.ends_with(b"0\r\n\r\n"),
        };
        if whole {
            let text = String::from_utf8_lossy(came);
            assert!(text.starts_with("HTTP/1.1 200 ") && text.contains(r#""text":"hello""#), "{text}");
            return;
        }
    }
}
