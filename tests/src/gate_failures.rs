//! Upstreams of a gate that exit, refuse, or answer in unusual ways. They are shell scripts.

use crate::gate::{client, names, raw, read, served, soon, text, until};
use ::core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use ::core::time::Duration;
use attache_host::bridge::Bridge;
use attache_host::bridge::limits::Times;
use attache_host::client::{
    Client, ClientLimits, Credential, Error, Filter, List, Notice, RawJson, Request, ServerCommand, Version,
};
use attache_host::{Ctx, NoArgs, Server};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

/// A server with one tool, `t`. It answers a listing with `result` and runs `call` for each call;
/// `$id` is the id of the request and `$line` the whole request.
pub(crate) fn script(call: &str) -> ServerCommand {
    ServerCommand::new("sh", ["-c", &server(call)])
}

fn server(call: &str) -> String {
    format!(
        r#"while read -r line; do
            id=${{line#*'"id":'}}; id=${{id%%,*}}
            case "$line" in
            *server/discover*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}},"resources":{{}}}}}}}}' ;;
            *tools/list*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"resultType":"complete","tools":[{{"name":"t","inputSchema":{{"type":"object","maximum":1E2}}}}]}}}}' ;;
            *templates/list*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"resultType":"complete","resourceTemplates":[]}}}}' ;;
            *resources/list*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"resultType":"complete","resources":[{{"uri":"a:b","name":"b"}}]}}}}' ;;
            *subscriptions/listen*) echo '{{"jsonrpc":"2.0","id":'$id',"error":{{"code":-32601,"message":"Method not found"}}}}' ;;
            *notifications/*) ;;
            *) {call} ;;
            esac
        done"#
    )
}

fn result(members: &str) -> String {
    format!(r#"echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"resultType":"complete",{members}}}}}'"#)
}

/// Short timeouts, for tests that wait until they expire.
pub(crate) fn times() -> Times {
    Times::default().restart(Duration::from_secs(1)).back_off(Duration::from_millis(20), Duration::from_millis(200))
}

/// A client of a gate with this backend, once the gate lists its tool.
async fn gated(backend: Bridge, version: Version) -> Client {
    let gate = Server::new("gate", "1").backend("", backend.times(times()));
    let client = client(&served(gate).await, version).await;
    until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
    client
}

async fn call(client: &Client) -> Result<RawJson, Error> {
    soon(client.call("t", RawJson::empty_object())).await
}

/// A directory for the files by which the processes of one test leave traces.
pub(crate) fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("attache-gate-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}

pub(crate) fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).unwrap_or_default().lines().count()
}

pub(crate) fn rpc(error: Error) -> (i64, String, Value) {
    let Error::Rpc(error) = error else { panic!("{error}") };
    (error.code, error.message, error.data.map(|data| read(&data)).unwrap_or_default())
}

#[tokio::test]
async fn result_arrives_as_it_was_written_but_for_what_the_protocol_reserves() {
    let members = r#""content":[],"structuredContent":{"n":1E2,"big":12345678901234567890},"x":[1.50],"_meta":{"a.b/c":1E2,"io.modelcontextprotocol/serverInfo":{"name":"there","version":"1"}}"#;
    let client = gated(Bridge::command("there", script(&result(members))), Version::V2026_07_28).await;
    let result = call(&client).await.expect("a result");
    for part in [r#""n":1E2,"big":12345678901234567890"#, r#""x":[1.50]"#, r#""a.b/c":1E2"#] {
        assert!(result.as_str().contains(part), "{result}");
    }
    assert!(!result.as_str().contains("there"), "the server says who it is, and not who the upstream is: {result}");
    let listed = client.list(List::Tools).await.expect("a list");
    assert!(listed[0].as_str().contains(r#""maximum":1E2"#), "{}", listed[0]);
}

#[tokio::test]
async fn request_to_the_upstream_has_the_keys_of_applications_and_a_span_of_its_own() {
    let seen = result(r#""content":[],"structuredContent":'"$line"'"#);
    let client = gated(Bridge::command("there", script(&seen)), Version::V2026_07_28).await;
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let request = Request::call("t", raw(r#"{"n":1E2}"#))
        .meta("com.example/own", raw("[1E2]"))
        .meta("traceparent", RawJson::text(&format!("00-{trace}-{span}-01")))
        .meta("tracestate", RawJson::text("a=b"))
        .meta("baggage", RawJson::text("who=me"))
        .meta("dev.mcp/other", raw("1"));
    let result = soon(client.request(request)).await.expect("a result");
    assert!(result.as_str().contains(r#""arguments":{"n":1E2}"#), "{result}");
    assert!(result.as_str().contains(r#""com.example/own":[1E2]"#), "{result}");
    let meta = read(&result)["structuredContent"]["params"]["_meta"].take();
    let parent = meta["traceparent"].as_str().expect("a trace").to_owned();
    assert!(parent.starts_with(&format!("00-{trace}-")) && parent.ends_with("-01"), "{parent}");
    assert!(!parent.contains(span), "{parent}");
    assert_eq!((&meta["tracestate"], &meta["baggage"]), (&json!("a=b"), &Value::Null));
    assert_eq!(meta["dev.mcp/other"], Value::Null, "{meta}");
    assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "attache", "{meta}");
    let declared = &meta["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(declared, &json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}));
}

#[tokio::test]
async fn errors_of_the_upstream_mean_the_same_to_clients_of_both_eras() {
    const OLD: Version = Version::V2025_11_25;
    const NEW: Version = Version::V2026_07_28;
    for (code, old, new) in [
        (-32601, -32601, -32601),
        (-32602, -32602, -32602),
        (-32603, -32603, -32603),
        (-1, -1, -1),
        (7, 7, 7),
        // These keys describe the message of the gate.
        (-32600, -32603, -32603),
        (-32700, -32603, -32603),
        // Error codes that only one era has.
        (-32001, -32001, -32603),
        (-32021, -32603, -32021),
        (-32022, -32603, -32603),
        (-32050, -32603, -32603),
        (-32042, -32042, -32603),
    ] {
        let error = format!(
            r#"echo '{{"jsonrpc":"2.0","id":'$id',"error":{{"code":{code},"message":"no","data":{{"n":1E2}}}}}}'"#
        );
        for (version, expected) in [(OLD, old), (NEW, new)] {
            let client = gated(Bridge::command("there", script(&error)), version).await;
            let error = call(&client).await.expect_err("an error");
            let raw = if let Error::Rpc(error) = &error { error.raw.to_string() } else { String::new() };
            let (got, message, data) = rpc(error);
            assert_eq!(got, expected, "{code} {}: {message}", version.as_str());
            match got == code {
                true => assert!(raw.contains(r#""data":{"n":1E2}"#), "{raw}"),
                false => assert!(message.contains("there") && data["code"] == code, "{message} {data}"),
            }
        }
    }
}

#[tokio::test]
async fn resource_that_is_not_there_has_the_code_of_the_revision_of_the_client() {
    for (answer, code, message) in [
        (r#"{"code":-32002,"message":"none"}"#, -32602, "modern"),
        (r#"{"code":-32602,"message":"none","data":{"uri":"a:b"}}"#, -32602, "modern"),
        (r#"{"code":-32002,"message":"none"}"#, -32002, "legacy"),
        (r#"{"code":-32602,"message":"none","data":{"uri":"a:b"}}"#, -32002, "legacy"),
    ] {
        let error = format!(r#"echo '{{"jsonrpc":"2.0","id":'$id',"error":{answer}}}'"#);
        let version = if message == "modern" { Version::V2026_07_28 } else { Version::V2025_06_18 };
        let client = gated(Bridge::command("there", script(&error)), version).await;
        let (got, _, data) = rpc(soon(client.read("a:b")).await.expect_err("none"));
        assert_eq!(got, code, "{answer} {message}");
        if version.is_modern() {
            assert_eq!(data["uri"], "a:b");
        }
    }
}

#[tokio::test]
async fn death_of_a_child_fails_its_calls_in_words_and_it_is_started_again() {
    let directory = directory("death");
    let dies = format!(
        "if [ -e {0}/once ]; then {1}; else : >{0}/once; echo 'out of paper' >&2; exit 7; fi",
        directory.display(),
        result(r#""content":[{"type":"text","text":"back"}]"#)
    );
    let client = gated(Bridge::command("printer", script(&dies)), Version::V2025_11_25).await;
    let (code, message, data) = rpc(call(&client).await.expect_err("it dies"));
    assert_eq!((code, &data["kind"]), (-32603, &json!("exited")));
    assert!(["printer", "exit status: 7", "out of paper"].iter().all(|word| message.contains(word)), "{message}");
    // This call arrives while the child is being started, and waits.
    assert_eq!(text(&call(&client).await.expect("a result")), "back");
}

#[tokio::test]
async fn call_that_was_written_is_not_made_again() {
    let directory = directory("written");
    let calls = directory.join("calls");
    let dies = format!("echo x >>{}; exit 1", calls.display());
    let client = gated(Bridge::command("there", script(&dies)), Version::V2026_07_28).await;
    call(&client).await.expect_err("it dies");
    assert_eq!(lines(&calls), 1);
}

#[tokio::test]
async fn child_that_dies_again_and_again_is_started_less_and_less_often() {
    let directory = directory("spin");
    let starts = directory.join("starts");
    let text = format!("echo x >>{}; exit 1", starts.display());
    let bridge = Bridge::command("there", ServerCommand::new("sh", ["-c", &text]));
    let slow = Times::default().back_off(Duration::from_millis(100), Duration::from_secs(10));
    let _gate = served(Server::new("gate", "1").backend("", bridge.times(slow))).await;
    sleep(Duration::from_secs(2)).await;
    // 0, 100, 300, 700 and 1,500 ms, each once for the probe and once for the handshake.
    let starts = lines(&starts);
    assert!((4..=10).contains(&starts), "{starts}");
}

#[tokio::test]
async fn child_that_is_stopped_is_found_and_a_busy_one_is_not_mistaken_for_it() {
    let directory = directory("stopped");
    let pids = directory.join("pids");
    let busy = format!("sleep 1; {}", result(r#""content":[{"type":"text","text":"x"}]"#));
    let text = format!("echo $$ >>{}; {}", pids.display(), server(&busy));
    let limits = ClientLimits::default().request_time(Duration::from_millis(300));
    let times = times().check_every(Duration::from_millis(100));
    let bridge = Bridge::command("there", ServerCommand::new("sh", ["-c", &text])).limits(limits).times(times);
    let gate = Server::new("gate", "1").backend("", bridge);
    let client = client(&served(gate).await, Version::V2026_07_28).await;
    until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
    assert_eq!(text_of(&client).await, "x");
    assert_eq!(lines(&pids), 1, "a busy child is left alone");
    let pid = std::fs::read_to_string(&pids).expect("a pid");
    let stopped = std::process::Command::new("kill").args(["-STOP", pid.trim()]).status().expect("it runs");
    assert!(stopped.success());
    until(async || lines(&pids) > 1).await;
    until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
    assert_eq!(text_of(&client).await, "x");
}

async fn call_of(client: &Client) -> Result<RawJson, Error> {
    call(client).await
}

async fn text_of(client: &Client) -> String {
    text(&call(client).await.expect("a result"))
}

/// Stops and starts an upstream that serves HTTP at one address.
struct Switched {
    address: ::core::net::SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    /// The number of calls that it got.
    calls: Arc<AtomicUsize>,
}

impl Switched {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut switched =
            Self { address: listener.local_addr().expect("an address"), stop: None, calls: Arc::default() };
        drop(listener);
        switched.on().await;
        switched
    }

    async fn on(&mut self) {
        let calls = Arc::clone(&self.calls);
        let server = Server::new("there", "1").subscriptions().tool("t", "d", move |_: NoArgs, _: Ctx| {
            calls.fetch_add(1, SeqCst);
            async { "x" }
        });
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let address = self.address;
        let (bound, is_bound) = tokio::sync::oneshot::channel();
        // The upstream has its own runtime, so that its end breaks all connections.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
                socket.set_reuseaddr(true).expect("an option");
                socket.bind(address).expect("the address is free");
                let listener = socket.listen(64).expect("it listens");
                let _ = bound.send(());
                let router: axum::Router = server.routes();
                tokio::select! {
                    served = async { axum::serve(listener, router).await } => served.expect("it serves"),
                    _ = stopped => {}
                }
            });
        });
        is_bound.await.expect("it listens");
        self.stop = Some(stop);
    }

    fn off(&mut self) {
        self.stop = None;
    }
}

#[tokio::test]
async fn upstream_that_is_down_leaves_the_list_with_a_notice_and_comes_back_by_itself() {
    for up in [Version::V2025_11_25, Version::V2026_07_28] {
        let mut upstream = Switched::new().await;
        let bridge = Bridge::http("there", format!("http://{}/mcp", upstream.address)).version(up);
        let client = gated(bridge, Version::V2026_07_28).await;
        assert_eq!(text(&call(&client).await.expect("a result")), "x");
        let mut heard = client.listen(Filter::lists()).await.expect("a subscription");
        upstream.off();
        let (code, message, data) = rpc(call(&client).await.expect_err("it is down"));
        // The client notices the end of an open connection before or while it writes the call.
        let is_told = matches!(data["kind"].as_str(), Some("unreachable" | "lost"));
        assert!(code == -32603 && is_told, "{code} {data} {message}");
        assert!(!message.contains("127.0.0.1"), "the address is not told to callers: {message}");
        assert!(matches!(soon(heard.next()).await, Ok(Notice::ToolsChanged)));
        assert_eq!(names(&client, List::Tools, "name").await, [""; 0]);
        upstream.on().await;
        assert!(matches!(soon(heard.next()).await, Ok(Notice::ToolsChanged)));
        assert_eq!(text(&call(&client).await.expect("a result")), "x");
    }
}

#[tokio::test]
async fn entries_that_are_kept_fail_at_once_while_the_upstream_is_down() {
    let mut upstream = Switched::new().await;
    let bridge = Bridge::http("there", format!("http://{}/mcp", upstream.address)).keep_entries();
    let client = gated(bridge, Version::V2026_07_28).await;
    upstream.off();
    call(&client).await.expect_err("it is down");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(names(&client, List::Tools, "name").await, ["t"]);
    let begun = Instant::now();
    let (_, message, data) = rpc(call(&client).await.expect_err("it is down"));
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(data["kind"], "unreachable", "{message}");
}

#[tokio::test]
async fn call_that_was_not_written_is_made_again_once() {
    for up in [Version::V2025_11_25, Version::V2026_07_28] {
        let mut upstream = Switched::new().await;
        let bridge = Bridge::http("there", format!("http://{}/mcp", upstream.address)).version(up);
        let bridge = bridge.times(Times::default().back_off(Duration::from_millis(20), Duration::from_millis(200)));
        let gate = Server::new("gate", "1").backend("", bridge);
        let client = client(&served(gate).await, Version::V2026_07_28).await;
        until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
        upstream.off();
        // The first call may still be written to a connection that is about to end, and is not made
        // again then.
        sleep(Duration::from_millis(200)).await;
        let waits = client.clone();
        let call = tokio::spawn(async move { call(&waits).await });
        sleep(Duration::from_millis(500)).await;
        upstream.on().await;
        match call.await.expect("no panic") {
            Ok(result) => assert_eq!((text(&result).as_str(), upstream.calls.load(SeqCst)), ("x", 1)),
            Err(error) => {
                let (_, message, data) = rpc(error);
                assert_eq!((&data["kind"], upstream.calls.load(SeqCst)), (&json!("lost"), 0), "{message}");
            }
        }
        assert_eq!(text_of(&client).await, "x");
        // While the upstream stays away, the second failure is the answer.
        upstream.off();
        sleep(Duration::from_millis(200)).await;
        let begun = Instant::now();
        rpc(call_of(&client).await.expect_err("it is down"));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

/// A server that answers every request with this response.
async fn answering(answer: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn upstream_that_refuses_the_gate_shows_nothing_of_it_to_clients_and_stops_no_other_backend() {
    let refuses = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm=\"inside\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let url = answering(refuses).await;
    let locked = Bridge::http("locked", url).credential(Credential::Bearer("secret".to_owned()));
    let open = Bridge::command("open", script(&result(r#""content":[{"type":"text","text":"x"}]"#)));
    let gate = Server::new("gate", "1").backend("locked_", locked.times(times())).backend("", open.times(times()));
    let client = client(&served(gate).await, Version::V2026_07_28).await;
    until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
    assert_eq!(text(&call(&client).await.expect("a result")), "x");
}

#[tokio::test]
async fn bridge_that_is_stopped_leaves_no_process() {
    let directory = directory("stop");
    let pid = directory.join("pid");
    let text = format!("echo $$ >{}; {}", pid.display(), server(""));
    let bridge = Bridge::command("there", ServerCommand::new("sh", ["-c", &text]));
    let gate = Server::new("gate", "1").backend("", bridge);
    let backends = gate.backends();
    let client = client(&served(gate).await, Version::V2026_07_28).await;
    until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
    let stat = PathBuf::from(format!("/proc/{}", std::fs::read_to_string(&pid).expect("a pid").trim()));
    assert!(stat.exists());
    soon(backends.stop()).await;
    assert!(!stat.exists(), "the child has ended when the stop returns");
}
