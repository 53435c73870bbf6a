//! The program never holds more memory than its budget, and never more for one peer than a peer's
//! share.

use crate::running::Running;
use crate::running::http2::{Http2, connect_from};
use core::time::Duration;
use std::io::Write;
use std::time::Instant;

const MIB: u64 = 1024 * 1024;

/// Beyond the budget: what connections, threads and the allocator take, as `docs/operations.md` says.
const BESIDES: u64 = 40 * MIB;

/// The budget of one caller, and that of all callers.
const SHARE: u64 = 32 * MIB;
const WHOLE: u64 = 128 * MIB;

impl Running {
    /// Bytes of memory that the program has.
    fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that it ever had, beyond `before`.
    fn grown(&self, before: u64) -> u64 {
        self.memory("VmHWM:").saturating_sub(before)
    }

    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let figure = status.split(name).nth(1).and_then(|rest| rest.split_whitespace().next());
        figure.and_then(|digits| digits.parse::<u64>().ok()).expect("a number") * 1024
    }

    /// A call that is served, however much others hold.
    fn serves(&self, from: [u8; 4]) -> bool {
        let mut client = Http2::new(connect_from(from, self.address()), 65_535);
        let stream = client.post(&[("mcp-protocol-version", "2025-11-25")]);
        client.send(stream, CALL.as_bytes(), true);
        for _ in 0..100 {
            client.hear(Duration::from_millis(50));
            if let Some(status) = client.statuses.get(&stream) {
                return *status == 200;
            }
        }
        false
    }
}

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}}}"#;

/// A call of `echo` with a text of so many bytes.
fn echo(bytes: usize) -> String {
    CALL.replace("hi", &"x".repeat(bytes))
}

/// Opens as many streams as there may be on each of these connections, and sends of each body all that the server takes, but the
/// last byte.
fn unfinished(clients: &mut [Http2], body: usize) {
    let body = vec![b' '; body];
    let mut streams: Vec<Vec<(u32, usize)>> = clients
        .iter_mut()
        .map(|client| {
            client.hear(Duration::from_millis(100));
            (0..100).map(|_| (client.post(&[]), 0)).collect()
        })
        .collect();
    // No longer than a body may take: then what was held comes back.
    let (started, mut quiet) = (Instant::now(), 0);
    while quiet < 10 && started.elapsed() < Duration::from_secs(20) {
        let mut moved = false;
        for (client, streams) in clients.iter_mut().zip(&mut streams) {
            client.hear(Duration::from_millis(5));
            for (stream, sent) in streams {
                if client.statuses.contains_key(stream) {
                    continue;
                }
                let more = client.send(*stream, &body[*sent..], false);
                *sent += more;
                moved |= more > 0;
            }
        }
        quiet = if moved { 0 } else { quiet + 1 };
    }
}

#[test]
fn unfinished_bodies_of_one_caller_stay_within_its_share_and_those_of_many_within_the_budget() {
    for (addresses, bound) in [(vec![2, 2], SHARE), ((2..10).collect(), WHOLE)] {
        let server = Running::start();
        assert!(server.serves([127, 0, 0, 99]));
        let before = server.resident();
        let connect = |last: &u8| Http2::new(connect_from([127, 0, 0, *last], server.address()), 65_535);
        let mut clients: Vec<_> = addresses.iter().map(connect).collect();
        unfinished(&mut clients, 4 * 1024 * 1024 - 1);
        let grown = server.grown(before);
        eprintln!("unfinished bodies: {} MiB of {} MiB", grown / MIB, bound / MIB);
        assert!(grown < bound + BESIDES, "{} MiB", grown / MIB);
        // Somebody else is served all the same, unless all of the budget is in use.
        assert!(bound == WHOLE || server.serves([127, 0, 0, 99]), "another caller is not served");
        drop(clients);
        std::thread::sleep(Duration::from_millis(500));
        assert!(server.serves([127, 0, 0, 2]), "what they held did not come back");
    }
}

#[test]
fn answers_that_wait_for_readers_with_closed_windows_stay_within_the_share_of_their_caller() {
    let server = Running::start();
    assert!(server.serves([127, 0, 0, 99]));
    let before = server.resident();
    let mut clients: Vec<_> = (0..2).map(|_| Http2::new(connect_from([127, 0, 0, 2], server.address()), 0)).collect();
    let body = echo(1024 * 1024);
    for client in &mut clients {
        client.hear(Duration::from_millis(100));
        for _ in 0..100 {
            let stream = client.post(&[("mcp-protocol-version", "2025-11-25")]);
            let (mut sent, mut waited) = (0, 0);
            while sent < body.len() && waited < 100 && !client.statuses.contains_key(&stream) {
                let more = client.send(stream, &body.as_bytes()[sent..], true);
                sent += more;
                client.hear(Duration::from_millis(1));
                waited = if more > 0 { 0 } else { waited + 1 };
            }
        }
        client.hear(Duration::from_millis(300));
    }
    let grown = server.grown(before);
    let answered: usize =
        clients.iter().map(|client| client.statuses.values().filter(|status| **status == 200).count()).sum();
    eprintln!("closed windows: {} MiB, {answered} answers", grown / MIB);
    assert!(answered > 5, "{answered} were answered");
    assert!(grown < SHARE + BESIDES, "{} MiB", grown / MIB);
    assert!(server.serves([127, 0, 0, 99]), "another caller is not served");
}

