//! The client of the host with servers of the official packages, of all generations and over all
//! transports.
//!
//! The tests need foreign programs, see `foreign`.

use crate::foreign::{newer_node, packages, root, there};
use ::core::time::Duration;
use attache_host::client::{
    Client, ClientBuilder, Error, Event, List, QuestionMethod, RawJson, Request, ServerCommand, Version,
};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::time::{Instant, sleep, timeout};

/// A server program, and the revisions and transports that it speaks.
struct Official {
    /// The name in failures.
    name: &'static str,
    program: OsString,
    arguments: Vec<OsString>,
    newest: Version,
    /// Whether its tool `asks` asks the user.
    asks: bool,
}

/// The servers that `tests/foreign/server.py` and `server.mjs` implement, one for each generation.
fn officials() -> Vec<Official> {
    let Some(packages) = packages() else { return Vec::new() };
    let script = |name: &str| OsString::from(root().join("tests/foreign").join(name));
    let python = |name, path: &str, newest, asks| Official {
        name,
        program: packages.join(path).join("bin/python").into(),
        arguments: vec![script("server.py")],
        newest,
        asks,
    };
    vec![
        python("python 1.6", "older/1.6.0", Version::V2024_11_05, false),
        python("python 1.9", "older/1.9.4", Version::V2025_03_26, false),
        python("python 1.22", "older/1.22.0", Version::V2025_06_18, true),
        python("python 1.30", "older/1.30.0", Version::V2025_11_25, true),
        python("python 2", "venv", Version::V2026_07_28, true),
        Official {
            name: "typescript 2",
            program: "node".into(),
            arguments: vec![script("server.mjs")],
            newest: Version::V2026_07_28,
            asks: true,
        },
    ]
}

pub(crate) fn builder() -> ClientBuilder {
    let capabilities = json!({"elicitation": {"form": {}}, "sampling": {}, "roots": {}});
    Client::builder("test", "1").capabilities(RawJson::of(&capabilities).expect("JSON"))
}

fn raw(json: &str) -> RawJson {
    RawJson::parse(json.to_owned()).expect("JSON")
}

fn text(result: &RawJson) -> String {
    let result: Value = result.read().expect("JSON");
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result}")).to_owned()
}

