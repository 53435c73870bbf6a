//! `mode = "proxy"`: HTTP applications behind the access checks. Most applications here are scripts: bytes that are sent whatever the
//! request is.

use crate::access::{Directory, issuer, takes_tokens};
use crate::running::{Running, attache};
use core::net::SocketAddr;
use core::time::Duration;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// What an application does with a connection, after it has read a head.
type Script = fn(&mut TcpStream, &str);

/// An application that runs a script for each connection, and keeps the heads that it has got.
struct App {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl App {
    fn new(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (address, heads) = (listener.local_addr().expect("an address"), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, kept) = (stream.expect("a connection"), Arc::clone(&kept));
                std::thread::spawn(move || {
                    let head = head(&mut stream);
                    kept.lock().expect("not poisoned").push(head.clone());
                    script(&mut stream, &head);
                });
            }
        });
        Self { address, heads }
    }

    /// An application that answers with these bytes and closes the connection.
    fn saying(answer: &'static str) -> Self {
        match answer {
            "" => Self::new(|_, _| ()),
            _ => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                let address = listener.local_addr().expect("an address");
                std::thread::spawn(move || {
                    for stream in listener.incoming() {
                        let mut stream = stream.expect("a connection");
                        std::thread::spawn(move || {
                            let _ = head(&mut stream);
                            let _ = stream.write_all(answer.as_bytes());
                        });
                    }
                });
                Self { address, heads: Arc::default() }
            }
        }
    }

    fn head(&self) -> String {
        self.heads.lock().expect("not poisoned").last().cloned().expect("a request")
    }

    fn requests(&self) -> usize {
        self.heads.lock().expect("not poisoned").len()
    }
}

/// Reads up to the end of a head, byte by byte, so that the body stays in the stream.
fn head(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ok(stream: &mut TcpStream, _: &str) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
}

fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("attache-proxy-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}

/// Writes a configuration with one proxy.
fn file(name: &str, settings: &str, backend: &str, routes: &str) -> String {
    let file = directory(name).join("attache.toml");
    let text = format!(
        "[[server]]\npath = \"/\"\nmode = \"proxy\"\n{settings}\n[[server.backend]]\nname = \"app\"\n{backend}\n{routes}\n"
    );
    std::fs::write(&file, text).expect("written");
    file.to_str().expect("UTF-8").to_owned()
}

fn program(arguments: &[&str]) -> Command {
    let mut command = attache(arguments);
    command.env_remove("ATTACHE_DEMO");
    command
}

/// Serves an application with these settings and routes.
fn serve(name: &str, app: &App, settings: &str, routes: &str) -> Running {
    let file = file(name, settings, &format!("url = \"http://{}\"", app.address), routes);
    Running::of(program(&["serve", "--listen", "127.0.0.1:0", "--config", &file]))
}

/// Sends bytes, and reads until the server closes the connection.
fn exchange(server: &Running, bytes: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(bytes.as_bytes()).expect("taken");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request with these fields on a connection of its own.
fn get(server: &Running, target: &str, fields: &str) -> String {
    exchange(server, &format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}\r\n"))
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

/// The value of a field of a head.
fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn application_gets_the_request_without_what_only_the_platform_may_say() {
    let app = App::new(ok);
    let server = serve("fields", &app, "", "");
    let fields = "X-MS-CLIENT-PRINCIPAL: forged\r\nX_MS_CLIENT_PRINCIPAL_ID: forged\r\nx-forwarded-for: 6.6.6.6\r\n\
                  Forwarded: for=6.6.6.6\r\nx-ms-invocation-id: forged\r\nx-listed: forged\r\nkeep-alive: timeout=1\r\n\
                  cookie: theme=dark; attache-s-1=secret\r\nx-functions-key: secret\r\nx-own: kept\r\nauthorization: Basic eA==\r\n";
    let fields = fields.replace("connection: close", "") + "connection: x-listed\r\n";
    let answer = exchange(
        &server,
        &format!("GET /a/b?c=d&code=e HTTP/1.1\r\nhost: localhost:1\r\nconnection: close\r\n{fields}\r\n"),
    );
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let head = app.head().to_ascii_lowercase();
    assert!(head.starts_with("get /a/b?c=d&code=e http/1.1\r\n"), "{head}");
    assert!(!head.contains("forged") && !head.contains("6.6.6.6") && !head.contains("secret"), "{head}");
    for (name, value) in [
        ("host", app.address.to_string().as_str()),
        ("x-forwarded-host", "localhost:1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-for", "127.0.0.1"),
        ("via", "1.1 attache"),
        ("cookie", "theme=dark"),
        ("x-own", "kept"),
        // This server accepts no tokens, so the credentials are for the application.
        ("authorization", "basic ea=="),
    ] {
        assert_eq!(field(&head, name), Some(value), "{name}: {head}");
    }
    assert!(field(&head, "x-ms-invocation-id").is_some_and(|id| id.len() == 36), "{head}");
}

#[test]
fn answer_that_has_two_readings_or_none_is_not_passed_on() {
    for (name, answer, expected) in [
        ("lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc", "502"),
        ("both", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "502"),
        ("not-http", "hello\r\n\r\n", "502"),
        ("nothing", "", "502"),
        ("unasked", "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", "502"),
        // Hints before the answer are for the proxy.
        (
            "hints",
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "200",
        ),
        ("sound", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "404"),
    ] {
        let app = App::saying(answer);
        let server = serve(&format!("answer-{name}"), &app, "", "");
        let answer = get(&server, "/", "");
        assert_eq!(status(&answer), expected, "{name}: {answer}");
        assert!(!answer.contains("/a.css"), "{answer}");
    }
}

#[test]
fn head_without_an_end_is_cut() {
    let app = App::new(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"x-more: and more and more and more\r\n").is_ok() {}
    });
    let server = serve("endless", &app, "", "");
    assert_eq!(status(&get(&server, "/", "")), "502");
}

#[test]
fn application_that_does_not_answer_costs_504_and_one_that_is_not_there_502() {
    let app = App::new(|stream, _| drop(stream.read_to_end(&mut Vec::new())));
    let server = serve("late", &app, "upstream.timeout = \"300ms\"", "");
    assert_eq!(status(&get(&server, "/", "")), "504");
    let nowhere = App { address: "127.0.0.1:1".parse().expect("an address"), heads: Arc::default() };
    let server = serve("nowhere", &nowhere, "", "");
    let answer = get(&server, "/", "");
    assert!(status(&answer) == "502" && answer.contains("cannot be reached"), "{answer}");
}

#[test]
fn both_directions_stream_and_an_early_answer_arrives() {
    // Answers with each byte of the body as soon as it has come.
    let app = App::new(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
        let mut byte = [0];
        while stream.read(&mut byte).is_ok_and(|read| read == 1) {
            if byte[0].is_ascii_uppercase() {
                let _ = write!(stream, "1\r\n{}\r\n", char::from(byte[0]));
            }
            if byte[0] == b'Z' {
                let _ = stream.write_all(b"0\r\n\r\n");
                let _ = stream.read_to_end(&mut Vec::new());
                return;
            }
        }
    });
    let server = serve("stream", &app, "", "");
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1\r\nA\r\n")
        .expect("taken");
    let until = |stream: &mut TcpStream, wanted: &str| {
        let (mut read, mut byte) = (String::new(), [0]);
        while !read.ends_with(wanted) {
            assert_eq!(stream.read(&mut byte).expect("a byte"), 1, "{read}");
            read.push(char::from(byte[0]));
        }
        read
    };
    // The first piece comes back while the request goes on.
    let begun = until(&mut stream, "A\r\n");
    assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
    stream.write_all(b"1\r\nB\r\n").expect("taken");
    until(&mut stream, "B\r\n");
    stream.write_all(b"1\r\nZ\r\n0\r\n\r\n").expect("taken");
    until(&mut stream, "0\r\n\r\n");

    let refuses = App::new(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        // A socket that is closed with unread bytes is reset, and the answer may be lost.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let server = serve("early", &refuses, "", "");
    let answer =
        exchange(&server, "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nonly the beginning");
    assert_eq!(status(&answer), "413", "{answer}");
}

#[test]
fn trailers_of_an_answer_pass_without_those_that_belong_to_a_head() {
    let app = App::new(|stream, head| {
        assert!(head.to_ascii_lowercase().contains("te: trailers"), "{head}");
        let _ = stream.write_all(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, set-cookie\r\nconnection: close\r\n\r\n\
              2\r\nok\r\n0\r\nx-sum: 1\r\nset-cookie: attache-s-1=x\r\n\r\n",
        );
    });
    let server = serve("trailers", &app, "", "");
    let answer = get(&server, "/", "te: trailers\r\n");
    assert!(answer.contains("x-sum: 1") && !answer.contains("attache-s-1"), "{answer}");
}

#[test]
fn challenges_own_cookies_and_oauth_metadata_never_come_from_an_application() {
    let app = App::new(|stream, _| {
        let _ = stream.write_all(
            b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer resource_metadata=\"http://evil.example\"\r\n\
              set-cookie: __Host-attache-s-1=x\r\nset-cookie: theme=dark\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        );
    });
    let server = serve("claims", &app, "", "");
    let answer = get(&server, "/", "").to_ascii_lowercase();
    assert!(status(&answer) == "401" && answer.contains("theme=dark"), "{answer}");
    assert!(!answer.contains("evil") && !answer.contains("attache-s-1"), "{answer}");
    let before = app.requests();
    for target in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server/mcp",
        "/%2ewell-known/oauth-protected-resource",
        "//.well-known/oauth-protected-resource",
        "/a/../.well-known/oauth-protected-resource",
        "/.well-known%2foauth-protected-resource",
    ] {
        assert_eq!(status(&get(&server, target, "")), "404", "{target}");
    }
    assert_eq!(app.requests(), before, "the application has not been asked");
    assert_eq!(status(&get(&server, "/.well-known/security.txt", "")), "401");
}

#[test]
fn connection_that_is_upgraded_passes_bytes_both_ways_except_on_mcp_paths() {
    let app = App::new(|stream, _| {
        let _ = stream.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n",
        );
        let mut buffer = [0; 64];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            let _ = stream.write_all(&buffer[..read]);
        }
    });
    let server = serve("upgrade", &app, "upstream.mcp_paths = [\"/mcp\"]", "");
    let ask = |path: &str, protocol: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\n\r\n")
    };
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.write_all(ask("/socket", "websocket").as_bytes()).expect("taken");
    let answered = head(&mut stream);
    assert!(status(&answered) == "101" && answered.contains("sec-websocket-accept: x"), "{answered}");
    // Bytes that are not a head: lone line feeds, zeros, and what begins like a request.
    for piece in [&b"\n\n\0\xff"[..], b"POST / HTTP/1.1\ncontent-length: 5\r\n\r\n", b"end"] {
        stream.write_all(piece).expect("taken");
        let mut back = vec![0; piece.len()];
        stream.read_exact(&mut back).expect("the bytes come back");
        assert_eq!(back, piece);
    }
    drop(stream);
    for path in ["/mcp", "/mcp/"] {
        let answer = exchange(&server, &ask(path, "websocket"));
        assert!(status(&answer) == "400" && answer.contains("Upgrade"), "{path}: {answer}");
    }
    // Another version of HTTP would hide requests from the checks, so it is not asked for.
    assert_eq!(status(&exchange(&server, &ask("/socket", "h2c"))), "502");
    assert!(!app.head().to_ascii_lowercase().contains("upgrade"), "{}", app.head());
}

