//! The memory that a server keeps for clients that only open a session. The test runs in a process
//! of its own, so that no other code allocates memory during it.
#![cfg(target_os = "linux")]

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

// A session needs no memory, because its state is in its id.
#[tokio::test]
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
