//! The program, running for a test.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses some of it")]

pub mod http2;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

pub fn attache(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attache"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running server; it ends with the test.
pub struct Running {
    pub child: Child,
    /// What it has printed up to the line that names the URL, that line included.
    pub greeting: String,
    /// What it prints afterwards.
    pub output: BufReader<ChildStdout>,
}

impl Running {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With these flags besides.
    pub fn with(flags: &[&str]) -> Self {
        Self::greeting(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat())
    }

    /// Listening there.
    pub fn on(listen: &str) -> Self {
        Self::greeting(&["serve", "--listen", listen])
    }

    fn greeting(arguments: &[&str]) -> Self {
        Self::of(attache(arguments))
    }

    /// Started by this command; what it logs is thrown away.
    pub fn of(mut command: Command) -> Self {
        command.stderr(Stdio::null());
        Self::logging(command)
    }

    /// Started by this command; what it logs is to be read by the test.
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

    /// The status line of the answer to a modern `tools/list`.
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