#[test]
fn levels_differ_by_route_and_a_path_with_two_readings_is_refused() {
    let app = App::new(ok);
    let keys = directory("keys").join("keys.json");
    let keys = keys.to_str().expect("UTF-8");
    let add = |name: &str, level: &str| {
        let ran = attache(&["key", "add", name, "--level", level, "--keys-file", keys]).output().expect("it runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{said}");
        let words = said.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '='));
        words.max_by_key(|word| word.len()).expect("a key").to_owned()
    };
    let (host, master) = (add("ops", "host"), add("root", "master"));
    let routes = "[[server.route]]\npath = \"/public/*\"\nlevel = \"anonymous\"\n\
                  [[server.route]]\npath = \"/admin/*\"\nlevel = \"admin\"\n";
    let server = serve("levels", &app, &format!("auth.keys_file = {keys:?}"), routes);
    let with = |path: &str, key: &str| {
        let fields = if key.is_empty() { String::new() } else { format!("x-functions-key: {key}\r\n") };
        status(&get(&server, path, &fields)).to_owned()
    };
    for (path, anonymous, by_host, by_master) in [
        ("/", "401", "200", "200"),
        ("/other", "401", "200", "200"),
        ("/public", "200", "200", "200"),
        ("/public/a", "200", "200", "200"),
        ("/publicity", "401", "200", "200"),
        ("/admin", "401", "401", "200"),
        ("/admin/a", "401", "401", "200"),
    ] {
        let found = [with(path, ""), with(path, &host), with(path, &master)];
        assert_eq!(found, [anonymous, by_host, by_master], "{path}");
    }
    let before = app.requests();
    for path in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public/..;/admin",
        "/public//admin",
        "/public\\..\\admin",
        "/%61dmin",
        "/Admin",
        "/ADMIN/a",
        "/PUBLIC/a",
        "/public%2fa",
        "/public/a%00",
        "/public/%zz",
    ] {
        assert_eq!(with(path, &host), "400", "{path}");
    }
    assert_eq!(app.requests(), before, "the application has not been asked");
}

