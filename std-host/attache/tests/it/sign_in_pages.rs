//! The sign-in pages of the program: their settings, and what stops the start.

use crate::running::private_files::PrivateFiles;
use crate::running::{Running, attache};
use core::ops::Deref;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A directory with a configuration and the files that it names.
struct Files(PrivateFiles);

impl Files {
    fn new(name: &str) -> Self {
        let files = Self(PrivateFiles::new(&format!("pages-{name}")));
        files.write("seal.key", &"0f".repeat(32));
        files.write("secret", "s3cret\n");
        files.write("empty", "\n");
        files
    }

    /// A good configuration.
    fn good(&self) -> String {
        format!(
            r#"listen = "127.0.0.1:0"
demo = true
[auth]
unauthenticated = "sign-in"
[auth.session]
url = "http://127.0.0.1:8080"
provider = "company"
[seal]
key_file = "{seal}"
[[auth.provider]]
name = "company"
kind = "oidc"
issuer = "http://127.0.0.1:1"
client_id = "gw"
client_secret_file = "{secret}"
parameters = {{ prompt = "select_account" }}
groups = ["engineers"]
[[auth.provider]]
name = "github"
kind = "github"
client_id = "gh"
client_secret_file = "{secret}"
"#,
            seal = self.path("seal.key"),
            secret = self.path("secret"),
        )
    }

    fn check(&self, text: &str) -> (bool, String) {
        self.write("attache.toml", text);
        let run = attache(&["check", "--config", &self.path("attache.toml")]).output().expect("it runs");
        (run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned())
    }
}

impl Deref for Files {
    type Target = PrivateFiles;

    fn deref(&self) -> &PrivateFiles {
        &self.0
    }
}

#[test]
fn setting_that_is_missing_or_wrong_stops_the_start_with_the_remedy() {
    let files = Files::new("settings");
    let good = files.good();
    let session = "[auth.session]\n";
    for (old, new, words) in [
        ("", "", None),
        ("kind = \"oidc\"", "kind = \"saml\"", Some("must be oidc, entra, google or github")),
        ("kind = \"oidc\"\n", "", Some("needs a kind")),
        ("issuer = \"http://127.0.0.1:1\"\n", "", Some("needs an issuer")),
        ("issuer = \"http://127.0.0.1:1\"", "issuer = \"http://id.example\"", Some("must be an https URL")),
        ("client_id = \"gw\"\n", "", Some("needs a client_id")),
        ("client_id = \"gw\"", "client_ids = \"gw\"", Some("there is no setting client_ids")),
        ("name = \"company\"", "name = \"a/b\"", Some("must consist of letters")),
        ("name = \"company\"", "name = \"github\"", Some("two providers have the name")),
        ("provider = \"company\"", "provider = \"other\"", Some("there is no provider \"other\"")),
        ("prompt = \"select_account\"", "prompt = 7", Some("must be a text")),
        ("groups = [\"engineers\"]", "groups = \"engineers\"", Some("must be an array of texts")),
        (&format!("key_file = \"{}\"", files.path("seal.key")), "", Some("need seal.key_file")),
        (session, "[auth.session]\nexpose_tokens = true\n", Some("[store]")),
        (session, "[auth.session]\nlife = \"0s\"\n", Some("auth.session.life")),
        ("url = \"http://127.0.0.1:8080\"", "url = \"http://gw.example\"", Some("must be https://HOST")),
        ("url = \"http://127.0.0.1:8080\"", "url = \"https://gw.example/\"", Some("must be https://HOST")),
        ("demo = true", "demo = true\nallow_host = [\"gw.example\"]", Some("is on this machine")),
        ("demo = true", "demo = true\npath = \"/.auth/me\"", Some("is a sign-in page")),
        ("[auth]\n", "[auth]\ngroups = [\"g\"]\n", Some("auth.groups means nothing without auth.issuer")),
        ("[[auth.provider]]", "[auth.provider]", Some("")),
    ] {
        let text = good.replacen(old, new, 1);
        assert!(old.is_empty() || text != good, "{old}");
        let (is_good, said) = files.check(&text);
        assert_eq!(is_good, words.is_none(), "{old} {new}: {said}");
        assert!(said.contains(words.unwrap_or_default()), "{old} {new}: {said}");
    }
    let secret = |name: &str| good.replacen(&files.path("secret"), &files.path(name), 1);
    for (name, words) in [("empty", "client_secret_file is empty"), ("none", "none"), ("attache.toml", "")] {
        let (is_good, said) = files.check(&secret(name));
        assert!(is_good == words.is_empty() && said.contains(words), "{name}: {said}");
    }
    let without: String = good.split("[[auth.provider]]").next().expect("a part").to_owned();
    let (is_good, said) = files.check(&without);
    assert!(!is_good && said.contains("[[auth.provider]]"), "{said}");
}

