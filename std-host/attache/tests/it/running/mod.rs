//! Starts the program for a test.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses some of it")]

pub mod http2;
#[cfg(unix)]
pub mod private_files;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

/// The program. `serve` and `check` offer the demo tools.
pub fn attache(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attache"));
    if matches!(arguments.first(), Some(&("serve" | "check"))) {
        command.env("ATTACHE_DEMO", "true");
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running server, stopped when the test ends.
pub struct Running {
    pub child: Child,
    /// The output up to and including the line that names the URL.
    pub greeting: String,
    /// The output after that line.
    pub output: BufReader<ChildStdout>,
}

impl Running {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with these additional flags.
    pub fn with(flags: &[&str]) -> Self {
        Self::greeting(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat())
    }

    /// Starts a server that listens on this address.
    pub fn on(listen: &str) -> Self {
        Self::greeting(&["serve", "--listen", listen])
    }

    fn greeting(arguments: &[&str]) -> Self {
        Self::of(attache(arguments))
    }

    /// Starts a server by this command and discards its log.
    pub fn of(mut command: Command) -> Self {
        command.stderr(Stdio::null());
        Self::logging(command)
    }

    /// Starts a server by this command; the test reads its log.
    pub fn logging(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut greeting = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped above"));
        output.read_line(&mut greeting).expect("a greeting");
        Self { child, greeting, output }
    }

    pub fn address(&self) -> &str {
        let url = self.greeting.split("http://").nth(1).expect("the greeting names the URL");
        url.split('/').next().expect("an authority")
    }

    /// Lists the tools as a modern client, and returns the status line of the answer.
    pub fn list(&self, path: &str) -> String {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the request is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.lines().next().unwrap_or_default().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
