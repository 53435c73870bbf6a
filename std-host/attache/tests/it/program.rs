//! The program `attache` from the view of a user or a client.

use crate::running::{Running, attache};
use core::time::Duration;
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
    // An unoptimised build takes three times as long, next to the other tests.
    let bound = Duration::from_millis(if cfg!(debug_assertions) { 150 } else { 50 });
    assert!(fastest < Some(bound), "start to first answer took {fastest:?}");

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
fn version_is_that_of_the_program() {
    let run = attache(&["--version"]).output().expect("the program runs");
    assert_eq!(String::from_utf8_lossy(&run.stdout), format!("attache {}\n", env!("CARGO_PKG_VERSION")));
}

#[cfg(unix)]
#[test]
fn program_of_another_author_has_its_own_name_and_tells_the_version_of_attache() {
    let file = std::env::temp_dir().join(format!("notes-{}", std::process::id()));
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_attache"), &file).expect("a link");
    let run = std::process::Command::new(&file).arg("--version").output().expect("the program runs");
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(String::from_utf8_lossy(&run.stdout), format!("{name} (attache {})\n", env!("CARGO_PKG_VERSION")));
    let _ = std::fs::remove_file(file);
}

/// The exit code of the program if it writes where its reader has gone.
#[cfg(unix)]
fn unread(arguments: &[&str]) -> Option<i32> {
    let gone = || std::io::pipe().expect("a pipe").1;
    let mut command = attache(arguments);
    command.stdout(gone()).stderr(gone()).status().expect("the program runs").code()
}

/// The exit code of the program if it was started without these descriptors.
#[cfg(unix)]
fn without(descriptors: &str, arguments: &[&str]) -> Option<i32> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec \"$0\" \"$@\" {descriptors}"), env!("CARGO_BIN_EXE_attache")]).args(arguments);
    command.stdin(Stdio::null()).status().expect("sh runs").code()
}

#[cfg(unix)]
#[test]
fn reader_that_closes_its_end_of_a_pipe_is_never_a_panic() {
    let keys = std::env::temp_dir().join(format!("attache-unread-{}", std::process::id()));
    let keys = keys.to_str().expect("UTF-8");
    for arguments in [
        &["config"][..],
        &["config", "--schema"],
        &["mcp-json"],
        &["mcp-json", "--stdio"],
        &["check"],
        &["key", "add", "a", "--keys-file", keys],
        &["key", "list", "--keys-file", keys],
        &["--help"],
        &["--version"],
    ] {
        assert_eq!(unread(arguments), Some(0), "{arguments:?}");
    }
    let _ = std::fs::remove_file(keys);
    for (arguments, expected) in [(&["serve", "--listen", "nowhere"][..], 2), (&["key", "list"], 2)] {
        assert_eq!(unread(arguments), Some(expected), "{arguments:?}");
        assert_eq!(without(">&- 2>&-", arguments), Some(expected), "{arguments:?}");
    }
    assert_eq!(without(">&- 2>&-", &["config"]), Some(0));
}

#[test]
fn client_of_stdio_that_goes_away_ends_the_program_well() {
    let mut child = attache(&["serve", "--stdio"]).stdin(Stdio::piped()).spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("piped above");
    // It reads nothing, and keeps its other end open.
    drop(child.stdout.take());
    input.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").expect("taken");
    let run = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && !said.contains("panic"), "{}: {said}", run.status);
}

#[cfg(unix)]
#[test]
fn signal_to_stop_ends_stdio_at_once_and_well() {
    for name in ["TERM", "INT"] {
        let mut child = attache(&["serve", "--stdio"]).stdin(Stdio::piped()).spawn().expect("the program starts");
        let mut input = child.stdin.take().expect("piped above");
        input.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").expect("taken");
        let mut answer = [0; 8];
        child.stdout.as_mut().expect("piped").read_exact(&mut answer).expect("an answer");
        let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        let started = Instant::now();
        let run = child.wait().expect("it ends");
        assert!(run.success() && started.elapsed() < Duration::from_secs(2), "{name}: {run}");
        drop(input);
    }
}

