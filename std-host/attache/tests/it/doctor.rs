//! `attache doctor`: broken set-ups with the findings that each must bring, and healthy ones that
//! must bring none.

mod world;

use crate::running::{Running, attache};
use crate::transport::Directory;
use core::time::Duration;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use world::{Reply, Session, Stream, World};

/// Runs the doctor, and returns its report.
fn report(arguments: &[&str]) -> Value {
    let run = attache(&[&["doctor", "--json"], arguments].concat()).output().expect("it runs");
    let out = String::from_utf8_lossy(&run.stdout);
    let report: Value = serde_json::from_str(&out)
        .unwrap_or_else(|_| panic!("{arguments:?}: {out}{}", String::from_utf8_lossy(&run.stderr)));
    let expected = if report["healthy"] == true { 0 } else { 1 };
    assert_eq!(run.status.code(), Some(expected), "{report:#}");
    report
}

/// The codes of the findings, in order.
fn codes(report: &Value) -> Vec<&str> {
    let observations = report["observations"].as_array().expect("a list");
    observations.iter().filter_map(|observation| observation["code"].as_str()).collect()
}

/// A file that is removed when the test ends.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("attache-doctor-{name}-{}", std::process::id()));
        std::fs::write(&path, text).expect("written");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Examines a world.
fn examine(name: &str, world: World) -> Value {
    let path = world.path;
    let (origin, token) = world.serve();
    let url = format!("{origin}{path}");
    let Some(token) = token else { return report(&[&url]) };
    let file = File::new(name, &token);
    let report = report(&[&url, "--token-file", file.path()]);
    assert!(!report.to_string().contains(&token), "the token is in the report");
    report
}

