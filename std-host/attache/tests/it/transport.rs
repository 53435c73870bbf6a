//! Transports of the program: TLS, HTTP/2, Unix sockets and inherited sockets, with curl and
//! openssl as peers.

use crate::running::{Running, attache};
use core::time::Duration;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A temporary directory, removed when the test ends.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("attache-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// Writes a self-signed certificate for localhost with this common name, and its key.
    pub(crate) fn certificate(&self, name: &str) {
        self.self_signed(name, "DNS:localhost,IP:127.0.0.1", &[]);
    }

    /// Writes a self-signed certificate that is not that of an authority, so that clients can trust
    /// it as it is, and its key.
    pub(crate) fn certificate_of_server(&self, names: &str) {
        self.self_signed("server", names, &["-addext", "basicConstraints=critical,CA:FALSE"]);
    }

    fn self_signed(&self, name: &str, names: &str, more: &[&str]) {
        let run = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName={names}")])
            .args(more)
            .args(["-keyout", &self.file("key.pem"), "-out", &self.file("certificate.pem")])
            .output()
            .expect("openssl runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        chmod(&self.0.join("key.pem"), 0o600);
    }

    /// Writes a certificate that expired yesterday.
    pub(crate) fn expired_certificate(&self) {
        self.certificate("old");
        std::fs::write(self.file("extensions"), "subjectAltName=DNS:localhost").expect("written");
        let openssl = |arguments: &[&str]| {
            let run = Command::new("openssl").args(arguments).current_dir(&self.0).output().expect("openssl runs");
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        };
        openssl(&["req", "-new", "-key", "key.pem", "-subj", "/CN=old", "-out", "request.pem"]);
        let sign = ["x509", "-req", "-in", "request.pem", "-signkey", "key.pem", "-extfile", "extensions"];
        openssl(&[&sign[..], &["-days", "-1", "-out", "certificate.pem"]].concat());
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn chmod(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).expect("own file");
}

/// Sends a legacy ping by curl, and returns the status, the HTTP version, and the common name of
/// the certificate.
fn curl(arguments: &[&str], url: &str) -> String {
    let run = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "--data", BODY])
        .args(["-H", "content-type: application/json", "-H", "mcp-protocol-version: 2025-11-25"])
        .args(arguments)
        .arg(url)
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

#[test]
fn plain_http_speaks_both_versions() {
    let server = Running::start();
    let url = format!("http://{}/mcp", server.address());
    assert_eq!(curl(&["--http1.1"], &url), "200 1.1");
    assert_eq!(curl(&["--http2-prior-knowledge"], &url), "200 2");
}

#[test]
fn tls_speaks_both_versions_of_both_and_reads_its_certificate_again_when_asked() {
    let directory = Directory::new("tls");
    directory.certificate("first");
    let (certificate, key) = (directory.file("certificate.pem"), directory.file("key.pem"));
    let server = Running::with(&["--tls-certificate", &certificate, "--tls-key", &key]);
    let port =
        server.greeting.split("https://127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).expect("a port");
    let url = format!("https://localhost:{port}/mcp");
    let trusting = ["--cacert", &certificate];
    assert_eq!(curl(&[&trusting[..], &["--http1.1"]].concat(), &url), "200 1.1");
    assert_eq!(curl(&[&trusting[..], &["--http2"]].concat(), &url), "200 2");
    assert_eq!(curl(&[&trusting[..], &["--tls-max", "1.2"]].concat(), &url), "200 2");
    assert_eq!(curl(&["--tls-max", "1.1", "-k"], &url), "000 0");
    assert_eq!(curl(&["--http1.1"], &format!("http://localhost:{port}/mcp")), "000 0");
    // From here on curl trusts the new certificate alone.
    directory.certificate("second");
    let sent = Command::new("kill").args(["-s", "HUP", &server.child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let started = Instant::now();
    while curl(&trusting, &url) != "200 2" {
        assert!(started.elapsed() < Duration::from_secs(4), "the certificate is not read again");
        std::thread::sleep(Duration::from_millis(50));
    }
    // An unusable certificate changes nothing.
    std::fs::write(&key, "no key").expect("own file");
    let sent = Command::new("kill").args(["-s", "HUP", &server.child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(curl(&trusting, &url), "200 2");
}

#[test]
fn client_certificate_is_required_where_an_authority_is_named() {
    let directory = Directory::new("mutual");
    directory.certificate("both");
    let (certificate, key) = (directory.file("certificate.pem"), directory.file("key.pem"));
    let tls = ["--tls-certificate", &certificate, "--tls-key", &key, "--tls-client-ca", &certificate];
    let server = Running::with(&tls);
    let port =
        server.greeting.split("https://127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).expect("a port");
    let url = format!("https://localhost:{port}/mcp");
    let trusting = ["--cacert", &certificate];
    assert_eq!(curl(&trusting, &url), "000 0");
    // A client certificate that the authority has signed and that is not an authority itself.
    let (client, client_key) = (directory.file("client.pem"), directory.file("client-key.pem"));
    let run = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=client", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-CA", &certificate, "-CAkey", &key, "-keyout", &client_key, "-out", &client])
        .output()
        .expect("openssl runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let with_certificate = [&trusting[..], &["--cert", &client, "--key", &client_key]].concat();
    assert_eq!(curl(&with_certificate, &url), "200 2");
    // The status page has no certificate, so it calls nothing; with it or without, health is asked where metrics are.
    let (status, metrics) = (free(), free());
    let more = ["--status", &status, "--metrics-listen", &metrics];
    let beside = Running::with(&[&tls[..], &more].concat());
    let port = beside.greeting.split("https://127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next());
    assert_eq!(curl(&with_certificate, &format!("https://localhost:{}/mcp", port.expect("a port"))), "200 2");
    assert_eq!(curl(&[], &format!("http://{status}/try/0")), "403 1.1");
    let listen = format!("127.0.0.1:{}", port.expect("a port"));
    let own = [&["health", "--listen", &listen][..], &tls].concat();
    let run = attache(&own).output().expect("the program runs");
    assert!(String::from_utf8_lossy(&run.stderr).contains("metrics.listen"), "{run:?}");
    let run = attache(&[&own[..], &more[2..]].concat()).output().expect("the program runs");
    assert!(run.status.success() && run.stdout == b"ready\n", "{run:?}");
}

/// An address that was free a moment ago.
fn free() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").to_string()
}

#[test]
fn oldest_version_of_tls_is_a_setting() {
    let directory = Directory::new("newest");
    directory.certificate("newest");
    let (certificate, key) = (directory.file("certificate.pem"), directory.file("key.pem"));
    let tls = ["--tls-certificate", &certificate, "--tls-key", &key, "--tls-min-version", "1.3"];
    let server = Running::with(&tls);
    let port = server.greeting.split("https://127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next());
    let port = port.expect("a port");
    let url = format!("https://localhost:{port}/mcp");
    assert_eq!(curl(&["--cacert", &certificate], &url), "200 2");
    assert_eq!(curl(&["--cacert", &certificate, "--tls-max", "1.2"], &url), "000 0");
    // Health is asked over TLS, by the address that the configuration says.
    let listen = format!("0.0.0.0:{port}");
    let run = attache(&[&["health", "--listen", &listen][..], &tls].concat()).output().expect("the program runs");
    assert!(run.status.success() && run.stdout == b"ready\n", "{run:?}");
    // From elsewhere the certificate has to be one that is known.
    let run = attache(&["health", &format!("https://localhost:{port}")]).output().expect("the program runs");
    assert!(!run.status.success(), "{run:?}");
    #[cfg(target_os = "linux")]
    {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.child.id())).expect("a process");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    }
}

#[test]
fn unix_socket_has_the_mode_that_was_said_and_lets_nobody_in_beside_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new("mode");
    let socket = directory.file("attache.sock");
    let listen = format!("unix:{socket}");
    let mode = || std::fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777;
    for (flags, expected) in [(&[][..], 0o660), (&["--socket-mode", "600"], 0o600), (&["--socket-mode", "0666"], 0o666)]
    {
        let status = free();
        let arguments = [&["serve", "--listen", &listen, "--status", &status], flags].concat();
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_attache")]).args(arguments);
        command.env("ATTACHE_DEMO", "true");
        let mut server = Running::of(command);
        assert_eq!(mode(), expected, "{flags:?}");
        assert_eq!(curl(&["--unix-socket", &socket], "http://localhost/mcp"), "200 1.1");
        // The mode of the socket decides which users may call, so the status page cannot make calls.
        assert_eq!(curl(&[], &format!("http://{status}/try/0")), "403 1.1");
        let run = attache(&["health", "--listen", &listen]).output().expect("the program runs");
        assert!(run.status.success() && run.stdout == b"ready\n", "{run:?}");
        let sent = Command::new("kill").args(["-s", "TERM", &server.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success() && server.child.wait().expect("it ends").success());
    }
}

#[test]
fn key_that_others_can_read_and_files_that_are_none_stop_the_start_with_the_remedy() {
    let directory = Directory::new("keys");
    directory.certificate("keys");
    let (certificate, key) = (directory.file("certificate.pem"), directory.file("key.pem"));
    let said = |certificate: &str, key: &str| {
        let run =
            attache(&["serve", "--listen", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key]).output();
        let run = run.expect("the program runs");
        assert_eq!(run.status.code(), Some(2));
        String::from_utf8_lossy(&run.stderr).into_owned()
    };
    assert!(said(&key, &key).contains("no PEM certificate"));
    let old = Directory::new("old");
    old.expired_certificate();
    let words = said(&old.file("certificate.pem"), &old.file("key.pem"));
    assert!(words.contains("certificate.pem cannot be used: it has expired"), "{words}");
    assert!(said(&certificate, "/nowhere.pem").contains("/nowhere.pem"));
    chmod(Path::new(&key), 0o644);
    assert!(said(&certificate, &key).contains(&format!("chmod 600 {key}")));
}

#[test]
fn unix_socket_serves_and_takes_the_place_of_one_that_was_left_behind_and_goes_with_the_program() {
    let directory = Directory::new("socket");
    let socket = directory.file("attache.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("left behind"));
    let mut server = Running::on(&format!("unix:{socket}"));
    assert_eq!(curl(&["--unix-socket", &socket], "http://localhost/mcp"), "200 1.1");
    let second = attache(&["serve", "--listen", &format!("unix:{socket}")]).output().expect("the program runs");
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use"), "{second:?}");
    let sent = Command::new("kill").args(["-s", "TERM", &server.child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success() && server.child.wait().expect("it ends").success());
    assert!(!Path::new(&socket).exists());
}

#[test]
fn socket_that_a_service_manager_hands_over_is_served() {
    // sd_listen_fds(3): the inherited socket is descriptor 3, and LISTEN_PID names the process.
    let program = env!("CARGO_BIN_EXE_attache");
    let script = "import os,socket,sys\ns=socket.socket(); s.bind(('127.0.0.1',0)); s.listen()\nos.dup2(s.fileno(),3); os.set_inheritable(3,True)\nos.environ.update(LISTEN_FDS='1',LISTEN_PID=str(os.getpid()))\nos.execv(sys.argv[1],[sys.argv[1],'serve','--demo'])";
    let mut child =
        Command::new("python3").args(["-c", script, program]).stdout(Stdio::piped()).spawn().expect("python3 runs");
    let mut greeting = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut greeting).expect("a greeting");
    let url = greeting.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL").to_owned();
    assert!(!url.contains(":8080"), "{url}");
    let answer = curl(&[], &url);
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(answer, "200 1.1");
}

#[test]
fn health_is_reported_over_http_and_by_the_exit_code() {
    let server = Running::start();
    let url = format!("http://{}", server.address());
    for path in ["/healthz", "/readyz"] {
        let run = Command::new("curl")
            .args(["-s", "-w", "%{http_code}", &format!("{url}{path}")])
            .output()
            .expect("curl runs");
        assert!(String::from_utf8_lossy(&run.stdout).ends_with("200"), "{path}");
    }
    let run = attache(&["health", &url]).output().expect("the program runs");
    assert!(run.status.success() && run.stdout == b"ready\n", "{run:?}");
    drop(server);
    let run = attache(&["health", &url]).output().expect("the program runs");
    assert!(!run.status.success() && String::from_utf8_lossy(&run.stderr).contains("not healthy"), "{run:?}");
}

#[test]
fn two_servers_in_one_process_have_their_own_tools() {
    let directory = Directory::new("two");
    let file = directory.file("two.toml");
    std::fs::write(&file, "[[server]]\npath = \"/a\"\ntools = [\"add\"]\n[[server]]\npath = \"/b\"\nallow_origin = [\"https://app.example\"]\n").expect("own file");
    let server = Running::with(&["--config", &file]);
    let calls = |path: &str, origin: &str| {
        let echo =
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}}}"#;
        let run = Command::new("curl")
            .args([
                "-s",
                "--data",
                echo,
                "-H",
                "content-type: application/json",
                "-H",
                "mcp-protocol-version: 2025-11-25",
            ])
            .args(["-H", &format!("origin: {origin}"), &format!("http://{}{path}", server.address())])
            .output()
            .expect("curl runs");
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    assert!(calls("/a", "http://localhost").contains("Unknown tool"));
    assert!(calls("/b", "http://localhost").contains("\"text\":\"hi\""));
    assert!(calls("/a", "https://app.example").contains("Origin"));
    assert!(calls("/b", "https://app.example").contains("\"text\":\"hi\""));
}

#[test]
fn figures_are_read_on_a_listener_of_their_own_and_count_requests_by_status() {
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").to_string();
    let server = Running::with(&["--metrics-listen", &free]);
    let url = format!("http://{}", server.address());
    assert_eq!(curl(&[], &format!("{url}/mcp")), "200 1.1");
    assert_eq!(curl(&[], &format!("{url}/other")), "404 1.1");
    assert_eq!(curl(&[], &format!("{url}/metrics")), "404 1.1");
    let run = Command::new("curl").args(["-s", &format!("http://{free}/metrics")]).output().expect("curl runs");
    let text = String::from_utf8_lossy(&run.stdout);
    for line in [
        "attache_requests_total{status=\"200\"} 1",
        "attache_requests_total{status=\"404\"} 2",
        "attache_connections_total 3",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line}\n{text}");
    }
}