#[test]
fn part_of_an_application_is_served_below_the_path_of_its_server() {
    let app = App::new(ok);
    let file = directory("part").join("attache.toml");
    let text = format!(
        "[[server]]\npath = \"/app\"\nmode = \"proxy\"\n[[server.backend]]\nname = \"app\"\nurl = \"http://{}\"\n",
        app.address
    );
    std::fs::write(&file, text).expect("written");
    let server = Running::of(program(&["serve", "--listen", "127.0.0.1:0", "--config", file.to_str().expect("UTF-8")]));
    for (path, expected) in
        [("/app", "200"), ("/app/", "200"), ("/app/a?b", "200"), ("/", "404"), ("/other", "404"), ("/app/../x", "400")]
    {
        assert_eq!(status(&get(&server, path, "")), expected, "{path}");
    }
    assert!(app.head().starts_with("GET /app/a?b "), "{}", app.head());
}

#[test]
fn methods_that_would_pass_the_checks_or_show_the_fields_are_refused() {
    let app = App::new(ok);
    let server = serve("methods", &app, "", "");
    for (line, host, expected) in [
        ("TRACE / HTTP/1.1", "localhost", "405"),
        ("CONNECT localhost:80 HTTP/1.1", "localhost:80", "405"),
        ("OPTIONS * HTTP/1.1", "localhost", "400"),
    ] {
        let answer = exchange(&server, &format!("{line}\r\nhost: {host}\r\nconnection: close\r\n\r\n"));
        assert_eq!(status(&answer), expected, "{line}: {answer}");
    }
    assert_eq!(app.requests(), 0);
    let answer = exchange(&server, "PROPFIND /a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert_eq!(status(&answer), "200", "any other method passes: {answer}");
}

const ATTACHE: &str = env!("CARGO_BIN_EXE_attache");

/// The processes of the program that have this word in their command line.
fn children(server: &Running, word: &str) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.child.id())).expect("Linux");
    let of_thread = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children"));
    let all: String = threads.flatten().filter_map(|thread| of_thread(thread).ok()).collect();
    let has_word =
        |id: &&str| std::fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.contains(word));
    all.split_whitespace().filter(has_word).map(str::to_owned).collect()
}

/// Waits until something is so, and fails after 60 seconds.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(std::time::Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn application_that_is_a_command_is_started_and_started_again_when_it_ends() {
    let backend = format!(
        "url = \"http://127.0.0.1:{{port}}\"\ncommand = [{ATTACHE:?}, \"serve\", \"--listen\", \"127.0.0.1:{{port}}\"]\n\
         env = {{ ATTACHE_DEMO = \"true\" }}"
    );
    let file = file("command", "upstream.mcp_paths = [\"/mcp\"]", &backend, "");
    let server = Running::of(program(&["serve", "--listen", "127.0.0.1:0", "--config", &file]));
    let listed = || server.list("/mcp");
    assert_eq!(listed(), "HTTP/1.1 200 OK", "a request waits for the start");
    let app = children(&server, "--listen").first().expect("the application is a child").clone();
    assert!(Command::new("kill").args(["-9", &app]).status().expect("it runs").success());
    until("it is started again", || listed() == "HTTP/1.1 200 OK");
    assert_eq!(status(&get(&server, "/readyz", "")), "200");
}

