//! The program `attache` as a person or a client meets it.

use core::time::Duration;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

fn attache(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attache"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running server; it ends with the test.
struct Running {
    child: Child,
    /// What it has printed up to the line that names the URL, that line included.
    greeting: String,
}

impl Running {
    fn start() -> Self {
        let mut child = attache(&["serve", "--listen", "127.0.0.1:0"]).spawn().expect("the program starts");
        let mut greeting = String::new();
        let output = child.stdout.as_mut().expect("piped above");
        BufReader::new(output).read_line(&mut greeting).expect("a greeting");
        Self { child, greeting }
    }

    fn address(&self) -> &str {
        let url = self.greeting.split("http://").nth(1).expect("the greeting names the URL");
        url.split('/').next().expect("an authority")
    }

    /// The status line of the answer to a modern `tools/list`.
    fn list(&self, path: &str) -> String {
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

#[test]
fn serve_answers_at_the_url_it_prints_soon_after_its_start_and_stays_small() {
    // The best of several: a busy machine can hold up any one of them.
    let fastest = (0..5)
        .map(|_| {
            let started = Instant::now();
            let server = Running::start();
            assert_eq!(server.list("/mcp"), "HTTP/1.1 200 OK");
            started.elapsed()
        })
        .min();
    assert!(fastest < Some(Duration::from_millis(50)), "start to first answer took {fastest:?}");

    let server = Running::start();
    assert_eq!(server.list("/mcp"), "HTTP/1.1 200 OK");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id()));
    // Only Linux tells.
    if let Some(resident) = status.ok().as_deref().and_then(|status| status.split("VmRSS:").nth(1)) {
        let kilobytes: u64 =
            resident.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number");
        assert!(kilobytes < 12 * 1024, "{kilobytes} kB resident");
    }
}

#[test]
fn other_path_is_not_found_and_has_no_message_in_it() {
    let server = Running::start();
    assert_eq!(server.list("/other"), "HTTP/1.1 404 Not Found");
}

#[test]
fn port_in_use_stops_the_start_with_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let run = attache(&["serve", "--listen", &address]).output().expect("the program runs");
    assert!(!run.status.success());
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
}

#[test]
fn wrong_flags_stop_the_start_with_the_flag_by_name() {
    for (arguments, words) in [
        (&["serve", "--listen", "nowhere"][..], "--listen"),
        (&["serve", "--path", "mcp"], "begins with /"),
        (&["serve", "--stdio", "--listen", "127.0.0.1:1"], "--stdio"),
        (&["serve", "--frobnicate"], "--frobnicate"),
    ] {
        let run = attache(arguments).output().expect("the program runs");
        assert_eq!(run.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&run.stderr).contains(words), "{arguments:?}");
    }
}

#[test]
fn help_names_every_flag_of_serve() {
    let run = attache(&["serve", "--help"]).output().expect("the program runs");
    let help = String::from_utf8_lossy(&run.stdout);
    for flag in ["--listen", "--path", "--stdio", "--allow-host", "--allow-origin"] {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn stdio_ends_by_itself_when_its_input_ends_and_has_answered_the_last_line_without_its_end() {
    let mut child = attache(&["serve", "--stdio"]).stdin(Stdio::piped()).spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("piped above");
    input.write_all(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).expect("taken");
    drop(input);
    let run = child.wait_with_output().expect("it ends");
    assert!(run.status.success());
    assert_eq!(String::from_utf8_lossy(&run.stdout), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
}
