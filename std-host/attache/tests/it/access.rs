//! Access to the program: keys that change while it runs, tokens checked with a key-set file, and
//! no start without authentication if other machines can reach it.

use crate::running::{Running, attache};
use base64::Engine as _;
use core::time::Duration;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A temporary directory, removed when the test ends.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("attache-access-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a command of `attache key` and returns its output, or its error output if it fails.
fn key(file: &str, arguments: &[&str]) -> Result<String, String> {
    let run = attache(&[&["key"], arguments, &["--keys-file", file]].concat()).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if run.status.success() { Ok(text(&run.stdout)) } else { Err(text(&run.stderr)) }
}

/// Lists the tools and returns the head of the answer.
fn list(server: &Running, path: &str, credentials: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\n{credentials}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split("\r\n\r\n").next().unwrap_or_default().to_owned()
}

fn status(server: &Running, credentials: &str) -> u16 {
    let head = list(server, "/mcp", credentials);
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

fn with_key(value: &str) -> String {
    format!("x-functions-key: {value}\r\n")
}

/// Waits until a caller with these credentials gets the expected status.
fn becomes(server: &Running, credentials: &str, expected: u16) {
    let started = Instant::now();
    while status(server, credentials) != expected {
        assert!(started.elapsed() < Duration::from_secs(10), "still {}", status(server, credentials));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn keys_come_and_go_while_the_server_runs() {
    let directory = Directory::new("keys");
    let file = directory.path("keys");
    let first = key(&file, &["add", "ci"]).expect("a key");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).expect("a text").contains(&first), "only a digest is kept");
    let server = Running::with(&["--auth-keys-file", &file]);
    assert_eq!([status(&server, ""), status(&server, &with_key("wrong"))], [401; 2]);
    assert_eq!(status(&server, &with_key(&first)), 200);
    assert!(list(&server, "/mcp", "").contains("www-authenticate: Key realm"));
    let second = key(&file, &["add", "ops"]).expect("a key");
    becomes(&server, &with_key(&second), 200);
    assert_eq!(status(&server, &with_key(&first)), 200, "both live");
    let renewed = key(&file, &["renew", "ci"]).expect("a key");
    becomes(&server, &with_key(&renewed), 200);
    assert_eq!(status(&server, &with_key(&first)), 401);
    assert_eq!(key(&file, &["list"]).expect("names"), "ci\nops");
    key(&file, &["remove", "ops"]).expect("it is there");
    becomes(&server, &with_key(&second), 401);
    assert_eq!(status(&server, &with_key(&renewed)), 200);
    for (arguments, says) in [
        (&["add", "ci"][..], "renew it"),
        (&["remove", "none"], "attache key list"),
        (&["renew", "none"], "attache key list"),
        (&["add", "two words"], "one word"),
    ] {
        let said = key(&file, arguments).expect_err("a mistake");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    // Two processes cannot change the file at the same time.
    let lock = format!("{file}.new");
    fs::write(&lock, "").expect("written");
    assert!(key(&file, &["add", "late"]).expect_err("it is locked").contains(&lock));
    fs::remove_file(&lock).expect("removed");
    // An invalid file changes nothing.
    fs::write(&file, "nonsense\n").expect("written");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(status(&server, &with_key(&renewed)), 200);
}

#[test]
fn key_in_the_query_is_accepted_only_if_configured_and_only_once() {
    let directory = Directory::new("query");
    let file = directory.path("keys");
    let value = key(&file, &["add", "ada"]).expect("a key");
    let good = format!("/mcp?code={value}");
    let statuses = |server: &Running, path: &str, credentials: &str| {
        let answer = list(server, path, credentials);
        answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status")
    };
    let closed = Running::with(&["--auth-keys-file", &file]);
    assert_eq!(statuses(&closed, &good, ""), 401);
    let open = Running::with(&["--auth-keys-file", &file, "--auth-key-in-query", "true"]);
    for (path, credentials, expected) in [
        (good.as_str(), String::new(), 200),
        (&format!("/mcp?a=b&code={value}"), String::new(), 200),
        ("/mcp", with_key(&value), 200),
        ("/mcp?code=wrong", String::new(), 401),
        (&format!("/mcp?xcode={value}"), String::new(), 401),
        (&format!("{good}&code={value}"), String::new(), 400),
        (&good, with_key(&value), 400),
    ] {
        assert_eq!(statuses(&open, path, &credentials), expected, "{path}");
    }
    let refused = attache(&["serve", "--auth-key-in-query", "true"]).output().expect("it runs");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("auth.key_in_query means nothing without auth.keys_file")
    );
}

#[test]
fn policy_that_requires_https_is_not_served_in_the_clear_where_others_reach_it() {
    let directory = Directory::new("https");
    let file = directory.path("auth.json");
    let policy = |required: bool| {
        json!({"httpSettings": {"requireHttps": required}, "identityProviders": {"azureActiveDirectory": {"registration": {
            "openIdIssuer": "https://login.microsoftonline.com/66666666-7777-8888-9999-000000000000/v2.0", "clientId": "app"}}}})
    };
    fs::write(&file, policy(true).to_string()).expect("written");
    let refused = attache(&["serve", "--listen", "0.0.0.0:0", "--auth", &file]).output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("requireHttps"), "{said}");
    fs::write(&file, policy(false).to_string()).expect("written");
    let _served = Running::of(attache(&["serve", "--listen", "0.0.0.0:0", "--auth", &file]));
}

#[test]
fn server_reachable_from_other_machines_starts_only_with_authentication_or_an_explicit_opt_out() {
    let directory = Directory::new("open");
    let (file, shown) = (directory.path("keys"), directory.path("shown"));
    key(&file, &["add", "ci"]).expect("a key");
    fs::copy(&file, &shown).expect("a copy");
    fs::set_permissions(&shown, fs::Permissions::from_mode(0o644)).expect("its mode");
    let written = directory.path("written");
    fs::copy(&file, &written).expect("a copy");
    fs::set_permissions(&written, fs::Permissions::from_mode(0o620)).expect("its mode");
    fs::write(directory.path("bad"), "ci 00\n# a comment\nname\n").expect("written");
    fs::set_permissions(directory.path("bad"), fs::Permissions::from_mode(0o600)).expect("its mode");
    let bad = directory.path("bad");
    for (flags, says) in [
        (&[][..], &["0.0.0.0", "auth.keys_file", "auth.issuer", "--auth-require anonymous"][..]),
        (&["--auth-keys-file", &shown], &["auth.keys_file", "chmod 600"]),
        (&["--auth-keys-file", &written], &["auth.keys_file", "written by its group", "chmod 600"]),
        (&["--auth-keys-file", &bad], &["bad:1", "bad:3", "attache key add"]),
        (&["--auth-keys-file", "/nowhere"], &["auth.keys_file", "/nowhere", "cannot be read"]),
    ] {
        let run = attache(&[&["serve", "--listen", "0.0.0.0:0"], flags].concat()).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{flags:?}: {said}");
        assert!(says.iter().all(|word| said.contains(word)), "{flags:?}: {said}");
    }
    for flags in [&["--auth-require", "anonymous"][..], &["--auth-keys-file", &file]] {
        let running = Running::of(attache(&[&["serve", "--listen", "0.0.0.0:0"], flags].concat()));
        assert!(running.greeting.starts_with("Serving MCP on http://0.0.0.0:"), "{}", running.greeting);
    }
}

#[test]
fn client_configuration_has_the_public_url_and_a_key_prompt_if_keys_are_configured() {
    let file = "/etc/attache/keys";
    for (flags, key) in [
        (&["--auth-keys-file", file][..], true),
        (&["--auth-issuer", "https://id.example", "--auth-resource", "https://api.example/mcp"], false),
    ] {
        let run = attache(&[&["mcp-json"], flags].concat()).output().expect("it runs");
        let json: Value = serde_json::from_slice(&run.stdout).expect("JSON");
        let server = &json["servers"]["attache"];
        let url = if key { "http://127.0.0.1:8080/mcp" } else { "https://api.example/mcp" };
        assert_eq!((&server["type"], &server["url"]), (&json!("http"), &json!(url)));
        assert_eq!((server["headers"]["x-functions-key"].is_string(), json["inputs"].is_array()), (key, key), "{json}");
    }
}

#[test]
fn policy_in_the_form_of_the_platform_is_taken_and_printed() {
    let directory = Directory::new("platform");
    let file = directory.path("auth.json");
    let tenant = "66666666-7777-8888-9999-000000000000";
    let settings = json!({"properties": {
        "globalValidation": {"requireAuthentication": true, "unauthenticatedClientAction": "Return401"},
        "identityProviders": {"azureActiveDirectory": {
            "registration": {"openIdIssuer": format!("https://login.microsoftonline.com/{tenant}/v2.0"), "clientId": "app"},
            "validation": {"defaultAuthorizationPolicy": {"allowedApplications": ["code"]}},
        }},
    }});
    fs::write(&file, settings.to_string()).expect("written");
    let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--auth", &file]);
    command.env("WEBSITE_AUTH_PRM_DEFAULT_WITH_SCOPES", "api://app/use,api://app/more");
    let mut server = Running::of(command);
    let mut policy = String::new();
    while !policy.contains("scopes that clients") {
        assert!(server.output.read_line(&mut policy).expect("a line") > 0, "{policy}");
    }
    let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    for words in [issuer.as_str(), "audiences: app,", "applications: code", "api://app/use, api://app/more"] {
        assert!(policy.contains(words), "{policy}");
    }
    let refused = list(&server, "/mcp", "");
    assert!(
        refused.starts_with("HTTP/1.1 401") && refused.contains(r#"scope="api://app/use api://app/more""#),
        "{refused}"
    );
}

fn base64url(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

const RESOURCE: &str = "https://api.example/mcp";

/// Writes the key set of an issuer to the file `jwks`, and returns a function that signs valid
/// claims with the given changes.
pub(crate) fn issuer(directory: &Directory) -> impl Fn(Value) -> String + use<> {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    let signing = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key");
    let point = signing.public_key().as_ref();
    let jwk =
        json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": base64url(&point[1..33]), "y": base64url(&point[33..])});
    fs::write(directory.path("jwks"), json!({"keys": [jwk]}).to_string()).expect("written");
    move |changes| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let mut claims =
            json!({"iss": "https://id.example", "sub": "ada", "aud": RESOURCE, "exp": now + 60, "azp": "app"});
        changes.as_object().into_iter().flatten().for_each(|(name, value)| claims[name] = value.clone());
        let header = json!({"alg": "ES256", "kid": "k"});
        let signed =
            format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
        let signature = signing.sign(&random, signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", base64url(signature.as_ref()))
    }
}

/// Returns the flags of a server that accepts those tokens.
pub(crate) fn takes_tokens(directory: &Directory) -> Vec<String> {
    let flags = ["--auth-issuer", "https://id.example", "--auth-resource", RESOURCE, "--auth-applications", "app"];
    let file = ["--auth-jwks-file".to_owned(), directory.path("jwks")];
    flags.iter().map(ToString::to_string).chain(file).collect()
}

#[test]
fn token_is_explained_rule_by_rule_and_the_exit_code_says_whether_it_is_let_in() {
    let directory = Directory::new("explain");
    let token = issuer(&directory);
    let explain = |token: &str| {
        let mut child = attache(&["token", "explain"])
            .args(takes_tokens(&directory))
            .stdin(Stdio::piped())
            .spawn()
            .expect("the program starts");
        writeln!(child.stdin.take().expect("piped"), "{token}").expect("taken");
        let run = child.wait_with_output().expect("it ends");
        (run.status.code(), String::from_utf8(run.stdout).expect("UTF-8"))
    };
    let (code, said) = explain(&token(json!({})));
    assert!(code == Some(0) && said.contains("let in") && !said.contains("REFUSED"), "{said}");
    assert!(said.contains(r#""sub": "ada""#), "{said}");

    // Each rule is reported on its own, so that one run shows all faults.
    let (code, said) = explain(&token(json!({"aud": "other", "azp": "stranger", "exp": 1})));
    assert_eq!(code, Some(1), "{said}");
    let verdict = |rule: &str| said.lines().find(|line| line.starts_with(rule)).unwrap_or_default();
    for (rule, words) in [
        ("issuer", "good"),
        ("audience", "aud is \"other\""),
        ("time", "expired"),
        ("signature", "good"),
        ("tenant", "good"),
        ("application", "stranger"),
        ("principal", "good"),
    ] {
        assert!(verdict(rule).contains(words), "{rule}: {said}");
    }
    let good = token(json!({}));
    // Another letter than the one that is there, well within the signature.
    let place = good.len() - 8;
    let other = if good[place..].starts_with('A') { "B" } else { "A" };
    let forged = format!("{}{other}{}", &good[..place], &good[place + 1..]);
    assert!(explain(&forged).1.contains("signature    REFUSED"), "{}", explain(&forged).1);
    for (bad, words) in [("two.parts", "form"), ("not a token", "form"), ("", "form")] {
        let (code, said) = explain(bad);
        assert!(code == Some(1) && said.contains(words) && said.contains("REFUSED"), "{bad}: {said}");
    }
}

#[test]
fn page_for_a_device_has_the_policy_of_the_configuration_and_a_setting_that_no_device_has_is_refused() {
    let directory = Directory::new("page");
    let _issuer = issuer(&directory);
    let page = directory.path("page");
    let write = |more: &[&str]| {
        let run = attache(&["provision", "write", "--allow-host", "gateway.local", "--out", &page])
            .args(takes_tokens(&directory))
            .args(more)
            .output()
            .expect("it runs");
        (run.status.code(), String::from_utf8(run.stderr).expect("UTF-8"))
    };
    let (code, said) = write(&["--auth-unauthenticated", "404"]);
    assert!(code != Some(0) && said.contains("auth.unauthenticated"), "{said}");
    let policy = ["--auth-leeway", "5s", "--auth-oldest-token", "1h", "--auth-tenants", "t", "--auth-groups", "g"];
    let (code, said) = write(&policy);
    assert_eq!(code, Some(0), "{said}");
    let shown = attache(&["provision", "show", &page]).output().expect("it runs");
    let shown = String::from_utf8(shown.stdout).expect("UTF-8");
    for line in [
        "Callers need an access token.",
        "  hosts: gateway.local",
        "  issuers: https://id.example",
        "  keys of the issuer: k",
        &format!("  audiences: {RESOURCE}"),
        "  applications: app",
        "  tenants: t",
        "  groups: g",
        "  tolerated difference of clocks: 5 s",
        "  longest time since a token was issued: 3600 s",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
}

#[test]
fn tokens_are_taken_by_the_keys_in_a_file_and_the_policy_is_printed() {
    let directory = Directory::new("tokens");
    let issued = issuer(&directory);
    let token = |changes| format!("authorization: Bearer {}\r\n", issued(changes));
    let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--auth-scopes", "mcp.use"]);
    command.args(takes_tokens(&directory)).stderr(Stdio::null());
    let mut server = Running::of(command);
    let mut policy = String::new();
    while !policy.contains("scopes that clients") {
        assert!(server.output.read_line(&mut policy).expect("a line") > 0, "{policy}");
    }
    for words in ["an access token of https://id.example", RESOURCE, "applications: app", "mcp.use"] {
        assert!(policy.contains(words), "{policy}");
    }
    assert_eq!(status(&server, &token(json!({}))), 200);
    assert_eq!(status(&server, &token(json!({"azp": "other"}))), 403);
    assert_eq!(status(&server, &token(json!({"aud": "other"}))), 401);
    let refused = list(&server, "/mcp", "");
    let challenge = "www-authenticate: Bearer resource_metadata=\"https://api.example/.well-known/oauth-protected-resource/mcp\", scope=\"mcp.use\"";
    assert!(refused.contains(challenge), "{refused}");
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"] {
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        let metadata: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert_eq!(metadata["resource"], RESOURCE, "{path}");
    }
}

/// Makes a directory with a policy file of the platform and the key set of its issuer. Returns the
/// directory, a function that signs tokens, and the flags of the server.
fn platform(name: &str, settings: Value) -> (Directory, impl Fn(Value) -> String + use<>, Vec<String>) {
    let directory = Directory::new(name);
    let issued = issuer(&directory);
    let provider =
        json!({"registration": {"clientId": "app", "openIdConnectConfiguration": {"issuer": "https://id.example"}}});
    let mut whole = json!({"identityProviders": {"customOpenIdConnectProviders": {"id": provider}}});
    settings.as_object().into_iter().flatten().for_each(|(name, value)| whole[name] = value.clone());
    fs::write(directory.path("auth.json"), whole.to_string()).expect("written");
    let flags =
        ["--auth".to_owned(), directory.path("auth.json"), "--auth-jwks-file".to_owned(), directory.path("jwks")];
    (directory, issued, flags.to_vec())
}

fn served(flags: &[String]) -> Running {
    let mut command = attache(&["serve", "--listen", "127.0.0.1:0"]);
    command.args(flags);
    Running::of(command)
}

#[test]
fn caller_without_a_good_token_gets_what_the_policy_of_the_platform_says() {
    for (action, without, challenged) in
        [("Return401", 401, true), ("Return403", 403, false), ("Return404", 404, false), ("AllowAnonymous", 200, false)]
    {
        let validation = json!({"globalValidation": {"unauthenticatedClientAction": action}});
        let (_directory, issued, flags) = platform(&format!("action-{action}"), validation);
        let server = served(&flags);
        let bearer = |changes| format!("authorization: Bearer {}\r\n", issued(changes));
        assert_eq!(status(&server, &bearer(json!({"aud": "app"}))), 200, "{action}");
        // A valid token outside the policy is refused even where no token is needed (docs/authorization.md, "401 or 403").
        assert_eq!(status(&server, &bearer(json!({"aud": "app", "azp": "other"}))), 403, "{action}");
        for credentials in [String::new(), bearer(json!({"aud": "other"})), bearer(json!({"exp": 1}))] {
            let head = list(&server, "/mcp", &credentials);
            assert!(head.starts_with(&format!("HTTP/1.1 {without}")), "{action}: {head}");
            assert_eq!(head.contains("www-authenticate"), challenged, "{action}: {head}");
        }
        let twice = bearer(json!({"aud": "app"})).repeat(2);
        // A hidden endpoint says nothing of credentials, however they are wrong.
        assert_eq!(status(&server, &twice), if without == 404 { 404 } else { 400 }, "{action}");
    }
}

/// The whole answer to these bytes, but for the time in it.
fn answer(server: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    // The server may close before it has read all of it.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("UTF-8");
    answer.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect()
}

#[test]
fn hidden_endpoint_answers_callers_without_credentials_like_a_path_that_is_not_there() {
    let directory = Directory::new("hidden");
    let issued = issuer(&directory);
    let file = directory.path("keys");
    let value = key(&file, &["add", "ci"]).expect("a key");
    let hide = |more: &[&str]| {
        let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--auth-unauthenticated", "404"]);
        command.args(more).stderr(Stdio::null());
        command
    };
    let mut by_token = hide(&["--allow-origin", "https://app.example"]);
    by_token.args(takes_tokens(&directory));
    let by_key = hide(&["--auth-keys-file", &file, "--auth-key-in-query", "true"]);
    let token = |changes| format!("authorization: Bearer {}\r\n", issued(changes));
    const FIELDS: &str = "host: localhost\r\ncontent-type: application/json\r\n";
    const BODY: &str = "content-length: 46\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}";
    let many: String = (0..99).map(|number| format!("x-{number}: 1\r\n")).collect();
    for server in [Running::of(by_token), Running::of(by_key)] {
        for (verb, rest) in [
            ("POST", format!("{FIELDS}{BODY}")),
            ("POST", format!("{FIELDS}{}{BODY}", token(json!({"aud": "other"})))),
            ("POST", format!("{FIELDS}{}{BODY}", token(json!({"exp": 1})))),
            ("POST", format!("{FIELDS}authorization: Bearer\r\n{BODY}")),
            ("POST", format!("{FIELDS}authorization: Bearer a b\r\n{BODY}")),
            ("POST", format!("{FIELDS}authorization: Bearer a\r\nauthorization: Bearer a\r\n{BODY}")),
            ("POST", format!("{FIELDS}x-functions-key: wrong\r\n{BODY}")),
            ("POST", format!("{FIELDS}x-functions-key: a\r\nx-functions-key: b\r\n{BODY}")),
            ("POST", format!("host: evil.example\r\n{BODY}")),
            ("POST", format!("{FIELDS}origin: https://evil.example\r\n{BODY}")),
            ("POST", format!("{FIELDS}origin: https://app.example\r\n{BODY}")),
            ("POST", format!("host: localhost\r\ncontent-type: text/plain\r\n{BODY}")),
            ("POST", format!("{FIELDS}{many}{BODY}")),
            // The body never comes in whole.
            ("POST", format!("{FIELDS}content-length: 1000\r\n\r\n{{")),
            ("POST", format!("{FIELDS}expect: 100-continue\r\ncontent-length: 1000\r\n\r\n")),
            ("POST", format!("{FIELDS}mcp-session-id: a\r\n{BODY}")),
            ("GET", format!("{FIELDS}accept: text/event-stream\r\n\r\n")),
            ("GET", format!("{FIELDS}mcp-session-id: a\r\nmcp-protocol-version: 2025-11-25\r\n\r\n")),
            ("DELETE", format!("{FIELDS}\r\n")),
            ("PUT", format!("{FIELDS}{BODY}")),
            ("HEAD", format!("{FIELDS}\r\n")),
            ("OPTIONS", format!("{FIELDS}origin: https://app.example\r\naccess-control-request-method: POST\r\n\r\n")),
            ("OPTIONS", format!("{FIELDS}origin: http://localhost\r\naccess-control-request-method: POST\r\n\r\n")),
        ] {
            let at = |path: &str| answer(&server, &format!("{verb} {path} HTTP/1.1\r\n{rest}"));
            let (hidden, nothing) = (at("/mcp"), at("/nothing"));
            // Heads with too many fields are refused before their path is read.
            assert!(nothing.contains(" 404 ") || rest.contains(&many), "{verb} {rest}: {nothing}");
            assert_eq!(hidden, nothing, "{verb} {rest}");
            assert_eq!(at("/mcp?access_token=a.b.c"), nothing, "{verb} {rest}");
            assert_eq!(at("/mcp?code=wrong"), nothing, "{verb} {rest}");
        }
        // Nor does the metadata tell of it.
        for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
            let at = |path: &str| answer(&server, &format!("GET {path} HTTP/1.1\r\n{FIELDS}connection: close\r\n\r\n"));
            assert_eq!(at(path), at("/nothing"), "{path}");
        }
        // A caller with valid credentials is told what is wrong with its request.
        let good = format!("{}{}", token(json!({})), with_key(&value));
        assert_eq!(status(&server, &good), 200);
        let put = answer(&server, &format!("PUT /mcp HTTP/1.1\r\n{FIELDS}{good}{BODY}"));
        assert!(put.starts_with("HTTP/1.1 405"), "{put}");
    }
}

#[test]
fn caller_of_a_hidden_endpoint_who_comes_too_often_learns_it_only_if_it_was_known_before() {
    let directory = Directory::new("hidden-rate");
    let issued = issuer(&directory);
    let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--auth-unauthenticated", "404"]);
    command.args(takes_tokens(&directory)).args(["--limits-rate", "1/6"]).stderr(Stdio::null());
    let server = Running::of(command);
    let token = |changes| format!("authorization: Bearer {}\r\n", issued(changes));
    let (known, other) = (token(json!({})), token(json!({"sub": "bob"})));
    assert_eq!(status(&server, &known), 200);
    let statuses: Vec<u16> = (0..12).map(|_| status(&server, "")).collect();
    assert_eq!(statuses, [404; 12]);
    assert_eq!([status(&server, &known), status(&server, &other), status(&server, "")], [429, 404, 404]);
}

#[test]
fn public_url_comes_only_from_a_trusted_proxy() {
    let proxy = json!({"httpSettings": {"forwardProxy": {"convention": "Standard"}}});
    let (_directory, _, flags) = platform("proxy", proxy);
    let refused = attache(&["serve"]).args(&flags).output().expect("it runs");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("proxy.trusted"), "{refused:?}");
    let forwarded = "x-forwarded-host: api.example\r\nx-forwarded-proto: https\r\n";
    let challenge = |server: &Running, fields: &str| {
        let head = list(server, "/mcp", fields);
        head.split("resource_metadata=\"").nth(1).and_then(|rest| rest.split('"').next()).expect(&head).to_owned()
    };
    for (trusted, fields, expected) in [
        ("127.0.0.0/8", forwarded, "https://api.example"),
        ("127.0.0.0/8", "", "http://127.0.0.1"),
        ("127.0.0.0/8", "x-forwarded-host: api.example\r\n", "http://127.0.0.1"),
        ("127.0.0.0/8", "x-forwarded-host: a\"b\r\nx-forwarded-proto: https\r\n", "http://127.0.0.1"),
        ("127.0.0.0/8", &format!("{forwarded}x-forwarded-host: other\r\n"), "http://127.0.0.1"),
        ("10.0.0.0/8", forwarded, "http://127.0.0.1"),
    ] {
        let server = served(&[flags.as_slice(), &["--proxy-trusted".to_owned(), trusted.to_owned()]].concat());
        let url = challenge(&server, fields);
        assert!(url.starts_with(expected) && url.ends_with("/mcp"), "{trusted} {fields:?}: {url}");
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        write!(
            stream,
            "GET /.well-known/oauth-protected-resource HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}\r\n"
        )
        .expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains(&format!(r#""resource":"{expected}"#)), "{trusted} {fields:?}: {answer}");
    }
    // A configured resource takes precedence over forwarded headers.
    let told = ["--proxy-trusted", "127.0.0.1", "--auth-resource", RESOURCE].map(ToOwned::to_owned);
    let server = served(&[flags.as_slice(), &told].concat());
    assert!(
        challenge(&server, "x-forwarded-host: other\r\nx-forwarded-proto: https\r\n")
            .starts_with("https://api.example/")
    );
}

#[test]
fn tokens_of_each_of_several_issuers_are_taken_by_the_policy_of_their_own() {
    let directory = Directory::new("several");
    let issued = issuer(&directory);
    let provider = |issuer: &str, client: &str| json!({"registration": {"clientId": client, "openIdConnectConfiguration": {"issuer": issuer}}});
    let both = json!({"identityProviders": {"customOpenIdConnectProviders": {
        "a": provider("https://id.example", "app"), "b": provider("https://other.example", "app")}}});
    fs::write(directory.path("auth.json"), both.to_string()).expect("written");
    let refused =
        attache(&["serve", "--auth", &directory.path("auth.json"), "--auth-jwks-file", &directory.path("jwks")]);
    let refused = { refused }.output().expect("it runs");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("auth.jwks_file belongs to one issuer"), "{refused:?}");
    // Neither issuer's keys can be fetched, so the server cannot check the tokens.
    let server = served(&["--auth".to_owned(), directory.path("auth.json")]);
    let of = |issuer: &str, aud: &str| {
        status(&server, &format!("authorization: Bearer {}\r\n", issued(json!({"iss": issuer, "aud": aud}))))
    };
    assert_eq!([of("https://third.example", "app"), of("https://id.example", "other")], [401, 401]);
    let flags =
        ["--auth-issuer", "https://id.example", "--auth-issuer", "https://other.example"].map(ToOwned::to_owned);
    assert_eq!(list(&served(&flags), "/mcp", "").split(' ').nth(1), Some("401"));
}

#[test]
fn principal_header_of_the_platform_is_accepted_only_if_configured_and_on_loopback() {
    // {"auth_typ":"aad","claims":[{"typ":"oid","val":"ada"}]}
    let principal =
        "x-ms-client-principal: eyJhdXRoX3R5cCI6ImFhZCIsImNsYWltcyI6W3sidHlwIjoib2lkIiwidmFsIjoiYWRhIn1dfQ==\r\n";
    let directory = Directory::new("vouched");
    let keys = directory.path("keys");
    key(&keys, &["add", "ci"]).expect("a key");
    assert_eq!(status(&Running::with(&["--auth-keys-file", &keys]), principal), 401, "not believed");
    for (listen, variable, says) in [
        ("127.0.0.1:0", None, "WEBSITE_AUTH_ENABLED"),
        ("127.0.0.1:0", Some("False"), "WEBSITE_AUTH_ENABLED"),
        ("0.0.0.0:0", Some("True"), "loopback"),
    ] {
        let mut command = attache(&["serve", "--listen", listen, "--auth-platform-principal", "true"]);
        variable.map(|value| command.env("WEBSITE_AUTH_ENABLED", value));
        let refused = command.output().expect("it runs");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(says), "{listen} {variable:?}: {refused:?}");
    }
    let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--auth-platform-principal", "true"]);
    command.env("WEBSITE_AUTH_ENABLED", "True");
    let server = Running::of(command);
    for (credentials, expected) in [
        (principal.to_owned(), 200),
        (format!("{principal}authorization: Bearer whatever\r\n"), 200),
        (String::new(), 401),
        (principal.repeat(2), 400),
        ("x-ms-client-principal: e30=\r\n".to_owned(), 401),
    ] {
        assert_eq!(status(&server, &credentials), expected, "{credentials}");
    }
}

/// Sends a request to the key administration, and returns the status and the JSON body of the
/// answer.
fn admin(server: &Running, method: &str, path: &str, key: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}content-length: {}\r\n\r\n{body}",
        with_key(key),
        body.len()
    )
    .expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn key_opens_the_servers_of_its_level_and_no_others() {
    let directory = Directory::new("levels");
    let file = directory.path("keys");
    let made = |arguments: &[&str]| key(&file, arguments).expect("a key");
    let keys = [
        made(&["add", "_master", "--level", "master"]),
        made(&["add", "ci"]),
        made(&["add", "one", "--level", "function", "--server", "/one"]),
        made(&["add", "mcp_extension", "--level", "system"]),
        made(&["add", "other_extension", "--level", "system"]),
        "wrong".to_owned(),
    ];
    let listed = "_master master\nci\none function:/one\nmcp_extension system\nother_extension system";
    assert_eq!(key(&file, &["list"]).expect("names"), listed);
    let toml = directory.path("attache.toml");
    let server = |path: &str, level: &str| format!("[[server]]\npath = \"{path}\"\nauth.key_level = \"{level}\"\n");
    let servers = [("/one", "function"), ("/two", "function"), ("/hook", "system"), ("/ops", "admin")];
    let text: String = servers.iter().map(|(path, level)| server(path, level)).collect();
    fs::write(&toml, format!("auth.keys_file = {file:?}\n{text}")).expect("written");
    let server = Running::with(&["--config", &toml]);
    for (path, expected) in [
        ("/one", [200, 200, 200, 401, 401, 401]),
        ("/two", [200, 200, 401, 401, 401, 401]),
        // Microsoft Learn, "Work with access keys in Azure Functions": only the webhook endpoint
        // reveals that a key is valid but of the wrong level.
        ("/hook", [200, 403, 403, 200, 403, 401]),
        ("/ops", [200, 401, 401, 401, 401, 401]),
    ] {
        let statuses = keys.each_ref().map(|value| {
            let head = list(&server, path, &with_key(value));
            head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status")
        });
        assert_eq!(statuses, expected, "{path}");
    }
    let mistaken = key(&file, &["add", "one", "--level", "function"]).expect_err("of which server");
    assert!(mistaken.contains("--server"), "{mistaken}");
}

#[test]
fn holder_of_the_master_key_administers_the_keys_and_each_change_takes_effect_at_once() {
    let directory = Directory::new("admin");
    let file = directory.path("keys");
    let master = key(&file, &["add", "_master", "--level", "master"]).expect("a key");
    let ci = key(&file, &["add", "ci"]).expect("a key");
    let closed = Running::with(&["--auth-keys-file", &file]);
    assert_eq!(admin(&closed, "GET", "/admin/host/keys", &master, "").0, 404, "only where that was said");
    let server = Running::with(&["--auth-keys-file", &file, "--auth-key-administration", "true"]);
    let admin = |method: &str, path: &str, body: &str| admin(&server, method, path, &master, body);
    for (shown, expected) in [("", 401), ("wrong", 401), (ci.as_str(), 403)] {
        assert_eq!(self::admin(&server, "GET", "/admin/host/keys", shown, "").0, expected, "{shown}");
    }
    let (code, listed) = admin("GET", "/admin/host/functionkeys", "");
    assert_eq!((code, &listed["keys"]), (200, &json!([{"name": "ci", "value": null}])));
    let (code, made) = admin("POST", "/admin/host/keys/ops", "");
    let value = made["value"].as_str().expect("a value").to_owned();
    assert_eq!((code, made["name"].as_str()), (201, Some("ops")));
    assert_eq!([status(&server, &with_key(&value)), status(&server, &with_key(&ci))], [200; 2], "both live, at once");
    let (code, renewed) = admin("POST", "/admin/host/keys/ops", "");
    assert_eq!(code, 200);
    let renewed = renewed["value"].as_str().expect("a value");
    assert_eq!([status(&server, &with_key(&value)), status(&server, &with_key(renewed))], [401, 200]);
    let chosen = "a value that somebody has chosen, long";
    let body = json!({"name": "ops", "value": chosen}).to_string();
    assert_eq!(admin("PUT", "/admin/host/keys/ops", &body).0, 200);
    assert_eq!([status(&server, &with_key(renewed)), status(&server, &with_key(chosen))], [401, 200]);
    let (code, own) = admin("PUT", "/admin/functions/mcp/keys/one", "");
    assert_eq!((code, status(&server, &with_key(own["value"].as_str().expect("a value")))), (201, 200));
    assert_eq!(admin("GET", "/admin/functions/mcp/keys/one", "").0, 200);
    assert_eq!(admin("GET", "/admin/host/keys/one", "").0, 404, "it is another collection");
    let (_, system) = admin("POST", "/admin/host/systemkeys/mcp_extension", "");
    assert_eq!(status(&server, &with_key(system["value"].as_str().expect("a value"))), 401, "it is not for this");
    assert_eq!((admin("DELETE", "/admin/host/keys/ops", "").0, status(&server, &with_key(chosen))), (204, 401));
    for (method, path, body, expected) in [
        ("DELETE", "/admin/host/keys/ops", "", 404),
        ("DELETE", "/admin/host/systemkeys/_master", "", 403),
        ("PATCH", "/admin/host/keys/ops", "", 405),
        ("POST", "/admin/host/keys", "", 405),
        ("GET", "/admin/host/otherkeys", "", 404),
        ("PUT", "/admin/host/keys/a", r#"{"name":"b"}"#, 400),
        ("PUT", "/admin/host/keys/a", r#"{"value":"short"}"#, 400),
        ("PUT", "/admin/host/keys/a", r#"{"values":"what is this"}"#, 400),
        ("PUT", "/admin/host/keys/a", "{", 400),
        ("PUT", "/admin/host/keys/a%20b", "", 400),
        ("PUT", "/admin/host/keys/a", &"x".repeat(5000), 413),
    ] {
        assert_eq!(admin(method, path, body).0, expected, "{method} {path} {body:.40}");
    }
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).expect("a text").contains(chosen), "only digests are kept");
    // The master key can be renewed with itself, and the old value stops working.
    let (code, fresh) = admin("POST", "/admin/host/systemkeys/_master", "");
    assert_eq!(code, 200);
    assert_eq!(admin("GET", "/admin/host/keys", "").0, 401);
    let fresh = fresh["value"].as_str().expect("a value");
    assert_eq!(self::admin(&server, "GET", "/admin/host/keys", fresh, "").0, 200);
    for (flags, says) in [
        (&["--auth-key-administration", "true"][..], "auth.keys_file"),
        (
            &["--auth-key-administration", "true", "--auth-keys-file", &file, "--listen", "0.0.0.0:0"],
            "without encryption",
        ),
    ] {
        let refused = attache(&[&["serve"], flags].concat()).output().expect("it runs");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(says), "{flags:?}: {refused:?}");
    }
}

#[test]
fn secret_of_another_user_is_refused() {
    let directory = Directory::new("owner");
    let file = directory.path("keys");
    key(&file, &["add", "ci"]).expect("a key");
    if std::os::unix::fs::chown(&file, Some(12_345), None).is_err() {
        eprintln!("not shown here: only root gives files away");
        return;
    }
    let run = attache(&["serve", "--listen", "127.0.0.1:0", "--auth-keys-file", &file]).output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(2) && said.contains("belongs to user 12345") && said.contains("chown"), "{said}");
}

#[test]
fn key_that_root_adds_for_a_service_stays_readable_by_its_user() {
    use std::os::unix::fs::{MetadataExt, chown};
    let directory = Directory::new("service");
    if chown(&directory.0, Some(12_345), Some(12_345)).is_err() {
        eprintln!("not shown here: only root gives files away");
        return;
    }
    let file = directory.path("keys");
    for (name, owner) in [("ci", 12_345), ("ops", 12_346)] {
        if name == "ops" {
            chown(&file, Some(owner), None).expect("root may");
        }
        let added = key(&file, &["add", name]);
        let owned = fs::metadata(&file).map(|file| file.uid()).expect("a file");
        assert_eq!((added.is_ok(), owned), (true, owner), "{name}: {added:?}");
    }
    assert_eq!(key(&file, &["list"]).expect("names"), "ci\nops");
}

#[test]
fn file_of_keys_is_that_of_the_configuration() {
    let directory = Directory::new("configured");
    let (file, other) = (directory.path("keys"), directory.path("other"));
    let config = directory.path("attache.toml");
    let text = format!(
        "[auth]\nkeys_file = {file:?}\n[[server]]\n[[server]]\npath = \"/b\"\n[server.auth]\nkeys_file = {other:?}\n"
    );
    fs::write(&config, text).expect("written");
    let run = |arguments: &[&str]| {
        let run = attache(&[&["key"], arguments, &["--config", &config]].concat()).output().expect("it runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8_lossy(&run.stdout).trim().to_owned()
    };
    run(&["add", "ci"]);
    run(&["add", "own", "--level", "function", "--server", "/b"]);
    assert_eq!(key(&file, &["list"]).expect("names"), "ci");
    assert_eq!(key(&other, &["list"]).expect("names"), "own function:/b");
    assert_eq!(run(&["list"]), "ci");
    let run = attache(&["key", "list"]).current_dir(&directory.0).env("ATTACHE_AUTH_KEYS_FILE", &other).output();
    assert_eq!(run.expect("it runs").stdout, b"own function:/b\n");
}

/// Sends a request to key administration, byte by byte as given. Returns the status of the answer.
fn raw(server: &Running, request: &str) -> u16 {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("taken");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[test]
fn key_administration_checks_host_origin_rate_and_deadline_as_an_endpoint_does() {
    let directory = Directory::new("door");
    let file = directory.path("keys");
    let master = key(&file, &["add", "_master", "--level", "master"]).expect("a key");
    let flags = ["--auth-keys-file", &file, "--auth-key-administration", "true", "--allow-host", "api.example"];
    let server = Running::with(&[&flags[..], &["--limits-body-time", "500ms"]].concat());
    for path in ["/admin/host/keys", "/admin/host/keys/a", "/admin/functions/mcp/keys", "/admin/functions/mcp/keys/a"] {
        for (fields, expected) in [
            ("host: localhost\r\n", &[200, 404][..]),
            ("host: api.example\r\n", &[200, 404]),
            ("host: evil.example\r\n", &[403]),
            ("host: localhost\r\norigin: http://localhost\r\n", &[200, 404]),
            ("host: localhost\r\norigin: https://evil.example\r\n", &[403]),
            ("host: localhost\r\norigin: null\r\n", &[403]),
            ("", &[400]),
            ("host: localhost\r\nhost: localhost\r\n", &[400]),
        ] {
            let request =
                format!("GET {path} HTTP/1.1\r\n{fields}connection: close\r\nx-functions-key: {master}\r\n\r\n");
            let status = raw(&server, &request);
            assert!(expected.contains(&status), "{path} {fields}: {status}");
        }
        let other = format!(
            "GET http://evil.example{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-functions-key: {master}\r\n\r\n"
        );
        assert_eq!(raw(&server, &other), 400, "{path}");
        let half = format!(
            "PUT {path} HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {master}\r\ncontent-length: 9\r\n\r\n{{"
        );
        assert_eq!(raw(&server, &half), 408, "{path}");
    }
    assert_eq!(key(&file, &["list"]).expect("names"), "_master master", "nothing was made");
    let slow = Running::with(&[&flags[..], &["--limits-rate", "1/3"]].concat());
    // Guesses count as well.
    let guess =
        "GET /admin/host/keys HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-functions-key: guess\r\n\r\n";
    let statuses: Vec<u16> = (0..6).map(|_| raw(&slow, guess)).collect();
    assert!(statuses.starts_with(&[401, 401, 401]) && statuses.contains(&429), "{statuses:?}");
}
