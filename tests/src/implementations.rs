//! The implementations under test, each with the same two functions: one sends lines, the other a
//! POST.

use crate::demo;
use ::core::net::{IpAddr, Ipv4Addr, SocketAddr};
use ::core::time::Duration;
use attache_core::auth::{Access, Authenticated, Gate};
use attache_core::exchange::{Carrier, Next, Reply, Standalone, answer};
use attache_core::http::{ACCEPTED, Door, HeadFacts, LOOPBACK, Policy, gate};
use attache_core::json::Slice;
use attache_core::line::{Connection, Cut, Lines};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// An answer over HTTP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// The headers of a modern client.
pub(crate) fn headers<'a>(method: &'a str, tool: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![
        ("host", "localhost"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
    ];
    headers.extend(tool.map(|tool| ("mcp-name", tool)));
    headers
}

/// The engine by itself, driven through `exchange::answer` and `line`.
pub(crate) mod core {
    use super::*;

    /// A connection of lines with a buffer of `limit` bytes.
    pub(crate) struct Line {
        connection: Connection,
        limit: usize,
    }

    impl Line {
        pub(crate) fn new() -> Self {
            Self { connection: Connection::new(), limit: 64 * 1024 }
        }

        /// Sends `stream` in pieces of `size` bytes, and returns the lines of the answers.
        pub(crate) fn ask(&mut self, stream: &[u8], size: usize) -> Vec<Vec<u8>> {
            let who = Authenticated::anonymous(&Access::Anonymous);
            let mut buffer = vec![0; self.limit];
            let mut lines = Lines::new(&mut buffer);
            let mut answers = Vec::new();
            for mut piece in stream.chunks(size) {
                while let Some(cut) = lines.feed(&mut piece) {
                    let Cut::Line(line) = cut else {
                        answers.push(emitted(&Standalone::too_large(self.limit).into(), b"", b""));
                        continue;
                    };
                    let mut out = vec![0; self.limit];
                    let mut out = Slice::new(&mut out);
                    match self.connection.open(&demo::SERVER, &who, line).next {
                        Next::Listen(_) | Next::Cancel(_) | Next::Answer(..) | Next::Batch(_) | Next::Ack => {}
                        Next::Reply(reply) | Next::Remember(_, reply) => answers.push(emitted(&reply, line, b"")),
                        Next::Call(mut ticket) => {
                            let reply = match ticket.begin(line, &mut out) {
                                Err(reply) => reply,
                                Ok(mut output) => {
                                    let result =
                                        demo::tools::dispatch(&demo::Demo, ticket.call(line, &who), &mut output);
                                    ticket.finish(&demo::SERVER, output, result)
                                }
                            };
                            answers.push(emitted(&reply, line, out.written()));
                        }
                    }
                }
            }
            answers
        }
    }

    /// Answers a POST.
    pub(crate) fn post(headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut facts = HeadFacts::new(b"POST");
        for (name, value) in headers {
            facts.note(name.as_bytes(), value.as_bytes());
        }
        let policy = Policy { hosts: LOOPBACK, origins: &[], access: Gate::Open(Access::Anonymous) };
        let mut out = vec![0; 64 * 1024];
        let mut out = Slice::new(&mut out);
        let reply = match gate(&facts, &policy) {
            Door::Out(refusal) => Some(Standalone::refused(refusal).into()),
            Door::NeedKey(_) => unreachable!("nothing has to be shown"),
            Door::In(who) => answer(&demo::SERVER, &who, Carrier::Http(&facts), body, &mut out, |call, output| {
                demo::tools::dispatch(&demo::Demo, call, output)
            }),
        };
        match reply {
            Some(reply) => Response { status: reply.status(), body: emitted(&reply, body, out.written()) },
            None => Response { status: ACCEPTED, body: Vec::new() },
        }
    }

    fn emitted(reply: &Reply, body: &[u8], written: &[u8]) -> Vec<u8> {
        let mut emission = reply.emit(&demo::SERVER, body, written);
        let mut bytes = vec![0; emission.len()];
        assert_eq!(emission.fill(&mut bytes), bytes.len());
        bytes
    }
}

/// The host over a real socket.
pub(crate) struct Http {
    address: SocketAddr,
    /// The address that clients connect from.
    from: IpAddr,
}