#[test]
fn one_document_for_a_client_names_all_servers_by_the_names_that_clients_use() {
    let directory = std::env::temp_dir().join(format!("attache-client-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join("attache.toml");
    let run = |text: &str, arguments: &[&str]| -> serde_json::Value {
        std::fs::write(&file, text).expect("written");
        let path = file.to_str().expect("UTF-8");
        let run = attache(&[&["mcp-json", "--config", path], arguments].concat()).output().expect("it runs");
        serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&run.stderr)))
    };
    let two = "[[server]]\n[[server]]\npath = \"/adder\"\n";
    let urls = |json: &serde_json::Value, list: &str| -> Vec<(String, String)> {
        let servers = json[list].as_object().expect("servers");
        servers.iter().map(|(name, server)| (name.clone(), server["url"].as_str().expect("a URL").to_owned())).collect()
    };
    let pair = |name: &str, url: &str| (name.to_owned(), url.to_owned());
    assert_eq!(
        urls(&run(two, &[]), "servers"),
        [pair("attache", "http://127.0.0.1:8080/mcp"), pair("attache-adder", "http://127.0.0.1:8080/adder")]
    );
    for (text, arguments, list, url) in [
        ("listen = \"0.0.0.0:80\"", &[][..], "servers", "http://localhost:80/mcp"),
        ("listen = \"0.0.0.0:8443\"\nallow_host = \"api.example\"", &[], "servers", "http://api.example:8443/mcp"),
        ("allow_host = \"api.example\"", &[], "servers", "https://api.example/mcp"),
        ("allow_host = \"localhost, api.example\"", &[], "servers", "https://api.example/mcp"),
        ("allow_host = \"localhost\"", &[], "servers", "http://127.0.0.1:8080/mcp"),
        ("", &["--for", "claude"], "mcpServers", "http://127.0.0.1:8080/mcp"),
        ("", &["--for", "cursor"], "mcpServers", "http://127.0.0.1:8080/mcp"),
    ] {
        assert_eq!(urls(&run(text, arguments), list), [pair("attache", url)], "{text} {arguments:?}");
    }
    let json = run("", &["--stdio", "--for", "claude"]);
    let server = &json["mcpServers"]["attache"];
    assert!(server["command"].as_str().is_some_and(|program| program.ends_with("attache")), "{json}");
    assert_eq!(server["args"][1], "--stdio", "{json}");
    let keyed = run("[auth]\nkeys_file = \"k\"\n[[server]]\n[[server]]\npath = \"/adder\"\n", &[]);
    assert_eq!(keyed["inputs"].as_array().map(Vec::len), Some(2), "{keyed}");
    let _ = std::fs::remove_dir_all(&directory);
}

#[test]
fn short_help_has_the_basics_and_long_help_everything_under_headings() {
    let help = |flag: &str| {
        let run = attache(&["serve", flag]).output().expect("the program runs");
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    let (short, long) = (help("-h"), help("--help"));
    assert!(short.contains("--auth-keys-file") && !short.contains("--limits-stall-time"), "{short}");
    for words in
        ["Who may call:", "TLS:", "Limits:", "--limits-stall-time", "[default: 30s, env: ATTACHE_LIMITS_STALL_TIME"]
    {
        assert!(long.contains(words), "{words}\n{long}");
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

/// Asks for a page as a browser does, and returns the status, the media type and the text.
fn page(server: &Running, path: &str) -> (String, String, String) {
    let mut stream = std::net::TcpStream::connect(server.address()).expect("it listens");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\r\n"
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("taken");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).expect("an answer");
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    (head.split(' ').nth(1).unwrap_or_default().to_owned(), kind.to_owned(), text.to_owned())
}

#[test]
fn person_with_a_browser_reads_a_sentence_at_the_root_and_at_the_endpoint() {
    let server = Running::start();
    for (path, status, words) in [("/", "404", "at /mcp on this host"), ("/mcp", "405", "the URL of this page")] {
        let (found, kind, text) = page(&server, path);
        assert_eq!((found.as_str(), kind.as_str()), (status, "text/plain; charset=utf-8"), "{path}: {text}");
        assert!(text.contains("Model Context Protocol (MCP), for programs and not for browsers"), "{path}: {text}");
        assert!(text.contains(words), "{path}: {text}");
    }
    assert_eq!(page(&server, "/other"), ("404".to_owned(), String::new(), String::new()));
}

#[test]
fn shells_get_completions_and_man_gets_pages_that_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let run = attache(&["completions", shell]).output().expect("the program runs");
        let script = String::from_utf8_lossy(&run.stdout);
        for word in ["serve", "check", "mcp-json", "auth-keys-file"] {
            assert!(run.status.success() && script.contains(word), "{shell} {word}");
        }
    }
    for (arguments, words) in [
        (&["man"][..], &[".TH attache 1", "attache\\-serve(1)"][..]),
        (&["man", "serve"], &[".TH attache-serve 1", "ATTACHE_LISTEN", "127.0.0.1:8080"]),
    ] {
        let run = attache(arguments).output().expect("the program runs");
        let page = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && words.iter().all(|word| page.contains(word)), "{arguments:?}: {page}");
    }
    let unknown = attache(&["man", "nothing"]).output().expect("the program runs");
    assert_eq!(unknown.status.code(), Some(2), "{}", String::from_utf8_lossy(&unknown.stderr));
}

#[test]
fn short_help_has_the_basics_in_one_line_each_and_the_long_one_has_all_with_variable_and_key() {
    let help = |flag: &str| {
        let run = attache(&["serve", flag]).output().expect("the program runs");
        String::from_utf8(run.stdout).expect("UTF-8")
    };
    let (short, long) = (help("-h"), help("--help"));
    assert!(short.lines().count() < 40, "{short}");
    assert!(short.contains("--auth-keys-file") && !short.contains("--limits-share"), "{short}");
    for heading in
        ["Server:", "Who may call:", "TLS:", "Limits:", "Sessions:", "Behind a proxy:", "Log, metrics, traces:"]
    {
        assert!(long.lines().any(|line| line == heading), "{heading}\n{long}");
    }
    assert!(
        long.lines().any(|line| line.trim() == "[default: 50, env: ATTACHE_LIMITS_SHARE, key: limits.share]"),
        "{long}"
    );
    assert!(long.lines().chain(short.lines()).all(|line| line.chars().count() <= 100), "{short}\n{long}");
}
