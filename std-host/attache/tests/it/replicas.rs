//! Legacy sessions with several processes, or with a restarted one: each process with the same key
//! serves them.

use crate::running::{Running, attache};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const OLD: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const NEW: &str = "0202020202020202020202020202020202020202020202020202020202020202";

/// A temporary key file, removed when the test ends.
struct KeyFile(PathBuf);

impl KeyFile {
    fn with(name: &str, keys: &[&str], mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("attache-{name}-{}.key", std::process::id()));
        fs::write(&path, keys.join("\n")).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }

    fn server(&self) -> Running {
        Running::with(&["--seal-key-file", self.path()])
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Posts one message and returns the head of the answer.
fn post(server: &Running, session: Option<&str>, body: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    let session =
        session.map_or(String::new(), |id| format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-11-25\r\n"));
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\n{session}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split("\r\n\r\n").next().unwrap_or_default().to_owned()
}

/// Opens a session and returns its id.
fn opened(server: &Running) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    let head = post(server, None, body);
    let id = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    id.expect("a session").to_owned()
}

/// Sends a request in the session and returns its status.
fn status(server: &Running, session: &str) -> String {
    let head = post(server, Some(session), r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn session_is_served_by_other_processes_with_the_same_key_and_by_none_without() {
    let file = KeyFile::with("shared", &[OLD], 0o600);
    let (first, second, stranger) = (file.server(), file.server(), Running::start());
    let session = opened(&first);
    for (server, expected) in [(&first, "200"), (&second, "200"), (&stranger, "404")] {
        assert_eq!(status(server, &session), expected);
    }
    drop((first, second));
    assert_eq!(status(&file.server(), &session), "200", "after a restart");
}

#[test]
fn changed_key_keeps_sessions_as_long_as_the_old_key_is_the_second_one() {
    let session = opened(&KeyFile::with("before", &[OLD], 0o600).server());
    for (name, keys, expected) in [("both", &[NEW, OLD][..], "200"), ("new", &[NEW], "404")] {
        let file = KeyFile::with(name, keys, 0o600);
        assert_eq!(status(&file.server(), &session), expected, "{name}");
    }
}

#[test]
fn session_of_one_path_is_unknown_to_the_server_of_another() {
    let file = KeyFile::with("paths", &[OLD], 0o600);
    let session = opened(&Running::with(&["--seal-key-file", file.path(), "--path", "/mcp"]));
    let other = Running::with(&["--seal-key-file", file.path(), "--path", "/other"]);
    let head = post(&other, Some(&session), "{}");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let moved = KeyFile::with("moved", &[OLD], 0o600);
    assert_eq!(status(&moved.server(), &session), "200", "another file with the same key");
}

#[test]
fn key_that_cannot_be_trusted_stops_the_start_with_the_remedy_and_is_not_printed() {
    let shown = KeyFile::with("shown", &[OLD], 0o644);
    let short = KeyFile::with("short", &["0f0f0f"], 0o600);
    let three = KeyFile::with("three", &[OLD, NEW, OLD], 0o600);
    let good = KeyFile::with("good", &[OLD], 0o600);
    for (file, variable, words) in [
        (shown.path(), None, &["seal.key_file", "chmod 600", shown.path()][..]),
        (short.path(), None, &["--seal-key-file", "64 hexadecimal digits", "openssl rand -hex 32"]),
        (three.path(), None, &["--seal-key-file", "64 hexadecimal digits"]),
        ("/nowhere/seal.key", None, &["seal.key_file", "/nowhere/seal.key", "cannot be read"]),
        (good.path(), Some(NEW), &["ATTACHE_SEAL_KEYS", "seal.key_file", "one of them"]),
        ("", Some("0f0f0f"), &["ATTACHE_SEAL_KEYS", "64 hexadecimal digits"]),
    ] {
        let mut command = attache(&["config"]);
        if !file.is_empty() {
            command.args(["--seal-key-file", file]);
        }
        command.envs(variable.map(|value| ("ATTACHE_SEAL_KEYS", value)));
        let run = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{file}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{file}: {said}");
        assert!(!said.contains("0f0f0f") && !said.contains(OLD) && !said.contains(NEW), "{said}");
    }
}

#[test]
fn secret_of_the_environment_serves_and_is_listed_without_its_value() {
    let mut command = attache(&["config"]);
    let run = command.env("ATTACHE_SEAL_KEYS", OLD).output().expect("it runs");
    let printed = String::from_utf8_lossy(&run.stdout);
    assert!(printed.lines().any(|line| line == "# seal.keys (hidden) from ATTACHE_SEAL_KEYS"), "{printed}");
    assert!(!printed.contains(OLD));
    let start = || {
        let mut command = attache(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("ATTACHE_SEAL_KEYS", OLD);
        Running::of(command)
    };
    let session = opened(&start());
    assert_eq!(status(&start(), &session), "200");
}