#[test]
fn pages_are_served_and_people_are_sent_to_them() {
    let files = Files::new("serve");
    files.write("attache.toml", &files.good().replace("provider = \"company\"\n", ""));
    let server = Running::of(attache(&["serve", "--config", &files.path("attache.toml")]));
    let get = |path: &str, accept: &str| {
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        let host = server.address();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: {accept}\r\nconnection: close\r\n\r\n")
            .expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    for (path, accept, words) in [
        ("/mcp", "text/html", &["HTTP/1.1 302", "location: /.auth/login?post_login_redirect_uri=%2Fmcp"][..]),
        ("/mcp", "text/event-stream", &["HTTP/1.1 401"]),
        ("/.auth/login", "text/html", &["HTTP/1.1 200", "/.auth/login/company", ">GitHub</a>"]),
        (
            "/.auth/login/github",
            "text/html",
            &["HTTP/1.1 303", "location: https://github.com/login/oauth/authorize?", "scope=read%3Auser"],
        ),
        // Nothing listens at the issuer.
        ("/.auth/login/company", "text/html", &["HTTP/1.1 503", "does not answer"]),
        ("/.auth/me", "application/json", &["HTTP/1.1 401", "{\"error\":"]),
        ("/.auth/refresh", "application/json", &["HTTP/1.1 401"]),
        ("/.auth/logout", "text/html", &["HTTP/1.1 303", "location: /.auth/logout/done"]),
        ("/.auth/style.css", "text/css", &["HTTP/1.1 200", "color-scheme: light dark"]),
        ("/.auth/other", "text/html", &["HTTP/1.1 404"]),
    ] {
        let answer = get(path, accept);
        assert!(words.iter().all(|word| answer.contains(word)), "{path}: {answer}");
    }
}

#[test]
fn policy_file_of_the_platform_sends_people_to_its_provider() {
    let files = Files::new("platform");
    let policy = |login: serde_json::Value| {
        json!({
            "globalValidation": {"unauthenticatedClientAction": "RedirectToLoginPage", "redirectToProvider": "azureactivedirectory"},
            "identityProviders": {
                "azureActiveDirectory": {
                    "registration": {"openIdIssuer": "https://login.microsoftonline.com/t/v2.0", "clientId": "app", "clientSecretSettingName": "ENTRA_SECRET"},
                    "validation": {"allowedAudiences": ["api://app"]},
                },
                "gitHub": {"registration": {"clientId": "gh", "clientSecretSettingName": "GITHUB_SECRET"}},
            },
            "login": login,
        })
        .to_string()
    };
    let flags = [
        ("--listen", "127.0.0.1:0".to_owned()),
        ("--auth", files.path("auth.json")),
        ("--seal-key-file", files.path("seal.key")),
    ];
    let command = |what: &str, secrets: &[&str]| {
        let mut command = attache(&[what, "--demo"]);
        command.args(flags.iter().flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]));
        command.envs(secrets.iter().map(|name| (*name, "s3cret")));
        command
    };
    for (login, secrets, words) in [
        (json!({}), &["ENTRA_SECRET", "GITHUB_SECRET"][..], None),
        (json!({"tokenStore": {"enabled": false}}), &["ENTRA_SECRET", "GITHUB_SECRET"], None),
        (json!({"tokenStore": {"enabled": true}}), &["ENTRA_SECRET", "GITHUB_SECRET"], Some("[store]")),
        (json!({}), &["ENTRA_SECRET"], Some("gitHub.registration.clientSecretSettingName")),
        (json!({}), &["GITHUB_SECRET"], Some("redirectToProvider")),
        (json!({"nonce": {"validateNonce": false}}), &["ENTRA_SECRET", "GITHUB_SECRET"], Some("validateNonce")),
    ] {
        files.write("auth.json", &policy(login.clone()));
        let run = command("check", secrets).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.success(), words.is_none(), "{login} {secrets:?}: {said}");
        assert!(said.contains(words.unwrap_or_default()), "{login} {secrets:?}: {said}");
    }
    files.write("auth.json", &policy(json!({})));
    let server = Running::of(command("serve", &["ENTRA_SECRET", "GITHUB_SECRET"]));
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    let host = server.address();
    write!(stream, "GET /mcp HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\nconnection: close\r\n\r\n")
        .expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("location: /.auth/login/aad?post_login_redirect_uri=%2Fmcp"), "{answer}");
    // Programs still find the issuer.
    assert_eq!(server.list("/mcp"), "HTTP/1.1 401 Unauthorized");
}
