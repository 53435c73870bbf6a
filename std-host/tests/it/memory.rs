//! The memory that a server keeps for clients that only open a session. Each measurement runs in a process of its own, so that no
//! other test allocates memory during it.

use attache_host::http::McpService;
use attache_host::{Ctx, NoArgs, Server};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;
use tower_service::Service;

/// Sends a handshake and returns the status of its answer.
async fn initialize(mut service: McpService) -> StatusCode {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {"roots": {}}, "clientInfo": {"name": "c", "version": "1"},
    });
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string();
    let request = Request::post("/").header("host", "localhost").header("content-type", "application/json");
    let Ok(answer) = service.call(request.body(Full::new(Bytes::from(message))).expect("a request")).await;
    answer.status()
}

/// Returns the resident memory of the process in kilobytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Runs a measurement of this file in a process of its own.
fn alone(name: &str) {
    let program = std::env::current_exe().expect("this program");
    let run = std::process::Command::new(program).args(["--exact", "--ignored", &format!("memory::{name}")]).output();
    let run = run.expect("it starts");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn handshakes_leave_memory_as_it_is() {
    alone("hundred_thousand_handshakes_leave_memory_as_it_is");
}

#[test]
fn sessions_that_open_and_close_streams_leave_memory_as_it_is() {
    alone("ten_thousand_sessions_that_open_and_close_streams_and_subscriptions_leave_memory_as_it_is");
}

// A session needs no memory, because its state is in its id.
#[tokio::test]
#[ignore = "runs alone, see `alone`"]
async fn hundred_thousand_handshakes_leave_memory_as_it_is() {
    let service = McpService::new(Server::new("t", "1").tool("echo", "d", |_: NoArgs, _: Ctx| async {}).build());
    let handshakes = async |count: u32| {
        for _ in 0..count {
            assert_eq!(initialize(service.clone()).await, StatusCode::OK);
        }
    };
    handshakes(1_000).await;
    let before = resident();
    handshakes(100_000).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 2048, "{grown} KiB more");
}

/// A message of a session, and the status of its answer.
async fn in_session(service: &McpService, session: &str, message: &serde_json::Value) -> StatusCode {
    let request = Request::post("/").header("host", "localhost").header("content-type", "application/json");
    let request = request.header("mcp-session-id", session).header("mcp-protocol-version", "2025-11-25");
    let Ok(answer) =
        service.clone().call(request.body(Full::new(Bytes::from(message.to_string()))).expect("a request")).await;
    answer.status()
}

/// Opens a session.
async fn opened(service: &McpService) -> String {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"},
    });
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string();
    let request = Request::post("/").header("host", "localhost").header("content-type", "application/json");
    let Ok(answer) = service.clone().call(request.body(Full::new(Bytes::from(message))).expect("a request")).await;
    answer.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned()
}

/// Opens a session, and does with it what leaves something behind for as long as it lasts: a stream that is opened and closed, a
/// subscription that is made and ended, a call, the end of the session itself where it is to be `ended`.
async fn session(service: &McpService, ended: bool) {
    let session = opened(service).await;
    let bodiless = |method: &str| {
        let request = Request::builder().method(method).uri("/").header("host", "localhost");
        let request = request.header("accept", "text/event-stream").header("mcp-session-id", &session);
        request.header("mcp-protocol-version", "2025-11-25").body(Full::new(Bytes::new())).expect("a request")
    };
    let Ok(stream) = service.clone().call(bodiless("GET")).await;
    assert_eq!(stream.status(), StatusCode::OK);
    drop(stream);
    for (id, method) in [(2, "resources/subscribe"), (3, "resources/unsubscribe")] {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"uri": "test://r"}});
        assert_eq!(in_session(service, &session, &message).await, StatusCode::OK);
    }
    let call = json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "echo", "arguments": {}}});
    assert_eq!(in_session(service, &session, &call).await, StatusCode::OK);
    if ended {
        let Ok(answer) = service.clone().call(bodiless("DELETE")).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
#[ignore = "runs alone, see `alone`"]
async fn ten_thousand_sessions_that_open_and_close_streams_and_subscriptions_leave_memory_as_it_is() {
    let budget = attache_host::Budget::new(&attache_host::Limits::default());
    let resource =
        attache_host::Resource::new("test://r", "r", "text/plain", |_: attache_host::ResourceRequest, _: Ctx| async {
            "r"
        });
    let server = Server::new("t", "1").tool("echo", "d", |_: NoArgs, _: Ctx| async {}).with_resource(resource);
    let service = McpService::new(server.subscriptions().budget(budget.clone()).build());
    for number in 0..500 {
        session(&service, number < 100).await;
    }
    let before = resident();
    for _ in 0..10_000 {
        session(&service, false).await;
    }
    let grown = resident().saturating_sub(before);
    assert_eq!(budget.held(), 0);
    assert!(grown < 2048, "{grown} KiB more");
}
