//! `attache list --sign-in` and `attache sign-out`, with the issuer for developers.

use crate::running::{Running, attache};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A server that requires a token of an issuer for developers, and a directory for tokens.
pub(crate) struct World {
    _issuer: Running,
    pub(crate) server: Running,
    directory: PathBuf,
}

impl World {
    fn start(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    /// Starts a world whose server has further flags.
    pub(crate) fn with(name: &str, more: impl FnOnce(&mut Command)) -> Self {
        let issuer = Running::of(attache(&["dev-issuer", "--listen", "127.0.0.1:0"]));
        let name_of = issuer.greeting.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL");
        let mut serve = attache(&["serve", "--listen", "127.0.0.1:0", "--auth-issuer", name_of]);
        serve.args(["--auth-applications", "*", "--auth-scopes", "mcp.use"]).stderr(Stdio::null());
        more(&mut serve);
        let server = Running::logging(serve);
        let directory = std::env::temp_dir().join(format!("attache-program-sign-in-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        Self { _issuer: issuer, server, directory }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.server.address())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = attache(arguments);
        command.env("ATTACHE_SIGN_IN_DIR", &self.directory);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (status.code().expect("an exit status"), text(stdout), text(stderr))
    }

    /// Runs a command whose user presses this button on the consent page.
    pub(crate) fn sign_in(&self, arguments: &[&str], decision: &str) -> (i32, String, String) {
        let mut command = self.command(arguments);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let mut text = String::new();
        let page = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).expect("text") > 0, "it ended: {text}");
            text += &line;
            if line.starts_with("http://") {
                break line.trim().to_owned();
            }
        };
        decide(&page, decision);
        said.read_to_string(&mut text).expect("text");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code().expect("a status"), String::from_utf8(output.stdout).expect("UTF-8"), text)
    }
}

impl World {
    /// The kept access token.
    pub(crate) fn token(&self) -> String {
        let mut files = std::fs::read_dir(&self.directory).expect("there").flatten().map(|file| file.path());
        let file = files.find(|file| file.extension().is_some_and(|name| name == "json")).expect("tokens are kept");
        let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(file).expect("there")).expect("JSON");
        kept["tokens"]["access_token"].as_str().expect("a token").to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Sends a request without a body, or with a form, and returns the head and the body of the answer.
fn send(url: &str, cookie: &str, form: Option<&str>) -> (String, String) {
    let rest = url.strip_prefix("http://").expect("a local page");
    let (authority, path) = rest.split_at(rest.find('/').expect("a path"));
    let mut stream = TcpStream::connect(authority).expect("it listens");
    let method = if form.is_some() { "POST" } else { "GET" };
    let form = form.unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncookie: {cookie}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    )
    .expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// Presses a button of the consent page, and follows the browser back to the program.
fn decide(page: &str, decision: &str) {
    let (head, body) = send(page, "", None);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
    let cookies = head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
    let cookies: Vec<_> = cookies.filter_map(|cookie| cookie.split(';').next()).collect();
    let sealed = body.split("name=\"consent\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let form = format!("consent={}&person=0&scope-0=yes&scope-1=yes&decision={decision}", sealed.expect("a form"));
    let origin = page.split("/oauth/").next().expect("an origin");
    let (head, body) = send(&format!("{origin}/oauth/consent"), &cookies.join("; "), Some(&form));
    let location = head.lines().find_map(|line| line.strip_prefix("location: "));
    let (head, _) = send(location.unwrap_or_else(|| panic!("{head}\n{body}")), "", None);
    assert_eq!(head.starts_with("HTTP/1.1 200"), decision == "allow", "{head}");
}

#[test]
fn person_signs_in_once_and_later_commands_use_the_kept_tokens_until_the_sign_out() {
    let world = World::start("once");
    let url = world.url();
    let (code, _, said) = world.run(&["list", &url]);
    assert_eq!(code, 1);
    assert!(said.contains("--sign-in"), "the remedy: {said}");
    let call = ["call", "--sign-in", "--no-browser", &url, "echo", r#"{"text":"hello"}"#];
    let (code, out, said) = world.sign_in(&call, "allow");
    assert_eq!((code, out.as_str()), (0, "hello\n"), "{said}");
    assert!(said.starts_with("Sign in at http://127.0.0.1:"), "{said}");
    assert_eq!(world.run(&["call", &url, "echo", r#"{"text":"again"}"#]), (0, "again\n".to_owned(), String::new()));
    assert_eq!(world.run(&["list", "--sign-in", &url]).0, 0, "nothing to sign in for");
    let (code, out, _) = world.run(&["sign-out", &url]);
    assert_eq!((code, out.starts_with("Signed out. The authorization server has revoked the tokens.")), (0, true));
    assert_eq!(world.run(&["sign-out", &url]).1, "You were not signed in.\n");
    assert_eq!(world.run(&["list", &url]).0, 1);
}

#[test]
fn person_who_refuses_is_told_so_and_nothing_is_kept() {
    let world = World::start("refuses");
    let (code, out, said) = world.sign_in(&["list", "--sign-in", "--no-browser", &world.url()], "deny");
    assert_eq!((code, out.as_str()), (1, ""), "{said}");
    assert!(said.contains("access_denied"), "{said}");
    assert_eq!(world.run(&["sign-out", &world.url()]).1, "You were not signed in.\n");
}

#[test]
fn flags_of_the_sign_in_that_do_not_fit_are_refused_with_the_reason() {
    let world = World::start("flags");
    let url = world.url();
    for (arguments, status, words) in [
        (&["list", "--no-browser", &url][..], 2, "--sign-in"),
        (&["list", "--client-id", "a", &url], 2, "--sign-in"),
        (&["list", "--sign-in", "--key", "k", &url], 2, "--key"),
        (&["list", "--sign-in", "--token-file", "f", &url], 2, "--token-file"),
        (&["list", "--sign-in", "--client-id", "a", "--client-secret-file", "/no/such", &url], 2, "/no/such"),
        (&["list", "--sign-in", "http://192.0.2.1/mcp"], 1, "https"),
        (&["list", "--sign-in", "--redirect-port", "0", &url], 2, "--redirect-port"),
        (&["sign-out", "mcp"], 1, "https"),
    ] {
        let (code, out, said) = world.run(arguments);
        assert_eq!((code, out.as_str()), (status, ""), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[cfg(unix)]
#[test]
fn file_of_tokens_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start("open");
    let url = world.url();
    assert_eq!(world.sign_in(&["list", "--sign-in", "--no-browser", &url], "allow").0, 0);
    let files = std::fs::read_dir(&world.directory).expect("there").flatten();
    let files: HashMap<_, _> =
        files.map(|file| (file.path().extension().map(ToOwned::to_owned), file.path())).collect();
    let file = &files[&Some("json".into())];
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    let (code, _, said) = world.run(&["list", &url]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("chmod 600"), "{said}");
}