/// A server process; it is ended when the test ends.
pub(crate) struct Listening {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program that serves on a free port. The port is its last argument, or its environment
/// variable PORT.
pub(crate) fn listening(mut command: Command, path: &str) -> Listening {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    command.arg(port.to_string()).env("PORT", port.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Listening { child: command.spawn().expect("it is installed"), url: format!("http://127.0.0.1:{port}{path}") }
}

/// Connects as soon as the server listens.
async fn connected(builder: impl Fn() -> ClientBuilder, url: &str) -> Client {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match builder().http(url).await {
            Ok(client) => return client,
            Err(Error::Unreachable(_)) if Instant::now() < until => sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{url}: {error}"),
        }
    }
}

/// Answers questions, counts progress, and returns the result.
pub(crate) async fn run(client: &Client, request: Request) -> (RawJson, Vec<String>) {
    let mut call = client.start(request.progress().questions());
    let mut progress = Vec::new();
    loop {
        match timeout(Duration::from_secs(30), call.next()).await.expect("an event in time") {
            Event::Progress(params) => {
                let step = params.member("progress").expect("progress");
                progress.push(step.as_str().trim_end_matches(".0").to_owned());
            }
            Event::Question(question) => match question.method {
                QuestionMethod::Elicitation => {
                    question.answer(raw(r#"{"action":"accept","content":{"name":"Ann"}}"#));
                }
                QuestionMethod::Sampling => question
                    .answer(raw(r#"{"role":"assistant","model":"m","content":{"type":"text","text":"a sample"}}"#)),
                _ => question.answer(raw(r#"{"roots":[{"uri":"file:///home","name":"home"}]}"#)),
            },
            Event::Done(result) => return (result.expect("a result"), progress),
            _ => {}
        }
    }
}

/// Uses everything that the scripts offer.
async fn use_all(client: &Client, official: &Official, over: &str) {
    let name = official.name;
    assert_eq!(client.version(), official.newest, "{name} {over}");
    client.check().await.unwrap_or_else(|error| panic!("{name} {over}: {error}"));
    let tools = client.list(List::Tools).await.unwrap_or_else(|error| panic!("{name} {over}: {error}"));
    assert_eq!(tools.len(), if official.asks { 3 } else { 2 }, "{name} {over}: {tools:?}");
    let result = client.call("echo", raw(r#"{"text":"Z\u00fcrich\n"}"#)).await.expect("a result");
    assert_eq!(text(&result), "Z\u{fc}rich\n", "{name} {over}");
    let (result, progress) = run(client, Request::call("steps", raw(r#"{"count":3}"#))).await;
    assert_eq!(text(&result), "done", "{name} {over}");
    // This server reports progress on the stream of the session, where it may arrive after the
    // result.
    if (name, over) != ("python 1.9", "streamable-http") {
        assert_eq!(progress, ["1", "2", "3"], "{name} {over}");
    }
    if official.asks {
        let (result, _) = run(client, Request::call("asks", RawJson::empty_object())).await;
        assert_eq!(text(&result), "You are Ann", "{name} {over}");
    }
    // Older servers exit at this request.
    if official.newest >= Version::V2025_11_25 {
        let error = client.request(Request::new("no/such")).await.expect_err("no such method");
        assert!(matches!(error, Error::Rpc(_)), "{name} {over}: {error}");
    }
    if name.starts_with("python") {
        let result = client.read("note://a").await.expect("a resource");
        assert!(result.as_str().contains(r#""A""#), "{name} {over}: {result}");
        let result = client.prompt("greet", raw(r#"{"name":"you"}"#)).await.expect("a prompt");
        assert!(result.as_str().contains("Hello you"), "{name} {over}: {result}");
    }
}

#[tokio::test]
async fn official_servers_of_all_generations_are_used_over_stdio() {
    for official in officials() {
        let mut arguments = official.arguments.clone();
        arguments.push("stdio".into());
        let command = ServerCommand::new(&official.program, arguments);
        let client = builder().command(command).await.unwrap_or_else(|error| panic!("{}: {error}", official.name));
        use_all(&client, &official, "stdio").await;
        timeout(Duration::from_secs(10), client.close()).await.expect("it ends");
    }
}

#[tokio::test]
async fn official_servers_of_all_generations_are_used_over_http() {
    for official in officials() {
        let transports: &[(&str, &str)] = match official.newest {
            Version::V2024_11_05 => &[("sse", "/sse")],
            _ if official.name.starts_with("python") => &[("streamable-http", "/mcp"), ("sse", "/sse")],
            _ => &[("http", "/mcp")],
        };
        for (transport, path) in transports {
            let mut command = Command::new(&official.program);
            command.args(&official.arguments).arg(transport);
            let server = listening(command, path);
            let client = connected(builder, &server.url).await;
            let newest = match *transport {
                // The separate event stream has no modern revision.
                "sse" if official.newest.is_modern() => Version::V2025_11_25,
                _ => official.newest,
            };
            let official = Official { newest, program: OsString::new(), arguments: Vec::new(), ..official };
            use_all(&client, &official, transport).await;
            client.close().await;
        }
    }
}

/// The official example server for clients, by its transport.
pub(crate) fn everything(transport: &str) -> Option<Vec<OsString>> {
    let script = packages()?.join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    Some(vec![script.into(), transport.into()])
}

pub(crate) async fn use_everything(client: &Client, over: &str) {
    let tools = client.list(List::Tools).await.expect("a list");
    assert!(tools.len() > 10, "{over}: {}", tools.len());
    let result = client.call("echo", raw(r#"{"message":"hello"}"#)).await.expect("a result");
    assert_eq!(text(&result), "Echo: hello", "{over}");
    let long = Request::call("trigger-long-running-operation", raw(r#"{"duration":0.2,"steps":4}"#));
    let (_, progress) = run(client, long).await;
    assert_eq!(progress, ["1", "2", "3", "4"], "{over}");
    let (result, _) = run(client, Request::call("trigger-elicitation-request", RawJson::empty_object())).await;
    assert!(result.as_str().contains("Ann"), "{over}: {result}");
    let sample = Request::call("trigger-sampling-request", raw(r#"{"prompt":"p","maxTokens":10}"#));
    let (result, _) = run(client, sample).await;
    assert!(result.as_str().contains("a sample"), "{over}: {result}");
    let (result, _) = run(client, Request::call("get-roots-list", RawJson::empty_object())).await;
    assert!(result.as_str().contains("file:///home"), "{over}: {result}");
    let resources = client.list(List::Resources).await.expect("a list");
    let uri = resources[0].member("uri").and_then(|uri| uri.string()).expect("a URI");
    assert!(client.read(&uri).await.expect("a resource").member("contents").is_some(), "{over}");
}

#[tokio::test]
async fn official_example_server_is_used_over_all_its_transports() {
    let Some(arguments) = everything("stdio") else { return };
    let client = builder().command(ServerCommand::new("node", arguments)).await.expect("connected");
    assert_eq!(client.version(), Version::V2025_11_25);
    use_everything(&client, "stdio").await;
    client.close().await;
    for (transport, path) in [("streamableHttp", "/mcp"), ("sse", "/sse")] {
        let mut command = Command::new("node");
        command.args(everything(transport).expect("installed above"));
        let server = listening(command, path);
        let client = connected(builder, &server.url).await;
        assert_eq!(client.version(), Version::V2025_11_25, "{transport}");
        use_everything(&client, transport).await;
        client.close().await;
    }
}

/// The scenarios of sign-in that the suite has for both revisions.
const SIGN_IN: [&str; 14] = [
    "auth/metadata-default",
    "auth/metadata-var1",
    "auth/metadata-var2",
    "auth/metadata-var3",
    "auth/basic-cimd",
    "auth/scope-from-www-authenticate",
    "auth/scope-from-scopes-supported",
    "auth/scope-omitted-when-undefined",
    "auth/scope-step-up",
    "auth/scope-retry-limit",
    "auth/token-endpoint-auth-basic",
    "auth/token-endpoint-auth-post",
    "auth/token-endpoint-auth-none",
    "auth/pre-registration",
];

#[test]
fn public_suite_finds_no_fault_in_the_client() {
    let Some(_) = packages() else { return };
    let tests = std::env::current_exe().expect("a running program");
    let driver =
        tests.parent().and_then(Path::parent).expect("target/PROFILE/deps").join("examples/conformance_client");
    if !there(&driver, "run cargo build -p attache-host --examples, or test the whole workspace") {
        return;
    }
    for (revision, scenarios) in [
        ("2025-06-18", &["initialize", "tools_call"][..]),
        (
            "2025-11-25",
            &[
                "initialize",
                "tools_call",
                "elicitation-sep1034-client-defaults",
                "sse-retry",
                "json-schema-2020-12-preservation",
            ],
        ),
        ("2025-03-26", &["auth/2025-03-26-oauth-metadata-backcompat"]),
        ("2025-11-25", &SIGN_IN),
        ("2026-07-28", &SIGN_IN),
        (
            "2026-07-28",
            &[
                "auth/resource-mismatch",
                "auth/offline-access-scope",
                "auth/offline-access-not-supported",
                "auth/authorization-server-migration",
                "auth/iss-supported",
                "auth/iss-not-advertised",
                "auth/iss-supported-missing",
                "auth/iss-wrong-issuer",
                "auth/iss-unexpected",
                "auth/iss-normalized",
                "auth/metadata-issuer-mismatch",
                "tools_call",
                "request-metadata",
                "sep-2322-client-request-state",
                "http-standard-headers",
                "http-custom-headers",
                "http-invalid-tool-headers",
                "json-schema-ref-no-deref",
                "json-schema-2020-12-preservation",
            ],
        ),
    ] {
        for scenario in scenarios {
            let run = newer_node("conformance")
                .args(["client", "--command", driver.to_str().expect("UTF-8"), "--scenario", scenario])
                .args(["--spec-version", revision])
                .output()
                .expect("tests/foreign/setup has installed it");
            let said = [run.stdout, run.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(run.status.success() && said.contains(" 0 failed, 0 warnings"), "{scenario} {revision}: {said}");
        }
    }
}
