//! `attache dev-issuer`, and the servers that trust it.

use crate::running::{Running, attache};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Starts an issuer with these additional flags, and returns it with its URL.
fn issuer(flags: &[&str]) -> (Running, String) {
    let running = Running::of(attache(&[&["dev-issuer", "--listen", "127.0.0.1:0"], flags].concat()));
    let url = running.greeting.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL").to_owned();
    (running, url)
}

/// Runs the program to its end, and returns its exit code and error output.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let run = attache(arguments).output().expect("the program runs");
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

#[test]
fn issuer_for_developers_listens_on_loopback_alone_and_says_what_is_wrong() {
    for (flags, words) in [
        (&["--listen", "0.0.0.0:0"][..], "is not a loopback address"),
        (&["--listen", "192.0.2.1:8089"], "is not a loopback address"),
        (&["--listen", "[::]:0"], "is not a loopback address"),
        (&["--resource", "mcp"], "--resource"),
        (&["--token-life", "1s"], "--token-life"),
        (&["--token-life", "soon"], "is not a duration"),
        (&["--log-level", "a=b=c"], "--log-level"),
    ] {
        let listen: &[&str] = if flags[0] == "--listen" { &[] } else { &["--listen", "127.0.0.1:0"] };
        let (code, said) = refused(&[&["dev-issuer"], listen, flags].concat());
        assert_eq!(code, Some(2), "{flags:?}: {said}");
        assert!(said.contains(words), "{flags:?}: {said}");
    }
}

#[test]
fn issuer_for_developers_publishes_its_metadata_and_answers_to_its_own_names_alone() {
    let (_running, url) = issuer(&["--scopes", "read,write", "--person", "eve=operator"]);
    let authority = url.strip_prefix("http://").expect("an URL").to_owned();
    let get = |path: &str, host: &str| {
        let mut stream = TcpStream::connect(&authority).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let metadata = get("/.well-known/oauth-authorization-server", &authority);
    let body = metadata.split("\r\n\r\n").nth(1).expect("a body");
    let metadata: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(metadata["issuer"], url);
    assert_eq!(metadata["scopes_supported"], serde_json::json!(["read", "write", "offline_access"]));
    assert!(get("/", "evil.example").starts_with("HTTP/1.1 403"), "DNS rebinding");
    assert!(get("/", "localhost").contains("made up"));
    assert!(get("/other", "localhost").starts_with("HTTP/1.1 404"));
}

#[test]
fn server_that_others_reach_does_not_trust_an_issuer_on_this_machine() {
    let trusting = ["--auth-applications", "*", "--auth-issuer"];
    for (issuer, flags, words) in [
        ("http://127.0.0.1:8089", &["--listen", "0.0.0.0:0"][..], Some("it listens on 0.0.0.0:0")),
        ("https://localhost:8089", &["--listen", "0.0.0.0:0"], Some("it listens on 0.0.0.0:0")),
        (
            "http://[::1]:8089",
            &["--listen", "127.0.0.1:0", "--allow-host", "gw.example"],
            Some("allow_host has gw.example"),
        ),
        (
            "http://127.0.0.1:8089",
            &["--listen", "127.0.0.1:0", "--auth-resource", "https://gw.example/mcp"],
            Some("auth.resource is https://gw.example/mcp"),
        ),
        ("http://127.0.0.1:8089", &["--listen", "127.0.0.1:0"], None),
        ("http://127.0.0.1:8089", &["--listen", "127.0.0.1:0", "--auth-resource", "http://localhost:80/mcp"], None),
        ("https://id.example", &["--listen", "0.0.0.0:0", "--allow-host", "gw.example"], None),
    ] {
        let (code, said) = refused(&[&["check"], flags, &trusting, &[issuer]].concat());
        match words {
            Some(words) => {
                assert_eq!(code, Some(2), "{issuer} {flags:?}: {said}");
                assert!(said.contains(issuer) && said.contains(words), "{said}");
            }
            None => assert_eq!(code, Some(0), "{issuer} {flags:?}: {said}"),
        }
    }
}
