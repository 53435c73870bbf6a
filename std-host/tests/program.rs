//! The program `attache` from the view of a user or a client.

mod running;

use core::time::Duration;
use running::{Running, attache};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

#[test]
fn serve_answers_at_the_url_it_prints_soon_after_its_start_and_stays_small() {
    // The best of several, since a busy machine can delay any one of them.
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
    // In an unoptimised build most of the resident memory is the file itself, which is ten times
    // the size of the release build.
    let figure = if cfg!(debug_assertions) { "RssAnon:" } else { "VmRSS:" };
    // Only Linux reports it.
    if let Some(resident) = status.ok().as_deref().and_then(|status| status.split(figure).nth(1)) {
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

#[cfg(unix)]
impl Running {
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the end of the program, and returns its exit status and the time it took.
    fn ended(&mut self) -> (std::process::ExitStatus, Duration) {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (status, started.elapsed());
            }
            assert!(started.elapsed() < Duration::from_secs(30), "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Opens a connection and sends this part of a request.
    fn begin(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        stream.write_all(request.as_bytes()).expect("taken");
        // The test cannot see when the program has read it.
        std::thread::sleep(Duration::from_millis(100));
        stream
    }
}

#[cfg(unix)]
const WITHOUT_ITS_BODY: &str =
    "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";

#[cfg(unix)]
#[test]
fn signal_to_stop_ends_an_idle_server_at_once_and_well() {
    for name in ["TERM", "INT"] {
        let mut server = Running::start();
        let _idle = server.begin("");
        server.signal(name);
        let (status, time) = server.ended();
        assert!(status.success() && time < Duration::from_secs(2), "{name}: {status} after {time:?}");
    }
}

#[cfg(unix)]
#[test]
fn half_open_request_holds_the_stop_up_no_longer_than_the_grace_and_is_answered_within_it() {
    let mut server = Running::start();
    let mut completed = server.begin(WITHOUT_ITS_BODY);
    let _stalled = server.begin(WITHOUT_ITS_BODY);
    server.signal("TERM");
    std::thread::sleep(Duration::from_millis(100));
    completed.write_all(b"        ").expect("taken");
    let mut answer = String::new();
    completed.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let (status, time) = server.ended();
    let grace = attache_host::limits::STOP_GRACE;
    assert!(status.success() && time > grace / 2 && time < grace + Duration::from_secs(2), "{status} after {time:?}");
}

#[cfg(unix)]
#[test]
fn second_signal_ends_the_server_whatever_is_open() {
    let mut server = Running::start();
    let _stalled = server.begin(WITHOUT_ITS_BODY);
    server.signal("INT");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(server.child.try_wait().expect("a child"), None);
    server.signal("TERM");
    let (status, time) = server.ended();
    assert!(status.success() && time < Duration::from_secs(2), "{status} after {time:?}");
}

#[cfg(unix)]
#[test]
fn head_that_does_not_end_in_time_loses_its_connection() {
    let server = Running::start();
    let mut stream = server.begin("POST /mcp HTTP/1.1\r\nhost: loc");
    let limit = attache_host::limits::HEAD_TIME;
    stream.set_read_timeout(Some(limit + Duration::from_secs(5))).expect("a timeout");
    let started = Instant::now();
    stream.read_to_end(&mut Vec::new()).expect("the end of the connection");
    assert!(started.elapsed() > limit / 2, "{:?}", started.elapsed());
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