#[test]
fn heads_that_are_large_and_do_not_end_stay_within_the_share_of_their_caller() {
    let server = Running::start();
    assert!(server.serves([127, 0, 0, 99]));
    let before = server.resident();
    let head = format!("POST /mcp HTTP/1.1\r\nhost: localhost\r\nx-filler: {}", "x".repeat(60 * 1024));
    let connections: Vec<_> = (0..900)
        .map(|_| {
            let mut stream = connect_from([127, 0, 0, 2], server.address());
            // A connection that is cut takes nothing more.
            let _ = stream.write_all(head.as_bytes());
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let grown = server.grown(before);
    eprintln!("heads: {} MiB", grown / MIB);
    // 900 connections in addition.
    assert!(grown < SHARE + BESIDES, "{} MiB", grown / MIB);
    assert!(server.serves([127, 0, 0, 99]), "another caller is not served");
    drop(connections);
}

#[test]
fn one_body_and_one_answer_of_the_largest_size_pass_on_an_idle_server() {
    let server = Running::start();
    let mut client = Http2::new(connect_from([127, 0, 0, 2], server.address()), 65_535);
    client.hear(Duration::from_millis(100));
    let body = echo(4 * 1024 * 1024 - CALL.len() + 2);
    assert_eq!(body.len(), 4 * 1024 * 1024);
    let stream = client.post(&[("mcp-protocol-version", "2025-11-25")]);
    let mut sent = 0;
    while sent < body.len() && !client.is_closed {
        sent += client.send(stream, &body.as_bytes()[sent..], true);
        client.hear(Duration::from_millis(1));
    }
    // A busy machine takes its time.
    for _ in 0..300 {
        if client.is_closed || client.statuses.contains_key(&stream) && client.received > 60_000 {
            break;
        }
        client.hear(Duration::from_millis(100));
    }
    assert_eq!(client.statuses.get(&stream), Some(&200));
    assert!(client.received > 60_000, "{}", client.received);
}

#[test]
fn requests_that_wait_for_a_silent_issuer_stay_within_their_part() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let issuer = format!("http://{}", silent.local_addr().expect("an address"));
    let server = Running::with(&["--auth-issuer", &issuer]);
    let before = server.resident();
    let json = |text: &str| base64url(text.as_bytes());
    let claims = format!(
        r#"{{"iss":"{issuer}","aud":"http://{}/mcp","exp":99999999999,"sub":"a","azp":"http://{}/mcp"}}"#,
        server.address(),
        server.address()
    );
    let token = format!("Bearer {}.{}.{}", json(r#"{"alg":"RS256","kid":"k"}"#), json(&claims), json("x"));
    let filler = "x".repeat(50 * 1024);
    let mut clients: Vec<_> =
        (0..20).map(|number| Http2::new(connect_from([127, 0, 0, 2 + number], server.address()), 65_535)).collect();
    let body = vec![b' '; 60_000];
    for client in &mut clients {
        client.hear(Duration::from_millis(50));
        for _ in 0..100 {
            let stream = client.post(&[("authorization", &token), ("x-filler", &filler)]);
            client.send(stream, &body, false);
            client.hear(Duration::ZERO);
        }
    }
    let grown = server.grown(before);
    eprintln!("silent issuer: {} MiB", grown / MIB);
    assert!(grown < 32 * MIB + BESIDES, "{} MiB", grown / MIB);
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn log_that_nobody_reads_holds_no_more_than_its_part() {
    let keys = std::env::temp_dir().join(format!("attache-budget-{}.json", std::process::id()));
    let key = base64url(&[7; 32]);
    std::fs::write(&keys, format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","x":"{key}"}}]}}"#))
        .expect("a file");
    let mut command =
        crate::running::attache(&["serve", "--listen", "127.0.0.1:0", "--auth-issuer", "https://id.example"]);
    command.args(["--auth-jwks-file", keys.to_str().expect("a path"), "--limits-rate", "off"]);
    let server = Running::logging(command);
    let before = server.resident();
    let claims = format!(r#"{{"iss":"{}","aud":"a","exp":99999999999}}"#, "x".repeat(40 * 1024));
    let token = format!(
        "Bearer {}.{}.{}",
        base64url(br#"{"alg":"EdDSA","kid":"k"}"#),
        base64url(claims.as_bytes()),
        base64url(b"x")
    );
    let mut clients: Vec<_> =
        (0..4).map(|number| Http2::new(connect_from([127, 0, 0, 2 + number], server.address()), 65_535)).collect();
    for round in 0..2500 {
        let client = &mut clients[round % 4];
        let stream = client.post(&[("authorization", &token), ("content-length", "0")]);
        client.frame(0, 1, stream, b"");
        client.hear(Duration::ZERO);
    }
    let answers = |clients: &[Http2]| clients.iter().map(|client| client.statuses.len()).sum::<usize>();
    for _ in 0..300 {
        if answers(&clients) >= 2500 {
            break;
        }
        clients.iter_mut().for_each(|client| client.hear(Duration::from_millis(25)));
    }
    let (grown, answered) = (server.grown(before), answers(&clients));
    eprintln!("log: {} MiB after {answered} refusals", grown / MIB);
    assert!(answered > 2000, "{answered}");
    // Running requests also hold their heads.
    assert!(grown < 32 * MIB + SHARE + BESIDES, "{} MiB", grown / MIB);
    drop(server);
    let _ = std::fs::remove_file(keys);
}