type Case = (&'static str, fn() -> World, &'static [&'static str]);

/// Changes a world.
macro_rules! broken {
    ($base:ident, |$world:ident| $change:expr) => {
        || {
            let mut $world = World::$base();
            $change;
            $world
        }
    };
}

/// Changes the metadata at both places.
fn metadata(world: &mut World, change: impl Fn(Reply) -> Reply) {
    world.metadata = world.metadata.clone().map(change);
}

fn challenge(world: &mut World, header: &str) {
    world.first = world.first.clone().with("www-authenticate", header);
}

fn issuer(world: &mut World, name: &str, value: Value) {
    world.issuer = world.issuer.clone().set(name, value);
}

fn claim(world: &mut World, name: &str, value: Value) {
    world.claims.as_mut().expect("claims")[name] = value;
}

const REFUSED: u16 = 401;

#[rustfmt::skip]
const BROKEN: &[Case] = &[
    // Connection.
    ("clock", broken!(healthy, |world| world.date = Some("Sat, 01 Jan 2000 00:00:00 GMT")), &["clock-differs"]),
    ("silence", broken!(healthy, |world| world.delay = Duration::from_secs(8)), &["no-answer"]),
    ("endless", broken!(healthy, |world| world.is_endless = true), &["answer-too-large"]),
    ("slow", broken!(with_token, |world| world.delay = Duration::from_millis(2300)), &["gave-up"]),
    // The answer without a credential.
    ("redirect", broken!(healthy, |world| world.first = Reply::new(308).with("location", "/mcp/")), &["redirected"]),
    ("sign-in", broken!(healthy, |world| world.first = Reply::new(302).with("location", "https://id.example/login")), &["sign-in-page"]),
    ("path", broken!(healthy, |world| world.first = Reply::html(404)), &["not-found"]),
    ("page", broken!(healthy, |world| world.first = Reply::html(200)), &["not-mcp"]),
    ("failure", broken!(healthy, |world| world.first = Reply::html(502)), &["server-error"]),
    ("forbidden", broken!(healthy, |world| world.first = Reply::new(403)), &["forbidden-not-unauthorized"]),
    ("no challenge", broken!(healthy, |world| world.first = world.first.without("www-authenticate")), &["challenge-missing"]),
    ("spaces", broken!(healthy, |world| challenge(&mut world, r#"Bearer authorization_uri="https://a" resource_id="b""#)), &["challenge-malformed"]),
    ("basic", broken!(healthy, |world| challenge(&mut world, r#"Basic realm="a""#)), &["challenge-not-bearer"]),
    ("bare", broken!(healthy, |world| challenge(&mut world, r#"Bearer realm="a""#)), &["challenge-without-metadata"]),
    ("relative", broken!(healthy, |world| challenge(&mut world, r#"Bearer resource_metadata="/.well-known/oauth-protected-resource""#)), &["challenge-metadata-relative"]),
    // Metadata.
    ("no metadata", broken!(healthy, |world| metadata(&mut world, |_| Reply::new(404))), &["metadata-missing"]),
    ("guarded metadata", broken!(healthy, |world| metadata(&mut world, |_| Reply::new(401))), &["metadata-protected", "metadata-protected"]),
    ("metadata page", broken!(healthy, |world| metadata(&mut world, |_| Reply::html(200))), &["metadata-malformed", "metadata-malformed"]),
    ("two documents", broken!(healthy, |world| world.metadata[1] = world.metadata[1].clone().set("scopes_supported", json!(["other"]))), &["metadata-contradicts"]),
    ("no cors", broken!(healthy, |world| metadata(&mut world, |reply| reply.without("access-control-allow-origin"))), &["metadata-without-cors"]),
    ("no resource", broken!(healthy, |world| metadata(&mut world, |reply| reply.set("resource", Value::Null))), &["resource-missing"]),
    ("slash", broken!(healthy, |world| metadata(&mut world, |reply| reply.set("resource", json!("{origin}/mcp/")))), &["resource-trailing-slash"]),
    ("inner host", broken!(healthy, |world| metadata(&mut world, |reply| reply.set("resource", json!("http://inner:8080/mcp")))), &["resource-host"]),
    ("inner path", broken!(healthy, |world| metadata(&mut world, |reply| reply.set("resource", json!("{origin}/inner")))), &["resource-path"]),
    ("https resource", broken!(healthy, |world| metadata(&mut world, |reply| reply.set("resource", json!("https://127.0.0.1/mcp")))), &["resource-scheme"]),
    ("no issuer", broken!(healthy, |world| metadata(&mut world, |reply| reply.set("authorization_servers", json!([])))), &["issuer-missing"]),
    ("no scopes", broken!(healthy, |world| {
        metadata(&mut world, |reply| reply.set("scopes_supported", Value::Null));
        challenge(&mut world, r#"Bearer resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp""#);
    }), &["scopes-missing"]),
    // The authorization server.
    ("plain issuer", broken!(healthy, |world| metadata(&mut world, |reply| reply.set("authorization_servers", json!(["id"])))), &["issuer-malformed"]),
    ("dead issuer", broken!(healthy, |world| metadata(&mut world, |reply| reply.set("authorization_servers", json!(["http://127.0.0.1:9"])))), &["issuer-unreachable"]),
    ("short issuer", broken!(healthy, |world| metadata(&mut world, |reply| reply.set("authorization_servers", json!(["{origin}"])))), &["issuer-metadata-missing"]),
    ("issuer slash", broken!(healthy, |world| issuer(&mut world, "issuer", json!("{origin}/issuer/"))), &["issuer-differs"]),
    ("no endpoint", broken!(healthy, |world| issuer(&mut world, "token_endpoint", Value::Null)), &["endpoint-missing"]),
    ("no pkce", broken!(healthy, |world| issuer(&mut world, "code_challenge_methods_supported", json!(["plain"]))), &["pkce-missing"]),
    ("no registration", broken!(healthy, |world| issuer(&mut world, "registration_endpoint", Value::Null)), &["registration-missing"]),
    ("no keys", broken!(healthy, |world| world.keys = Reply::new(500)), &["keys-missing"]),
    ("entra, prefix", broken!(with_entra, |world| metadata(&mut world, |reply| reply.set("scopes_supported", json!(["api://1/use"])))), &["scope-prefix-differs"]),
    ("entra, short scope", broken!(with_entra, |world| metadata(&mut world, |reply| reply.set("scopes_supported", json!(["use"])))), &["scope-unqualified"]),
    ("entra, common", broken!(with_entra, |world| {
        metadata(&mut world, |reply| reply.set("authorization_servers", json!(["{origin}/common/v2.0"])));
        world.issuer_path = "/common/v2.0/.well-known/openid-configuration";
        issuer(&mut world, "issuer", json!("https://login.microsoftonline.com/{tenantid}/v2.0"));
    }), &["issuer-many-tenants"]),
    ("entra, v1", broken!(with_entra, |world| {
        metadata(&mut world, |reply| reply.set("authorization_servers", json!(["{origin}/11111111-2222-4333-8444-555555555555"])));
        world.issuer_path = "/11111111-2222-4333-8444-555555555555/.well-known/openid-configuration";
        issuer(&mut world, "issuer", json!("{origin}/11111111-2222-4333-8444-555555555555"));
    }), &["issuer-v1"]),
    // The token.
    ("opaque", broken!(with_token, |world| { world.token = Some("opaque-token"); world.refusal = Some(Reply::new(REFUSED)) }), &["token-malformed", "token-refused"]),
    ("expired", broken!(with_token, |world| { claim(&mut world, "exp", json!(-3600)); world.refusal = Some(Reply::new(REFUSED)) }), &["token-expired", "token-refused"]),
    ("early", broken!(with_token, |world| claim(&mut world, "nbf", json!(600))), &["token-not-yet-valid"]),
    ("other issuer", broken!(with_token, |world| claim(&mut world, "iss", json!("https://other.example"))), &["token-other-issuer"]),
    ("v1 token", broken!(with_entra, |world| world.claims = Some(json!({
        "iss": "https://sts.windows.net/11111111-2222-4333-8444-555555555555/", "ver": "1.0", "aud": "{origin}/mcp", "scp": "use",
    }))), &["token-v1"]),
    ("other tenant", broken!(with_entra, |world| world.claims = Some(json!({
        "iss": "https://login.microsoftonline.com/99999999-2222-4333-8444-555555555555/v2.0", "ver": "2.0",
        "tid": "99999999-2222-4333-8444-555555555555", "aud": "{origin}/mcp", "scp": "use",
    }))), &["token-other-tenant"]),
    ("guid", broken!(with_token, |world| { claim(&mut world, "aud", json!("11111111-2222-4333-8444-555555555555")); world.refusal = Some(Reply::new(REFUSED)) }), &["token-audience-guid"]),
    ("uri", broken!(with_token, |world| { claim(&mut world, "aud", json!("api://11111111")); world.refusal = Some(Reply::new(REFUSED)) }), &["token-audience-uri"]),
    ("other audience", broken!(with_token, |world| { claim(&mut world, "aud", json!("https://graph.example")); world.refusal = Some(Reply::new(REFUSED)) }), &["token-other-audience"]),
    ("id token", broken!(with_token, |world| claim(&mut world, "nonce", json!("n"))), &["token-is-id-token"]),
    ("unknown key", broken!(with_token, |world| claim(&mut world, "kid_of_header", json!("other"))), &["token-key-unknown"]),
    ("forged", broken!(with_token, |world| world.is_forged = true), &["token-signature-wrong"]),
    ("no scope", broken!(with_token, |world| claim(&mut world, "scope", json!("other"))), &["token-scope-missing"]),
    ("insufficient scope", broken!(with_token, |world| world.refusal = Some(Reply::new(403).with("www-authenticate", r#"Bearer error="insufficient_scope""#))), &["token-scope-missing"]),
    ("refused", broken!(with_token, |world| world.refusal = Some(Reply::new(REFUSED))), &["token-refused"]),
    ("not allowed", broken!(with_token, |world| world.refusal = Some(Reply::new(403))), &["caller-forbidden"]),
    // The protocol.
    ("list without hints", broken!(with_token, |world| world.list = json!({ "tools": [] })), &["ttl-missing"]),
    ("not JSON-RPC", broken!(with_token, |world| world.list = Value::Null), &["protocol-malformed"]),
    ("held stream", broken!(with_token, |world| world.stream = Stream::Held), &["stream-buffered"]),
    ("silent stream", broken!(with_token, |world| world.stream = Stream::Silent), &["stream-buffered"]),
    ("compressed stream", broken!(with_token, |world| world.stream = Stream::Compressed), &["stream-compressed"]),
    ("two replicas", broken!(with_token, |world| world.session = Session::TwoReplicas), &["session-affinity"]),
    ("unknown session", broken!(with_token, |world| world.session = Session::Unauthorized), &["session-unauthorized"]),
    ("older server", broken!(older, |world| world.path = "/mcp"), &["revision-old"]),
    ("older server that fails", broken!(older, |world| world.probe = Reply::new(500)), &["probe-fails", "revision-old"]),
    // Browsers.
    ("preflight", broken!(healthy, |world| world.preflight = Reply::new(401)), &["preflight-challenged"]),
    ("preflight headers", broken!(healthy, |world| world.preflight = world.preflight.with("access-control-allow-headers", "*")), &["preflight-headers"]),
    ("hidden headers", broken!(healthy, |world| world.first = world.first.without("access-control-expose-headers")), &["headers-not-exposed"]),
];

#[test]
fn each_broken_set_up_brings_its_findings_and_no_other() {
    std::thread::scope(|scope| {
        let run = |(name, world, expected): &'static Case| {
            let report = examine(name, world());
            assert_eq!(codes(&report), *expected, "{name}: {report:#}");
        };
        let threads: Vec<_> = BROKEN.iter().map(|case| (case.0, scope.spawn(move || run(case)))).collect();
        let failed: Vec<_> = threads.into_iter().filter_map(|(name, case)| case.join().err().map(|_| name)).collect();
        assert!(failed.is_empty(), "{failed:?}");
    });
}

#[test]
fn healthy_set_ups_bring_no_finding() {
    for (name, world) in [("no token", World::healthy as fn() -> World), ("token", World::with_token)] {
        let report = examine(name, world());
        assert_eq!(codes(&report), [""; 0], "{name}: {report:#}");
    }
    // Entra ID registers no client dynamically, which is a warning.
    let report = examine("entra", broken!(with_entra, |world| world.path = "/mcp")());
    assert_eq!(codes(&report), [""; 0], "{report:#}");
    // A server may accept an audience that it does not publish.
    let world = broken!(with_token, |world| claim(&mut world, "aud", json!("api://11111111")))();
    assert_eq!(codes(&examine("accepted", world)), [""; 0]);
}

#[test]
fn servers_of_this_program_are_healthy() {
    let open = Running::start();
    let url = format!("http://{}/mcp", open.address());
    let started = Instant::now();
    let seen = report(&[&url]);
    assert_eq!(codes(&seen), [""; 0], "{seen:#}");
    assert!(started.elapsed() < Duration::from_secs(10), "a healthy server is examined within 10 s");
    assert_eq!(seen["contacted"], json!([format!("http://{}", open.address())]));
    let issuer = Running::of(attache(&["dev-issuer", "--listen", "127.0.0.1:0"]));
    let at = issuer.greeting.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL");
    let guarded = Running::with(&["--auth-issuer", at, "--auth-applications", "*", "--auth-scopes", "mcp"]);
    let url = format!("http://{}/mcp", guarded.address());
    let seen = report(&[&url]);
    assert_eq!(codes(&seen), [""; 0], "{seen:#}");
    assert_eq!(seen["contacted"], json!([format!("http://{}", guarded.address()), at]));
}

/// Starts a TLS server that has this certificate and key.
struct TlsServer(std::process::Child);

impl TlsServer {
    fn start(directory: &Directory, certificate: &str) -> (Self, u16) {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}")])
            .args(["-cert", &directory.file(certificate), "-key", &directory.file("key.pem")])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("openssl runs");
        let until = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "openssl listens");
            std::thread::sleep(Duration::from_millis(20));
        }
        (Self(child), port)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn connection_that_fails_is_named() {
    let directory = Directory::new("doctor");
    directory.certificate_of_server("DNS:localhost");
    let (_good, good) = TlsServer::start(&directory, "certificate.pem");
    std::fs::copy(directory.file("certificate.pem"), directory.file("good.pem")).expect("copied");
    directory.expired_certificate();
    let (_expired, expired) = TlsServer::start(&directory, "certificate.pem");
    let (plain, _) = World::healthy().serve();
    let plain = plain.strip_prefix("http://").expect("an origin");
    let trusted = ["--ca".to_owned(), directory.file("good.pem")];
    let old = ["--ca".to_owned(), directory.file("certificate.pem")];
    let long = format!("http://{}.example/mcp", "a".repeat(64));
    for (url, flags, expected) in [
        ("http://127.0.0.1:9/mcp".to_owned(), &[][..], &["not-reachable"][..]),
        (long, &[], &["plain-http", "name-not-found"]),
        (format!("https://{plain}/mcp"), &[], &["tls-not-spoken"]),
        (format!("http://127.0.0.1:{good}/mcp"), &[], &["not-http"]),
        (format!("https://localhost:{good}/mcp"), &[], &["certificate-untrusted"]),
        (format!("https://localhost:{expired}/mcp"), &old, &["certificate-expired"]),
        (format!("https://127.0.0.2:{good}/mcp"), &trusted, &["not-reachable"]),
        // The connection is good; the TLS server of openssl answers to GET only.
        (format!("https://localhost:{good}/mcp"), &trusted, &["no-answer"]),
    ] {
        let arguments: Vec<_> = [url.as_str()].into_iter().chain(flags.iter().map(String::as_str)).collect();
        let report = report(&arguments);
        assert_eq!(codes(&report), expected, "{url}: {report:#}");
    }
}

#[test]
fn certificate_of_another_name_is_named() {
    let directory = Directory::new("doctor-name");
    directory.certificate_of_server("DNS:other.example");
    let (_server, port) = TlsServer::start(&directory, "certificate.pem");
    let report = report(&[&format!("https://localhost:{port}/mcp"), "--ca", &directory.file("certificate.pem")]);
    assert_eq!(codes(&report), ["certificate-other-name"], "{report:#}");
}

#[test]
fn running_server_is_compared_with_its_configuration() {
    type Configured = (&'static str, fn() -> World, &'static str, &'static [&'static str]);
    #[rustfmt::skip]
    const CASES: &[Configured] = &[
        ("same", World::healthy, r#"{ issuer = "{origin}/issuer", resource = "{origin}/mcp", applications = ["*"] }"#, &[]),
        ("other resource", World::healthy, r#"{ issuer = "{origin}/issuer", resource = "{origin}/other/mcp", applications = ["*"] }"#, &["configuration-other-resource"]),
        ("other issuer", World::healthy, r#"{ issuer = "{origin}/other", applications = ["*"] }"#, &["configuration-other-issuer"]),
        ("wrong key", World::healthy, r#"{ isuer = "{origin}/issuer" }"#, &["configuration-invalid"]),
        ("client", broken!(with_token, |world| claim(&mut world, "azp", json!("cli"))), r#"{ issuer = "{origin}/issuer", applications = ["web"] }"#, &["client-not-allowed"]),
        ("allowed client", broken!(with_token, |world| claim(&mut world, "azp", json!("cli"))), r#"{ issuer = "{origin}/issuer", applications = ["cli"] }"#, &[]),
        ("editor", World::with_entra, r#"{ issuer = "{origin}/11111111-2222-4333-8444-555555555555/v2.0", applications = ["web"] }"#, &["client-not-preauthorized"]),
    ];
    for (name, world, auth, expected) in CASES {
        let (origin, token) = world().serve();
        let text = format!("[[server]]\npath = \"/mcp\"\nauth = {}\n", auth.replace("{origin}", &origin));
        let config = File::new(&format!("config-{}", name.replace(' ', "-")), &text);
        let token = token.map(|token| File::new(&format!("token-{}", name.replace(' ', "-")), &token));
        let url = format!("{origin}/mcp");
        let mut arguments = vec![url.as_str(), "--config", config.path()];
        if let Some(token) = &token {
            arguments.extend(["--token-file", token.path()]);
        }
        let report = report(&arguments);
        assert_eq!(codes(&report), *expected, "{name}: {report:#}");
    }
}

#[test]
fn key_is_tried() {
    let directory = Directory::new("doctor-key");
    let file = directory.file("keys.toml");
    let added = attache(&["key", "add", "ci", "--keys-file", &file]).output().expect("it runs");
    let text = String::from_utf8_lossy(&added.stdout).into_owned();
    let key = text.split_whitespace().find(|word| word.len() > 30).expect("a key").to_owned();
    let server = Running::with(&["--auth-keys-file", &file]);
    let url = format!("http://{}/mcp", server.address());
    let seen = report(&[&url, "--key", &key]);
    assert_eq!(codes(&seen), [""; 0], "{seen:#}");
    assert!(!seen.to_string().contains(&key), "the key is in the report");
    let seen = report(&[&url, "--key", "0123456789abcdef"]);
    assert_eq!(codes(&seen), ["key-refused"], "{seen:#}");
}

#[test]
fn report_in_words_names_the_remedy() {
    let (origin, _) = broken!(healthy, |world| world.first = Reply::new(403))().serve();
    let run = attache(&["doctor", &format!("{origin}/mcp")]).output().expect("it runs");
    let out = String::from_utf8_lossy(&run.stdout);
    for words in
        ["ERROR", "remedy:", "docs/doctor.md#forbidden-not-unauthorized", "contacted: http://127.0.0.1", "1 errors"]
    {
        assert!(out.contains(words), "{words}: {out}");
    }
    for wrong in [&["doctor", "ftp://a"][..], &["doctor", "http://user@localhost/"], &["doctor", "http://localhost/#a"]]
    {
        assert_eq!(attache(wrong).output().expect("it runs").status.code(), Some(2), "{wrong:?}");
    }
}
