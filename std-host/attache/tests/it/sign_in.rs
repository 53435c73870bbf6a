//! The program as an authorization server in front of another issuer: its settings, and what stops the start.

use crate::running::private_files::PrivateFiles;
use crate::running::{Running, attache};
use core::ops::Deref;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A directory with the files that the server needs.
struct Files(PrivateFiles);

impl Files {
    fn new(name: &str) -> Self {
        let files = Self(PrivateFiles::new(&format!("sign-in-{name}")));
        let key = attache_host::authorization_server::new_signing_key();
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
        files.write("signing.pem", &format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n"));
        files.write("seal.key", &"0f".repeat(32));
        files.write("secret", "s3cret\n");
        files.write("empty", " \n");
        let client =
            r#"{"client_id": "agents", "redirect_uris": ["https://agents.example/cb"], "client_secret": "SECRET"}"#;
        files.write("clients.json", &format!("[{}]", client.replace("SECRET", &"0f".repeat(32))));
        files.write("short.json", &format!("[{client}]"));
        files
    }

    /// The flags of a good configuration.
    fn flags(&self) -> Vec<(&'static str, String)> {
        vec![
            ("--auth-server-issuer", "https://gw.example".to_owned()),
            ("--auth-server-upstream", "https://id.example".to_owned()),
            ("--auth-server-client-id", "gw".to_owned()),
            ("--auth-server-client-secret-file", self.path("secret")),
            ("--auth-server-signing-key-file", self.path("signing.pem")),
            ("--seal-key-file", self.path("seal.key")),
            ("--store-file", self.path("store.redb")),
            ("--auth-resource", "https://gw.example/mcp".to_owned()),
            ("--auth-server-clients-file", String::new()),
            ("--auth-server-upstream-kind", String::new()),
            ("--auth-server-recheck", String::new()),
            ("--allow-host", "gw.example".to_owned()),
            ("--path", "/mcp".to_owned()),
        ]
    }
}

impl Deref for Files {
    type Target = PrivateFiles;

    fn deref(&self) -> &PrivateFiles {
        &self.0
    }
}

fn arguments(flags: &[(&str, String)]) -> Vec<String> {
    let given = flags.iter().filter(|(_, value)| !value.is_empty());
    given.flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]).collect()
}

#[test]
fn setting_that_is_missing_or_wrong_stops_the_start_with_the_remedy() {
    let files = Files::new("settings");
    fs::write(files.path("open"), "s3cret").expect("written");
    fs::set_permissions(files.path("open"), fs::Permissions::from_mode(0o644)).expect("a mode");
    let path = |name: &str| files.path(name);
    for (flag, value, words) in [
        ("", String::new(), None),
        ("--auth-server-client-secret-file", String::new(), None),
        ("--auth-server-upstream", String::new(), Some("needs auth.server.upstream")),
        ("--auth-server-client-id", String::new(), Some("needs auth.server.client_id")),
        ("--auth-server-signing-key-file", String::new(), Some("openssl genpkey")),
        ("--seal-key-file", String::new(), Some("needs seal.key_file")),
        ("--store-file", String::new(), Some("needs store.file")),
        ("--auth-server-issuer", String::new(), Some("means nothing without auth.server.issuer")),
        ("--auth-server-issuer", "https://gw.example/".to_owned(), Some("without a slash at its end")),
        ("--auth-server-issuer", "http://gw.example".to_owned(), Some("must be an https URL")),
        ("--auth-server-upstream", "http://id.example".to_owned(), Some("auth.server.upstream")),
        (
            "--auth-server-upstream",
            "https://login.microsoftonline.com/common/v2.0".to_owned(),
            Some("name in auth.server.tenants"),
        ),
        ("--auth-server-upstream-kind", "github".to_owned(), None),
        ("--auth-server-recheck", "soon".to_owned(), Some("--auth-server-recheck")),
        ("--auth-server-client-secret-file", path("open"), Some("chmod")),
        ("--auth-server-client-secret-file", path("empty"), Some("is empty")),
        ("--auth-server-signing-key-file", path("secret"), Some("has no key")),
        ("--auth-server-clients-file", path("open"), Some("chmod")),
        ("--auth-server-clients-file", path("secret"), Some("must be a JSON array")),
        ("--auth-server-clients-file", path("clients.json"), None),
        ("--auth-server-clients-file", path("short.json"), Some("openssl rand")),
        ("--path", "/token".to_owned(), Some("is the sign-in of this program")),
        ("--path", "/oauth/token".to_owned(), Some("is the sign-in of this program")),
        ("--path", "/.well-known/oauth-authorization-server".to_owned(), Some("is the sign-in of this program")),
        // The people of an issuer on this machine are made up.
        ("--auth-server-issuer", "http://127.0.0.1:8080".to_owned(), Some("which is on this machine")),
    ] {
        let mut flags = files.flags();
        flags.iter_mut().filter(|(own, _)| *own == flag).for_each(|(_, own)| own.clone_from(&value));
        let mut check = attache(&["check", "--listen", "127.0.0.1:0"]);
        let run = check.args(arguments(&flags)).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.success(), words.is_none(), "{flag} {value}: {said}");
        assert!(said.contains(words.unwrap_or_default()), "{flag} {value}: {said}");
    }
    assert!(!PathBuf::from(files.path("store.redb")).exists(), "check makes no store");
}

