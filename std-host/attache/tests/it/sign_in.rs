//! The program as an authorization server in front of another issuer: its settings, and what stops the start.

use crate::running::{Running, attache};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A directory with the files that the server needs.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("attache-sign-in-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        let files = Self(path);
        let key = attache_host::authorization_server::new_signing_key();
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
        files.write("signing.pem", &format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n"));
        files.write("seal.key", &"0f".repeat(32));
        files.write("secret", "s3cret\n");
        files.write("empty", " \n");
        files
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect("a mode");
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
            ("--allow-host", "gw.example".to_owned()),
            ("--path", "/mcp".to_owned()),
        ]
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
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
        ("--auth-server-client-secret-file", path("open"), Some("chmod")),
        ("--auth-server-client-secret-file", path("empty"), Some("is empty")),
        ("--auth-server-signing-key-file", path("secret"), Some("has no key")),
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
