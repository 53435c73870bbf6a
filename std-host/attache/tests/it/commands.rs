//! `attache list`, `call` and `read`, as a person at a terminal uses them.

use crate::running::{Running, attache};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = attache(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit status"), text(stdout), text(stderr))
}

const REVISIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

#[test]
fn tools_are_listed_and_called_in_every_revision_over_http_and_as_a_command() {
    let server = Running::start();
    let url = format!("http://{}/mcp", server.address());
    let command = env!("CARGO_BIN_EXE_attache");
    for revision in REVISIONS {
        let flags = ["--revision", revision];
        let listed = run(&[&["list"], &flags[..], &[&url]].concat());
        assert_eq!((listed.0, listed.2.as_str()), (0, ""), "{listed:?}");
        assert!(listed.1.contains(&format!("revision {revision}\n")), "{listed:?}");
        assert!(listed.1.contains("  echo ") && listed.1.contains("    text (string): what to repeat\n"), "{listed:?}");
        assert_eq!(run(&[&["list"], &flags[..], &["--", command, "serve", "--demo", "--stdio"]].concat()), listed);

        let called = run(&[&["call"], &flags[..], &[&url, "echo", r#"{"text":"h\u00e9"}"#]].concat());
        assert_eq!(called, (0, "h\u{e9}\n".to_owned(), String::new()));
        let words = ["add", r#"{"a":1,"b":2}"#, "--", command, "serve", "--demo", "--stdio"];
        assert_eq!(run(&[&["call"], &flags[..], &words].concat()), (0, "3\n".to_owned(), String::new()));
    }
}

#[test]
fn exit_status_tells_what_has_failed() {
    let server = Running::start();
    let url = format!("http://{}/mcp", server.address());
    for (arguments, status, word) in [
        (&["call", &url, "add", r#"{"a":9223372036854775807,"b":1}"#][..], 3, "beyond 64 bits"),
        (&["call", &url, "nothing"], 1, "-32602"),
        (&["call", &url, "echo", "{"], 2, "not JSON"),
        (&["call", &url, "echo", "[]"], 2, "object"),
        (&["call", &url], 2, "URL TOOL"),
        (&["list"], 2, "URL"),
        (&["list", "--revision", "2020-01-01", &url], 2, "2026-07-28"),
        (&["list", "--header", "nonsense", &url], 2, "Name: value"),
        (&["list", "http://127.0.0.1:1/mcp"], 1, "cannot be reached"),
        (&["list", &url.replace("/mcp", "/other")], 1, "MCP endpoint"),
        (&["list", "--", "/no/such/program"], 1, "cannot start /no/such/program"),
        (&["list", "--", "sh", "-c", "echo broken >&2; exit 7"], 1, "exit status: 7"),
        (&["list", "--key", "k", "http://192.0.2.1/mcp"], 1, "--plain-http"),
        (&["read", &url, "file:///none"], 1, "the server answered with error"),
    ] {
        let (code, out, error) = run(arguments);
        assert_eq!((code, out.as_str()), (status, ""), "{arguments:?}: {error}");
        assert!(error.contains(word), "{arguments:?}: {error}");
    }
    let (_, _, error) = run(&["list", "--", "sh", "-c", "echo broken >&2; exit 7"]);
    assert!(error.contains("broken"), "{error}");
}

#[test]
fn json_output_is_what_the_server_wrote() {
    let server = Running::start();
    let url = format!("http://{}/mcp", server.address());
    let (status, out, _) = run(&["call", "--json", &url, "echo", r#"{"text":"a"}"#]);
    let result: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((status, &result["content"][0]["text"], &result["resultType"]), (0, &"a".into(), &"complete".into()));
    let (status, out, _) = run(&["list", "--json", &url]);
    let lists: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((status, &lists["revision"], &lists["tools"][0]["name"]), (0, &"2026-07-28".into(), &"echo".into()));
}

#[test]
fn key_opens_what_is_protected_and_its_lack_is_told_with_a_remedy() {
    let directory = std::env::temp_dir().join(format!("attache-commands-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join("keys.toml");
    let file = file.to_str().expect("UTF-8");
    let (status, key, error) = run(&["key", "add", "me", "--keys-file", file]);
    assert_eq!(status, 0, "{error}");
    let server = Running::with(&["--auth-keys-file", file]);
    let url = format!("http://{}/mcp", server.address());
    let (status, _, error) = run(&["list", &url]);
    assert!(status == 1 && error.contains("HTTP 401") && error.contains("--token-file"), "{error}");
    assert_eq!(run(&["list", "--key", "wrong", &url]).0, 1);
    let (status, out, error) = run(&["list", "--key", key.trim(), &url]);
    assert!(status == 0 && out.contains("echo"), "{error}");
    let mut by_variable = attache(&["call", &url, "echo", r#"{"text":"a"}"#]);
    let out = by_variable.env("ATTACHE_CLIENT_KEY", key.trim()).output().expect("it runs").stdout;
    assert_eq!(out, b"a\n");
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn token_of_a_file_and_further_header_fields_are_sent() {
    let directory = std::env::temp_dir().join(format!("attache-token-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join("token");
    std::fs::write(&file, "abc.def\n").expect("written");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = [0; 4096];
        let len = stream.read(&mut head).expect("a request");
        let refusal =
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(refusal.as_bytes()).expect("taken");
        // It is asked once more after a while, and closes the connection then.
        let _ = listener.accept();
        String::from_utf8_lossy(&head[..len]).to_lowercase()
    });
    let file = file.to_str().expect("UTF-8");
    let (status, _, _) = run(&["list", "--token-file", file, "--header", "X-Tenant: a", &url]);
    let head = peer.join().expect("no panic");
    assert_eq!(status, 1);
    assert!(head.contains("authorization: bearer abc.def\r\n") && head.contains("x-tenant: a\r\n"), "{head}");
    std::fs::remove_dir_all(&directory).expect("removed");
}