#[test]
fn configuration_of_a_proxy_with_a_mistake_names_it() {
    for (name, settings, backend, routes, words) in [
        ("none", "", "tools_dir = \"/\"", "", &["mode = \"proxy\"", "url"][..]),
        ("path", "", "url = \"http://127.0.0.1:3000/mcp\"", "", &["without a path"]),
        ("prefix", "", "url = \"http://127.0.0.1:3000\"\nprefix = \"a_\"", "", &["prefix has no use"]),
        ("idle", "", "url = \"http://127.0.0.1:3000\"\nback_off = \"1s\"", "", &["back_off"]),
        ("far", "", "url = \"http://192.0.2.1:{port}\"\ncommand = [\"sh\", \"{port}\"]", "", &["127.0.0.1"]),
        ("mcp", "upstream.mcp_paths = [\"/a/../b\"]", "url = \"http://127.0.0.1:3000\"", "", &["mcp_paths", "/a/../b"]),
        (
            "twice",
            "",
            "url = \"http://127.0.0.1:3000\"",
            "[[server.route]]\npath = \"/a/*\"\n[[server.route]]\npath = \"/a/{*rest}\"",
            &["two routes /a/*"],
        ),
        (
            "level",
            "",
            "url = \"http://127.0.0.1:3000\"",
            "[[server.route]]\npath = \"/a\"\nlevel = \"x\"",
            &["anonymous"],
        ),
        ("unknown", "", "url = \"http://127.0.0.1:3000\"", "[[server.route]]\npath = \"/a\"\ncolour = 1", &["colour"]),
    ] {
        let file = file(&format!("mistake-{name}"), settings, backend, routes);
        let ran = program(&["check", "--config", &file]).output().expect("it runs");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{name}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{name}: {said}");
        assert!(said.contains("attache.toml:"), "{name}: the place is named: {said}");
    }
}

/// A function app whose handler is this program.
fn handler(name: &str, host: &str) -> PathBuf {
    let app = directory(name);
    std::fs::write(app.join("host.json"), host.replace("PROGRAM", ATTACHE)).expect("written");
    std::fs::write(
        app.join("local.settings.json"),
        r#"{"IsEncrypted": false, "Values": {"COMMAND": "serve", "ATTACHE_DEMO": "true",
            "AzureWebJobsFeatureFlags": "EnableMcpCustomHandlerPreview"}}"#,
    )
    .expect("written");
    app
}

const SHORT: &str = r#"{"version": "2.0", "configurationProfile": "mcp-custom-handler", "customHandler": {
    "description": {"defaultExecutablePath": "PROGRAM", "arguments": ["%COMMAND%"]}}}"#;
const LONG: &str = r#"{"version": "2.0", "customHandler": {
    "description": {"defaultExecutablePath": "PROGRAM", "arguments": ["%COMMAND%"]},
    "enableProxyingHttpRequest": true, "http": {"DefaultAuthorizationLevel": "Anonymous", "routes": [{"route": "{*route}"}]}},
    "extensions": {"http": {"routePrefix": ""}}}"#;

#[test]
fn handler_of_host_json_is_started_and_gets_the_requests_as_they_are() {
    for (name, host) in [("short", SHORT), ("long", LONG)] {
        let app = handler(name, host);
        let server = Running::of(program(&["functions", "--listen", "127.0.0.1:0", app.to_str().expect("UTF-8")]));
        assert!(server.greeting.contains("/mcp"), "{}", server.greeting);
        assert_eq!(server.list("/mcp"), "HTTP/1.1 200 OK", "{name}");
        // The front page of the handler: every path is forwarded.
        assert!(get(&server, "/", "").contains("Model Context Protocol"), "{name}");
    }
}

#[test]
fn handler_ends_with_the_program_even_if_that_is_killed() {
    let app = handler("killed", SHORT);
    let server = Running::of(program(&["functions", "--listen", "127.0.0.1:0", app.to_str().expect("UTF-8")]));
    assert_eq!(server.list("/mcp"), "HTTP/1.1 200 OK");
    let handlers = children(&server, "serve");
    assert_eq!(handlers.len(), 1, "{handlers:?}");
    // The test kills the program with SIGKILL.
    drop(server);
    until("the handler lives on", || handlers.iter().all(|id| !std::path::Path::new(&format!("/proc/{id}")).exists()));
}

