//! Guarantees for operators: misbehaving peers do not harm others, their resources are released,
//! and a stop ends the program.

use crate::running::Running;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}}}"#;

fn request(body: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nmcp-protocol-version: 2025-11-25\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request on a connection that stays open, and returns the status of the answer.
fn exchange(stream: &mut TcpStream, body: &str) -> std::io::Result<u16> {
    stream.write_all(request(body).as_bytes())?;
    let mut answer = vec![0; 4096];
    let mut length = 0;
    loop {
        let read = stream.read(&mut answer[length..])?;
        length += read;
        let text = String::from_utf8_lossy(&answer[..length]);
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let field = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if rest.len() >= field.and_then(|digits| digits.parse().ok()).unwrap_or(0) {
                return Ok(head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0));
            }
        }
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.set_nodelay(true).expect("a socket");
        stream
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("a process").count()
    }

    fn resident_kilobytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let figure = status.split("VmRSS:").nth(1).and_then(|rest| rest.split_whitespace().next());
        figure.and_then(|digits| digits.parse().ok()).expect("a number")
    }
}

#[test]
fn silent_half_open_and_trickling_peers_do_not_delay_a_call_and_their_descriptors_come_back() {
    let server = Running::start();
    assert_eq!(exchange(&mut server.connect(), CALL).expect("an answer"), 200);
    std::thread::sleep(Duration::from_millis(200));
    let before = server.descriptors();
    let silent: Vec<_> = (0..300).map(|_| server.connect()).collect();
    let half_open: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(&request(CALL).as_bytes()[..150]).expect("taken");
            stream
        })
        .collect();
    let mut trickling: Vec<_> = (0..50).map(|_| server.connect()).collect();
    let over = AtomicBool::new(false);
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for byte in request(CALL).as_bytes() {
                trickling.iter_mut().for_each(|stream| drop(stream.write_all(&[*byte])));
                if over.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        for _ in 0..40 {
            let started = Instant::now();
            assert_eq!(exchange(&mut server.connect(), CALL).expect("an answer"), 200);
            times.push(started.elapsed());
        }
        over.store(true, Ordering::Relaxed);
    });
    times.sort();
    // A busy machine delays some of the calls; blocking peers would delay all of them.
    assert!(times[times.len() / 2] < Duration::from_millis(50), "{times:?}");
    assert!(server.descriptors() >= before + 450);
    drop((silent, half_open, trickling));
    let started = Instant::now();
    while server.descriptors() > before {
        assert!(started.elapsed() < Duration::from_secs(5), "{} of {before}", server.descriptors());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn memory_is_flat_over_requests_of_every_kind() {
    let server = Running::start();
    let unknown = CALL.replace("echo", "ecco");
    let round = |times: usize| {
        let mut stream = server.connect();
        for _ in 0..times {
            for (body, status) in [(CALL, 200), (&unknown, 200), ("{", 400), (r#"{"jsonrpc":"2.0","method":"x"}"#, 202)]
            {
                assert_eq!(exchange(&mut stream, body).expect("an answer"), status);
            }
        }
        for _ in 0..times / 10 {
            let mut refused = server.connect();
            refused.write_all(b"GET /mcp HTTP/1.1\r\nhost: evil.example\r\n\r\n").expect("taken");
            let mut answer = Vec::new();
            refused.read_to_end(&mut answer).expect("an answer");
            assert!(answer.starts_with(b"HTTP/1.1 403"));
        }
    };
    round(1000);
    let before = server.resident_kilobytes();
    // The long run sets this to one million.
    let rounds = std::env::var("TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    round(rounds.unwrap_or(4000));
    let after = server.resident_kilobytes();
    assert!(after < before + 2048, "{before} kB, then {after} kB");
}

#[test]
fn program_that_was_killed_under_load_is_back_on_its_port_at_once() {
    let mut server = Running::start();
    let address = server.address().to_owned();
    let streams: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = server.connect();
            assert_eq!(exchange(&mut stream, CALL).expect("an answer"), 200);
            stream.write_all(request(CALL).as_bytes()).expect("taken");
            stream
        })
        .collect();
    server.child.kill().expect("a child");
    server.child.wait().expect("it ends");
    // The best of several, since a busy machine can delay any one of them.
    let fastest = (0..5)
        .map(|_| {
            let started = Instant::now();
            let again = Running::on(&address);
            assert_eq!(exchange(&mut again.connect(), CALL).expect("an answer"), 200);
            started.elapsed()
        })
        .min();
    assert!(fastest < Some(Duration::from_millis(200)), "{fastest:?}");
    drop(streams);
}

#[test]
fn stop_with_two_hundred_requests_under_way_answers_them_all() {
    let mut server = Running::start();
    let body = request(CALL);
    let (most, last) = body.split_at(body.len() - 1);
    let mut streams: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(most.as_bytes()).expect("taken");
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let sent = std::process::Command::new("kill").args(["-s", "TERM", &server.child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    std::thread::sleep(Duration::from_millis(200));
    assert!(TcpStream::connect(server.address()).is_err(), "new connections are refused");
    for stream in &mut streams {
        stream.write_all(last.as_bytes()).expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(server.child.wait().expect("it ends").success());
}

#[test]
fn program_that_has_run_out_of_descriptors_serves_again_as_soon_as_some_are_free() {
    let program = env!("CARGO_BIN_EXE_attache");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 60; exec \"$0\" serve --demo --listen 127.0.0.1:0", program]);
    let server = Running::of(command);
    let mut first = server.connect();
    assert_eq!(exchange(&mut first, CALL).expect("an answer"), 200);
    // More connections than there are descriptors; those that are not accepted wait in the system's
    // queue.
    let greedy: Vec<_> = (0..100).map(|_| server.connect()).collect();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(exchange(&mut first, CALL).expect("an answer"), 200);
    drop(greedy);
    assert_eq!(exchange(&mut server.connect(), CALL).expect("an answer"), 200);
}

#[test]
fn reload_of_a_program_that_has_nothing_to_read_again_does_not_end_it() {
    let mut server = Running::start();
    let hang_up = std::process::Command::new("kill").args(["-HUP", &server.child.id().to_string()]).status();
    assert!(hang_up.expect("kill").success());
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.child.try_wait().expect("a child").is_none(), "it has ended");
    assert_eq!(exchange(&mut server.connect(), CALL).expect("an answer"), 200);
}

#[test]
fn program_as_the_first_process_stops_when_it_is_asked_to() {
    let program = env!("CARGO_BIN_EXE_attache");
    let own_processes = ["--user", "--map-root-user", "--pid", "--fork"];
    if !std::process::Command::new("unshare").args(own_processes).arg("true").status().is_ok_and(|ran| ran.success()) {
        eprintln!("not shown here: this machine allows no process numbers of one's own");
        return;
    }
    let mut command = std::process::Command::new("unshare");
    command.args(own_processes).args([program, "serve", "--demo", "--listen", "127.0.0.1:0"]);
    let mut server = Running::of(command);
    let unshare = server.child.id();
    let first = std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).expect("a process");
    // The first process of a system gets only the signals that it handles.
    let sent = std::process::Command::new("kill").args(["-s", "TERM", first.trim()]).status();
    assert!(sent.expect("kill runs").success());
    ends_soon(&mut server.child);
    // Over standard input and output as well.
    let mut command = std::process::Command::new("unshare");
    command.args(own_processes).args([program, "serve", "--demo", "--stdio"]);
    let pipe = std::process::Stdio::piped;
    let mut child = command.stdin(pipe()).stdout(pipe()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").expect("taken");
    child.stdout.as_mut().expect("piped").read_exact(&mut [0; 8]).expect("an answer");
    let unshare = child.id();
    let first = std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).expect("a process");
    let sent = std::process::Command::new("kill").args(["-s", "TERM", first.trim()]).status();
    assert!(sent.expect("kill runs").success());
    ends_soon(&mut child);
    drop(input);
}

/// Waits for an end with exit code 0.
fn ends_soon(child: &mut std::process::Child) {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return assert!(status.success(), "{status}");
        }
        assert!(started.elapsed() < Duration::from_secs(5), "it does not stop");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn log_without_a_reader_blocks_nothing_and_reports_the_number_of_dropped_lines() {
    let figures = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let mut command = crate::running::attache(&["serve", "--listen", "127.0.0.1:0", "--log-exchanges", "true"]);
    command.args(["--log-format", "json", "--metrics-listen", &figures.to_string()]);
    let mut server = Running::logging(command);
    let mut stream = server.connect();
    for _ in 0..12_000 {
        assert_eq!(exchange(&mut stream, CALL).expect("an answer"), 200);
    }
    let log = server.child.stderr.take().expect("piped");
    let started = Instant::now();
    let told = std::io::BufRead::lines(std::io::BufReader::new(log)).find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        assert!(started.elapsed() < Duration::from_secs(30), "nothing is told");
        line["fields"]["lines"].as_u64()
    });
    let mut stream = TcpStream::connect(figures).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").expect("taken");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("figures");
    let counted = text.lines().find_map(|line| line.strip_prefix("attache_log_lines_dropped_total "));
    let counted = counted.and_then(|digits| digits.parse::<u64>().ok()).unwrap_or_else(|| panic!("{text}"));
    // More lines may have been dropped by now.
    assert!(counted >= told.expect("lines"), "{counted}, and {told:?} were told of");
}