impl Http {
    /// Starts a server on a free port of the loopback interface; it stops when the test ends.
    pub(crate) fn start(server: attache_host::ServerBuilder) -> Self {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                sender.send(listener.local_addr().expect("an address")).expect("the test waits");
                let router: axum::Router = server.routes();
                axum::serve(listener, router).await.expect("serves for ever");
            });
        });
        Self::at(receiver.recv().expect("the server starts"))
    }

    /// Connects to a server that already runs.
    pub(crate) const fn at(address: SocketAddr) -> Self {
        Self { address, from: IpAddr::V4(Ipv4Addr::LOCALHOST) }
    }

    /// The same server, for clients that connect from this address.
    pub(crate) const fn from(&self, from: IpAddr) -> Self {
        Self { from, ..*self }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a POST on a new connection, and returns the answer.
    pub(crate) fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.send("POST", headers, body)
    }

    pub(crate) fn send(&self, verb: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let answer = self.open_as(verb, headers, body);
        Response { status: answer.status, body: answer.rest() }
    }

    /// Sends a POST on a new connection, and reads the head of the answer.
    pub(crate) fn open(&self, headers: &[(&str, &str)], body: &[u8]) -> Answering {
        self.open_as("POST", headers, body)
    }

    /// The same with any method.
    pub(crate) fn open_as(&self, verb: &str, headers: &[(&str, &str)], body: &[u8]) -> Answering {
        self.open_at(verb, "/mcp", headers, body)
    }

    /// The same at any path.
    pub(crate) fn open_at(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answering {
        let mut stream = BufReader::new(self.connect(verb, path, headers, body));
        let mut line = || {
            let mut line = String::new();
            stream.read_line(&mut line).expect("a line of the head");
            line.trim_end().to_owned()
        };
        let status = line().split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut headers = Vec::new();
        while let Some((name, value)) = line().split_once(": ") {
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        Answering {
            status,
            headers,
            last_event: None,
            body: BufReader::new(Body { stream, left: (!chunked).then_some(usize::MAX) }),
        }
    }

    /// Sends a POST and reads nothing; dropping the connection closes it.
    pub(crate) fn begin(&self, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        self.connect("POST", "/mcp", headers, body)
    }

    fn stream(&self) -> TcpStream {
        if self.from == Ipv4Addr::LOCALHOST {
            return TcpStream::connect(self.address).expect("the server listens");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind((self.from, 0).into()).expect("an address of this machine");
            let stream = socket.connect(self.address).await.expect("the server listens");
            let stream = stream.into_std().expect("a socket");
            stream.set_nonblocking(false).expect("a socket that waits");
            stream
        })
    }

    fn connect(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut stream = self.stream();
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut head = format!("{verb} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(head.as_bytes()).expect("the head is taken");
        stream.write_all(b"\r\n").expect("the head is taken");
        // A server that refuses by the head may close before it has read a large body.
        let _ = stream.write_all(body);
        stream
    }
}

/// An answer over HTTP that is still being received; dropping it closes the connection.
pub(crate) struct Answering {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// The id of the latest event, if events have ids.
    pub(crate) last_event: Option<String>,
    body: BufReader<Body>,
}

impl Answering {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the message in the next event, or `None` at the end of the stream. Skips comments.
    pub(crate) fn event(&mut self) -> Option<serde_json::Value> {
        let mut message = None;
        loop {
            let mut line = String::new();
            let len = self.body.read_line(&mut line).expect("an event in time");
            assert!(len > 0 || message.is_none(), "an event without its end");
            match line.trim_end_matches('\n') {
                "" if len == 0 || message.is_some() => return message,
                // An event with only an id.
                "" => {}
                line => {
                    if let Some(id) = line.strip_prefix("id: ") {
                        self.last_event = Some(id.to_owned());
                    }
                    if let Some(data) = line.strip_prefix("data: ").filter(|data| !data.is_empty()) {
                        assert!(message.is_none(), "one line of data an event");
                        message = Some(serde_json::from_str(data).expect("JSON"));
                    }
                }
            }
        }
    }

    /// Returns all remaining events.
    pub(crate) fn events(mut self) -> Vec<serde_json::Value> {
        ::core::iter::from_fn(|| self.event()).collect()
    }

    /// Returns the rest of the body, and checks it against `Content-Type`.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.body.read_to_end(&mut rest).expect("a whole body");
        self.check(&rest);
        rest
    }

    /// Parses the body according to its media type, so that no test accepts an answer that a client
    /// could not read.
    fn check(&self, body: &[u8]) {
        let text = String::from_utf8_lossy(body);
        let parse = |json: &str| {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(json);
            assert!(parsed.is_ok(), "{} with a body that is not JSON: {text}", self.status);
        };
        match self.header("content-type") {
            None => assert!(body.is_empty(), "{} with a body of no type: {text}", self.status),
            Some("application/json") => parse(&text),
            Some("text/event-stream") => {
                text.lines()
                    .filter_map(|line| line.strip_prefix("data: "))
                    .filter(|data| !data.is_empty())
                    .for_each(parse);
            }
            Some(_) => {}
        }
    }

    /// Reads until the connection breaks off in the middle of the body.
    pub(crate) fn until_broken(mut self) -> Vec<u8> {
        let mut came = Vec::new();
        self.body.read_to_end(&mut came).expect_err("a body that is not whole");
        came
    }
}

/// A body, decoded from its chunks (RFC 9112 §7.1).
struct Body {
    stream: BufReader<TcpStream>,
    /// The number of bytes left in this chunk; `None` before the first chunk.
    left: Option<usize>,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left.is_none() {
            let mut size = String::new();
            self.stream.read_line(&mut size)?;
            self.left = Some(usize::from_str_radix(size.trim_end(), 16).map_err(std::io::Error::other)?);
        }
        let (left, len) = (self.left.unwrap_or_default(), buffer.len());
        let read = self.stream.read(&mut buffer[..len.min(left)])?;
        self.left = Some(left - read);
        if read > 0 && left == read {
            self.stream.read_line(&mut String::new())?;
            self.left = None;
        }
        Ok(read)
    }
}

/// A program that answers lines on its standard output.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let input = child.stdin.take();
        let output: ChildStdout = child.stdout.take().expect("piped above");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            loop {
                let mut line = Vec::new();
                match output.read_until(b'\n', &mut line) {
                    Ok(1..) if line.pop() == Some(b'\n') && sender.send(line).is_ok() => {}
                    _ => return,
                }
            }
        });
        Self { child, input, lines }
    }

    /// Sends a line.
    pub(crate) fn send(&mut self, line: &[u8]) {
        let input = self.input.as_mut().expect("still open");
        input
            .write_all(line)
            .and_then(|()| input.write_all(b"\n"))
            .and_then(|()| input.flush())
            .expect("the line is taken");
    }

    /// Returns the next line of output.
    pub(crate) fn receive(&self) -> Vec<u8> {
        self.lines.recv_timeout(PATIENCE).expect("an answer in time")
    }

    /// Closes the input and waits for the program to exit by itself.
    pub(crate) fn close(mut self) -> std::process::ExitStatus {
        drop(self.input.take());
        let started = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the program does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The program has already exited if the test has closed it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Far longer than any answer takes, even if an emulator shares a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