#[test]
fn server_serves_its_own_metadata_and_its_store_is_private_to_one_process() {
    let files = Files::new("serve");
    let start = || {
        let mut command = attache(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(arguments(&files.flags()));
        command
    };
    let server = Running::of(start());
    let get = |path: &str| {
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: gw.example\r\nconnection: close\r\n\r\n").expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        serde_json::from_str::<serde_json::Value>(body).expect("JSON")
    };
    let resource = get("/.well-known/oauth-protected-resource/mcp");
    assert_eq!(resource["authorization_servers"], serde_json::json!(["https://gw.example"]));
    let metadata = get("/.well-known/oauth-authorization-server");
    assert_eq!(metadata["issuer"], "https://gw.example");
    assert_eq!(get("/oauth/jwks")["keys"][0]["alg"], "ES256");
    // The call without a token is refused, with the place of the metadata.
    assert_eq!(server.list("/mcp"), "HTTP/1.1 401 Unauthorized");
    let mode = fs::metadata(files.path("store.redb")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = start().output().expect("it runs");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && said.contains("another process has it open"), "{said}");
}

/// Sends a request, and returns the head and the body of the answer.
fn exchange(server: &Running, request: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    let fields = format!("host: gw.example\r\nconnection: close\r\ncontent-length: {}", body.len());
    write!(stream, "{request}\r\n{fields}\r\n\r\n{body}").expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

#[test]
fn sign_in_has_a_host_of_its_own_beside_an_application() {
    let files = Files::new("apart");
    let check = |hosts: &str, mode: &str| {
        let server = format!(
            r#"
            [[server]]
            path = "/"
            {mode}
            allow_host = [{hosts}]
            auth = {{ resource = "https://app.example/" }}
            [[server.backend]]
            name = "app"
            url = "http://127.0.0.1:9"
            "#
        );
        files.write("attache.toml", &server);
        let mut command = attache(&["check", "--listen", "127.0.0.1:0", "--config", &files.path("attache.toml")]);
        let of_server = ["--auth-resource", "--path", "--allow-host"];
        let flags: Vec<_> = files.flags().into_iter().filter(|(flag, _)| !of_server.contains(flag)).collect();
        let run = command.args(arguments(&flags)).output().expect("it runs");
        (run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    for (hosts, mode, is_good) in [
        (r#""app.example""#, r#"mode = "proxy""#, true),
        (r#""app.example", "gw.example""#, r#"mode = "proxy""#, false),
        (r#""gw.example""#, r#"mode = "proxy""#, false),
        (r#""gw.example""#, "", true),
    ] {
        let (success, said) = check(hosts, mode);
        assert_eq!(success, is_good, "{hosts} {mode}: {said}");
        assert!(is_good || said.contains("a host of its own"), "{hosts} {mode}: {said}");
    }
}

#[test]
fn each_server_has_its_own_issuer_audience_and_scopes() {
    let files = Files::new("several");
    let servers = r#"
        [[server]]
        path = "/notes"
        demo = true
        auth = { resource = "https://gw.example/notes", scopes = ["notes.read"] }
        [[server]]
        path = "/mail"
        demo = true
        auth = { resource = "https://gw.example/mail", scopes = ["mail.read", "mail.send"] }
        [[server]]
        path = "/partner"
        demo = true
        auth = { issuer = "https://partner.example", applications = ["app"], resource = "https://gw.example/partner", scopes = ["p"] }
    "#;
    files.write("attache.toml", servers);
    let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--config", &files.path("attache.toml")]);
    let of_servers = ["--auth-resource", "--path"];
    command
        .args(arguments(&files.flags().into_iter().filter(|(flag, _)| !of_servers.contains(flag)).collect::<Vec<_>>()));
    let server = Running::of(command);
    let json = |path: &str| {
        let (head, body) = exchange(&server, &format!("GET {path} HTTP/1.1"), "");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        serde_json::from_str::<serde_json::Value>(&body).expect("JSON")
    };
    for (path, issuer, scopes) in [
        ("/notes", "https://gw.example", &["notes.read"][..]),
        ("/mail", "https://gw.example", &["mail.read", "mail.send"]),
        ("/partner", "https://partner.example", &["p"]),
    ] {
        let metadata = json(&format!("/.well-known/oauth-protected-resource{path}"));
        assert_eq!(metadata["resource"], format!("https://gw.example{path}"));
        assert_eq!(metadata["authorization_servers"], serde_json::json!([issuer]));
        assert_eq!(metadata["scopes_supported"], serde_json::json!(scopes));
        assert_eq!(server.list(path), "HTTP/1.1 401 Unauthorized");
    }
    let metadata = json("/.well-known/oauth-authorization-server");
    let all = ["mail.read", "mail.send", "notes.read", "offline_access"];
    assert_eq!(metadata["scopes_supported"], serde_json::json!(all));
    // The sign-in of this program issues tokens for its own servers, with the scopes of each.
    let registration = r#"{"redirect_uris":["http://127.0.0.1/"]}"#;
    let register = "POST /oauth/register HTTP/1.1\r\ncontent-type: application/json";
    let (_, registered) = exchange(&server, register, registration);
    let registered: serde_json::Value = serde_json::from_str(&registered).expect("JSON");
    let client = registered["client_id"].as_str().expect("an id");
    let authorize = |path: &str| {
        let query = format!(
            "response_type=code&client_id={client}&redirect_uri=http%3A%2F%2F127.0.0.1%2F&code_challenge_method=S256&\
             code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&resource=https%3A%2F%2Fgw.example{path}&\
             scope=notes.read%20mail.send%20p"
        );
        exchange(&server, &format!("GET /oauth/authorize?{query} HTTP/1.1"), "")
    };
    for (path, offered, others) in [("/notes", "notes.read", "mail.send"), ("/mail", "mail.send", "notes.read")] {
        let (head, page) = authorize(path);
        assert!(head.starts_with("HTTP/1.1 200") && page.contains(offered) && !page.contains(others), "{head} {page}");
    }
    let (head, _) = authorize("/partner");
    assert!(head.starts_with("HTTP/1.1 303") && head.contains("error=invalid_target"), "{head}");
}