#[test]
fn two_hundred_streams_at_once_fit_into_64_mib() {
    let app = App::new(|stream, _| {
        let _ = stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n6\r\ndata:a\r\n",
        );
        // The stream stays open until the proxy closes it.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let server = serve("streams", &app, "", "");
    let streams: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).expect("it listens");
            stream.write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("taken");
            let answered = head(&mut stream);
            assert_eq!(status(&answered), "200", "{answered}");
            stream
        })
        .collect();
    let memory = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).expect("Linux");
    let resident =
        memory.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    assert!(resident.is_some_and(|kilobytes: u64| kilobytes < 64 * 1024), "{resident:?} KiB");
    drop(streams);
}

#[test]
fn handler_needs_a_host_key_unless_its_level_is_anonymous() {
    let keys = directory("handler-keys").join("keys.json");
    let keys = keys.to_str().expect("UTF-8");
    assert!(attache(&["key", "add", "default", "--keys-file", keys]).output().expect("it runs").status.success());
    for (name, host, expected) in [("keyed", SHORT, "HTTP/1.1 401 Unauthorized"), ("open", LONG, "HTTP/1.1 200 OK")] {
        let app = handler(name, host);
        let arguments =
            ["functions", "--listen", "127.0.0.1:0", "--auth-keys-file", keys, app.to_str().expect("UTF-8")];
        let server = Running::of(program(&arguments));
        assert_eq!(server.list("/mcp"), expected, "{name}");
    }
    let app = handler("far", SHORT);
    let run = program(&["functions", "--listen", "0.0.0.0:0", app.to_str().expect("UTF-8")]).output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(2) && said.contains("attache key add default"), "{said}");
}

#[test]
fn handler_that_does_not_start_is_told_with_its_output() {
    for (name, program_of_app, words) in [
        (
            "ends",
            "sh\", \"arguments\": [\"-c\", \"echo kaput >&2; exit 3\"], \"x\": \"",
            &["kaput", "exit status: 3"][..],
        ),
        ("missing", "no-such-program", &["no-such-program"]),
    ] {
        let app = directory(name);
        let host = format!(
            "{{\"version\": \"2.0\", \"configurationProfile\": \"mcp-custom-handler\", \"customHandler\": {{\
             \"description\": {{\"defaultExecutablePath\": \"{program_of_app}\"}}}}}}"
        );
        std::fs::write(app.join("host.json"), host).expect("written");
        for arguments in [&["functions", "--listen", "127.0.0.1:0"][..], &["check"]] {
            let ran = program(&[arguments, &[app.to_str().expect("UTF-8")]].concat()).output().expect("it runs");
            let said = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(ran.status.code(), Some(2), "{name}: {said}");
            assert!(words.iter().all(|word| said.contains(word)), "{name}: {said}");
        }
    }
}

#[test]
fn caller_with_a_token_is_described_to_the_application_and_the_token_stays_here() {
    let directory = Directory::new("proxy-tokens");
    let issued = issuer(&directory);
    let app = App::new(ok);
    let routes = "[[server.route]]\npath = \"/write/*\"\nscopes = [\"notes.write\"]\n\
                  [[server.route]]\npath = \"/public\"\nlevel = \"anonymous\"\n";
    let file = file("tokens", "upstream.mcp_paths = [\"/mcp\"]", &format!("url = \"http://{}\"", app.address), routes);
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--config", &file]);
    command.args(takes_tokens(&directory));
    let server = Running::of(command);
    let bearer = |changes| format!("authorization: Bearer {}\r\n", issued(changes));
    assert_eq!(status(&get(&server, "/", &bearer(json!({"oid": "o", "email": "ada@example.org"})))), "200");
    let head = app.head().to_ascii_lowercase();
    assert_eq!(field(&head, "x-ms-client-principal-id"), Some("o"), "{head}");
    assert_eq!(field(&head, "x-ms-client-principal-name"), Some("ada@example.org"), "{head}");
    assert_eq!(field(&head, "x-ms-client-principal-idp"), Some("id.example"), "{head}");
    assert!(field(&head, "x-ms-client-principal").is_some() && !head.contains("authorization"), "{head}");
    // A caller without a token is told where to get one, by this program.
    let refused = get(&server, "/mcp", "");
    let challenge = "resource_metadata=\"https://api.example/.well-known/oauth-protected-resource/mcp\"";
    assert!(status(&refused) == "401" && refused.contains(challenge), "{refused}");
    let metadata = get(&server, "/.well-known/oauth-protected-resource/mcp", "");
    assert!(metadata.contains("https://id.example"), "{metadata}");
    assert_eq!(status(&get(&server, "/public", "")), "200");
    assert!(!app.head().to_ascii_lowercase().contains("x-ms-client-principal"), "{}", app.head());
    let refused = get(&server, "/write/a", &bearer(json!({})));
    assert!(status(&refused) == "403" && refused.contains("notes.write"), "{refused}");
    assert_eq!(status(&get(&server, "/write/a", &bearer(json!({"scope": "notes.write"})))), "200");
}

