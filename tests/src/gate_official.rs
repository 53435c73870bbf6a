//! The gate in front of servers of the official packages.
//!
//! The tests need foreign programs, see `foreign`.

use crate::gate::{names, served, until};
use crate::servers::{builder, everything, listening, run, use_everything};
use attache_host::Server;
use attache_host::bridge::Bridge;
use attache_host::client::{List, RawJson, Request, ServerCommand, Version};
use std::process::Command;

/// Clients of both eras use everything that the official example server has.
async fn used_through_a_gate(over: &str, bridge: Bridge) {
    let url = served(Server::new("gate", "1").backend("", bridge)).await;
    for version in [Version::V2025_06_18, Version::V2025_11_25, Version::V2026_07_28] {
        let client = builder().version(version).http(&url).await.expect("connected");
        until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
        use_everything(&client, &format!("{over}, client {}", version.as_str())).await;
        // This tool runs only as a task, and asks the user in the middle of it.
        let arguments = RawJson::parse(r#"{"topic":"gates","ambiguous":true}"#).expect("JSON");
        let (report, _) = run(&client, Request::call("simulate-research-query", arguments)).await;
        assert!(report.as_str().contains("gates"), "{over}, client {}: {report}", version.as_str());
    }
}

#[tokio::test]
async fn official_example_server_of_an_older_revision_is_used_by_clients_of_both_eras() {
    let Some(arguments) = everything("stdio") else { return };
    used_through_a_gate("stdio", Bridge::command("everything", ServerCommand::new("node", arguments))).await;
    for (transport, path) in [("streamableHttp", "/mcp"), ("sse", "/sse")] {
        let mut command = Command::new("node");
        command.args(everything(transport).expect("installed above"));
        let server = listening(command, path);
        used_through_a_gate(transport, Bridge::http("everything", &server.url)).await;
    }
}
