//! A client over one connection, with as little time of its own as possible.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A client in a session of revision 2025-06-18, or one of revision 2026-07-28.
pub struct Client {
    is_modern: bool,
    stream: TcpStream,
    address: String,
    path: String,
    session: Option<String>,
    came: Vec<u8>,
    id: u64,
}

impl Client {
    /// Opens a session, if the server gives one.
    pub fn connect(address: &str, path: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        let (address, path) = (address.to_owned(), path.to_owned());
        let mut client = Self { is_modern: false, stream, address, path, session: None, came: Vec::new(), id: 0 };
        let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1.0"}}}"#;
        let head = client.post(hello).0;
        client.session = head.lines().find_map(|line| {
            line.to_ascii_lowercase().starts_with("mcp-session-id:").then(|| line[15..].trim().to_owned())
        });
        client.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        client
    }

    /// A client of revision 2026-07-28.
    pub fn modern(address: &str, path: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        let (address, path) = (address.to_owned(), path.to_owned());
        Self { is_modern: true, stream, address, path, session: None, came: Vec::new(), id: 0 }
    }

    /// Whether the tool is listed.
    pub fn lists(&mut self, tool: &str) -> bool {
        self.id += 1;
        let list = self.message("tools/list", "");
        self.post(&list).1.contains(tool)
    }

    /// Calls a tool that streams, and returns the connection to read the stream from.
    pub fn stream(mut self, tool: &str) -> TcpStream {
        let call = self.message("tools/call", &format!(r#""name":"{tool}","arguments":{{}},"#));
        let call = call.replace(r#""_meta":{"#, r#""_meta":{"progressToken":1,"#);
        let request = self.request(&call);
        self.stream.write_all(request.as_bytes()).expect("it is taken");
        self.stream
    }

    /// A request in the revision of the client, with these members before `_meta`.
    fn message(&self, method: &str, params: &str) -> String {
        let meta = match self.is_modern {
            true => {
                r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0"},"io.modelcontextprotocol/clientCapabilities":{}"#
            }
            false => "",
        };
        let id = self.id;
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}"_meta":{{{meta}}}}}}}"#)
    }

    /// Calls `echo`, and checks the answer.
    pub fn echo(&mut self) {
        self.id += 1;
        let call = self.message("tools/call", r#""name":"echo","arguments":{"text":"hello"},"#);
        let (head, body) = self.post(&call);
        assert!(body.contains("hello"), "{head}\n{body}");
    }

    /// Waits until the tool is there, and warms up.
    pub fn ready(&mut self) {
        for _ in 0..200 {
            if self.lists("echo") {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the tool is not listed");
    }

    fn request(&self, body: &str) -> String {
        let session = self.session.as_ref().map(|id| format!("mcp-session-id: {id}\r\n")).unwrap_or_default();
        let version = match (self.is_modern, body.contains("\"initialize\"")) {
            (true, _) => modern_head(body),
            (false, true) => String::new(),
            (false, false) => "mcp-protocol-version: 2025-06-18\r\n".to_owned(),
        };
        format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             {session}{version}content-length: {}\r\n\r\n{body}",
            self.path,
            self.address,
            body.len()
        )
    }

    /// Posts a message. Returns the head and the body of the answer, in whatever framing it comes.
    fn post(&mut self, body: &str) -> (String, String) {
        let request = self.request(body);
        self.stream.write_all(request.as_bytes()).expect("it is taken");
        self.came.clear();
        let end = loop {
            if let Some(end) = self.came.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more();
        };
        let head = String::from_utf8_lossy(&self.came[..end]).into_owned();
        let lower = head.to_ascii_lowercase();
        let field =
            |name: &str| lower.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
        if let Some(length) = field("content-length:").and_then(|length| length.parse::<usize>().ok()) {
            while self.came.len() < end + length {
                self.more();
            }
        } else if field("transfer-encoding:").is_some() {
            while !self.came[end..].ends_with(b"0\r\n\r\n") {
                self.more();
            }
        }
        (head, String::from_utf8_lossy(&self.came[end..]).into_owned())
    }

    fn more(&mut self) {
        let mut piece = [0; 4096];
        let read = self.stream.read(&mut piece).expect("an answer");
        assert!(read > 0, "closed after {}", String::from_utf8_lossy(&self.came));
        self.came.extend_from_slice(&piece[..read]);
    }
}

/// The header fields that mirror a request of revision 2026-07-28.
fn modern_head(body: &str) -> String {
    let text =
        |name: &str| body.split(name).nth(1).and_then(|rest| rest.split('"').nth(1)).unwrap_or_default().to_owned();
    let method = text("\"method\":");
    let name = match method.as_str() {
        "tools/call" => format!("mcp-name: {}\r\n", text("\"params\":{\"name\":")),
        _ => String::new(),
    };
    format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}")
}
