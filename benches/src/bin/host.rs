//! Calls a tool of a host's service in this process, for a counter of instructions to look on.
//!
//! `host TOOLS RUNS` calls the last of TOOLS tools RUNS times over HTTP without a socket, and prints the bytes of the
//! request's body and of the answer's.

use attache_host::http::McpService;
use attache_host::{Ctx, Server};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use schemars::JsonSchema;
use serde::Deserialize;
use std::process::ExitCode;
use tower_service::Service;

#[derive(Deserialize, JsonSchema)]
struct Say {
    text: String,
}

fn main() -> ExitCode {
    let numbers: Option<Vec<usize>> = std::env::args().skip(1).map(|number| number.parse().ok()).collect();
    let (tools, runs) = match numbers.as_deref() {
        Some(&[tools, runs]) if tools > 0 => (tools, runs),
        _ => {
            eprintln!("usage: host TOOLS RUNS");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut service = McpService::new(server(tools).build());
    let name = name(tools - 1);
    let body = Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{{"text":"hello"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    ));
    let mut answered = 0;
    for _ in 0..runs {
        let request = Request::post("/mcp")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", name.as_str())
            .body(Full::new(body.clone()))
            .expect("a request");
        let answer = runtime.block_on(async {
            let Ok(response) = service.call(request).await;
            response.into_body().collect().await.expect("an answer").to_bytes()
        });
        assert!(answer.starts_with(br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]"#));
        answered = answer.len();
    }
    println!("{} {answered}", body.len());
    ExitCode::SUCCESS
}

/// All names are of one length, so that only their number differs.
fn name(number: usize) -> String {
    format!("tool_{number:04}")
}

fn server(tools: usize) -> Server {
    (0..tools).fold(Server::new("bench", "1.0.0"), |server, number| {
        server.tool(&name(number), "Say it again", |said: Say, _: Ctx| async move { said.text })
    })
}