/// Posts a message to the MCP path.
fn post(server: &Running, fields: &str, body: &str) -> String {
    exchange(
        server,
        &format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n{fields}\r\n{body}",
            body.len()
        ),
    )
}

/// An application that answers with the body of the request as its result, in the form that its field `x-form` names.
fn mirror(stream: &mut TcpStream, head: &str) {
    let head = head.to_ascii_lowercase();
    let length = field(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    let body = String::from_utf8(body).expect("UTF-8");
    let list = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"get"},{"name":"set"}]}}"#;
    let (kind, more, body) = match field(&head, "x-form") {
        Some("list") => ("application/json", "", list.to_owned()),
        Some("events") => ("text/event-stream", "", format!(": hello\n\nid: 7\ndata: {list}\n\n")),
        Some("gzip") => ("application/json", "content-encoding: gzip\r\n", list.to_owned()),
        Some("text") => ("text/plain", "", list.to_owned()),
        Some("twice") => ("application/json", "", list.replace("\"result\"", "\"result\":{},\"result\"")),
        _ => ("application/json", "", body),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}

#[test]
fn message_that_two_parsers_could_read_in_two_ways_does_not_reach_an_application_with_a_policy() {
    let app = App::new(mirror);
    let server = serve("judged", &app, "upstream.mcp_paths = [\"/mcp\"]\ndeny = [\"set*\"]", "");
    let call = |name: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#);
    let gzip = "content-encoding: gzip\r\n";
    for (name, fields, body, expected) in [
        ("hidden", "", call("set"), "200"),
        ("escaped", "", call("s\\u0065t"), "200"),
        ("encoded", gzip, call("get"), "415"),
        ("charset", "content-type: application/json; charset=utf-16\r\n", call("get"), "415"),
        ("twice", "", call("get").replace("\"name\"", "\"name\":\"set\",\"name\""), "400"),
        ("case", "", call("get").replace("\"name\"", "\"Name\":\"set\",\"name\""), "400"),
        ("method", "", call("get").replace("\"method\"", "\"METHOD\":\"ping\",\"method\""), "400"),
        ("mirror", "mcp-method: tools/list\r\n", call("get"), "400"),
        ("name mirror", "mcp-method: tools/call\r\nmcp-name: other\r\n", call("get"), "400"),
        ("bom", "", format!("\u{feff}{}", call("get")), "400"),
        ("not JSON", "", "tools/call".to_owned(), "400"),
        ("unknown method", "", call("get").replace("tools/call", "skills/get"), "200"),
        ("large", "", call(&"x".repeat(5 * 1024 * 1024)), "413"),
    ] {
        let answer = post(&server, fields, &body);
        assert_eq!(status(&answer), expected, "{name}: {answer}");
        assert!(answer.contains("\"error\""), "{name}: {answer}");
    }
    // A method of another kind gets no body past the policy either.
    for method in ["PUT", "PATCH", "DELETE", "GET"] {
        let body = call("set");
        let request = format!(
            "{method} /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(&server, &request);
        assert!(answer.contains("Unknown tool"), "{method}: {answer}");
    }
    assert_eq!(app.requests(), 0, "{:?}", app.heads.lock());
    // What is allowed passes byte by byte, and so does its answer.
    let body = "{ \"jsonrpc\":\"2.0\",\"id\" : 1.0e0,\n\"method\":\"tools/call\",\"params\":{\"name\":\"get\",\"arguments\":{\"a\":1.50}}}";
    let answer = post(&server, "accept-encoding: gzip\r\n", body);
    assert!(answer.ends_with(body), "{answer}");
    assert!(!app.head().to_ascii_lowercase().contains("accept-encoding"), "{}", app.head());
    // Other paths stream, whatever the policy says.
    assert_eq!(status(&get(&server, "/other", "")), "200");
}

#[test]
fn list_is_filtered_in_each_form_and_withheld_if_it_cannot_be_read() {
    let app = App::new(mirror);
    let server = serve("lists", &app, "upstream.mcp_paths = [\"/mcp\"]\ndeny = [\"set*\"]", "");
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for (form, expected) in [
        ("list", Some("\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"get\"}]}}")),
        ("events", Some("id: 7\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"get\"}]}}")),
        ("gzip", None),
        ("text", None),
        ("twice", None),
    ] {
        let answer = post(&server, &format!("x-form: {form}\r\n"), list);
        match expected {
            Some(expected) => assert!(status(&answer) == "200" && answer.contains(expected), "{form}: {answer}"),
            None => assert!(status(&answer) == "502" && !answer.contains("set"), "{form}: {answer}"),
        }
    }
    let stream = get(&server, "/mcp", "x-form: events\r\naccept: text/event-stream\r\n");
    assert!(stream.contains("\"get\"") && !stream.contains("\"set\""), "a stream that is resumed: {stream}");
}

/// A port that is free at the moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

#[test]
fn official_servers_run_unchanged_as_handlers_behind_keys_and_behind_tokens() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    let foreign = root.join("target/foreign");
    if !foreign.join("venv").is_dir() {
        let required = std::env::var_os("FOREIGN_CLIENTS").is_some_and(|wish| wish == "required");
        assert!(!required, "the official packages are missing: run tests/foreign/setup");
        let _ = writeln!(std::io::stderr(), "skipped: run tests/foreign/setup");
        return;
    }
    let tokens = Directory::new("proxy-official");
    let issued = issuer(&tokens);
    let token = tokens.path("token");
    std::fs::write(&token, issued(json!({}))).expect("written");
    let keys = tokens.path("keys.json");
    let added = attache(&["key", "add", "default", "--keys-file", &keys]).output().expect("it runs");
    let said = String::from_utf8_lossy(&added.stdout).into_owned() + &String::from_utf8_lossy(&added.stderr);
    let key = said.split_whitespace().max_by_key(|word| word.len()).expect("a key").to_owned();
    let python = |path: &str| foreign.join(path).join("bin/python").to_str().expect("UTF-8").to_owned();
    let script = |name: &str| root.join("tests/foreign").join(name).to_str().expect("UTF-8").to_owned();
    for (name, interpreter, arguments) in [
        ("python-1", python("older/1.30.0"), [script("server.py"), "streamable-http".to_owned()]),
        ("python-2", python("venv"), [script("server.py"), "streamable-http".to_owned()]),
        ("typescript", "node".to_owned(), [script("server.mjs"), "http".to_owned()]),
    ] {
        let app = directory(name);
        let port = free_port().to_string();
        let host = json!({"version": "2.0", "configurationProfile": "mcp-custom-handler", "customHandler": {
            "description": {"defaultExecutablePath": interpreter, "arguments": [arguments[0], arguments[1], port]},
            "port": port,
        }});
        std::fs::write(app.join("host.json"), host.to_string()).expect("written");
        let app = app.to_str().expect("UTF-8");
        let by_token = takes_tokens(&tokens);
        let by_token: Vec<&str> = by_token.iter().map(String::as_str).collect();
        let by_key = ["--auth-keys-file", &keys];
        for (flags, credentials) in
            [(&by_key[..], ["--key", key.as_str()]), (&by_token[..], ["--token-file", token.as_str()])]
        {
            let server = Running::of(program(&[&["functions", "--listen", "127.0.0.1:0"], flags, &[app]].concat()));
            let url = format!("http://{}/mcp", server.address());
            let run = |arguments: &[&str]| {
                let ran = attache(&[arguments, &credentials].concat()).output().expect("it runs");
                (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
            };
            for (arguments, words) in [
                (&["list", url.as_str()][..], "echo"),
                (&["call", &url, "echo", r#"{"text":"Grüße"}"#], "Grüße"),
                (&["call", &url, "steps", r#"{"count":3}"#], "done"),
            ] {
                let (succeeded, said) = run(arguments);
                assert!(succeeded && said.contains(words), "{name} {flags:?} {arguments:?}: {said}");
            }
            let refused = attache(&["list", &url]).output().expect("it runs");
            assert!(String::from_utf8_lossy(&refused.stderr).contains("401"), "{name} {flags:?}: {refused:?}");
        }
    }
}
