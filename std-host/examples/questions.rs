//! A tool that asks the user before it acts. Run it and point a client of revision 2026-07-28 at
//! `http://127.0.0.1:8080/mcp`.

use attache_host::{Ctx, Elicited, Server, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
struct Rack {
    /// number of the rack
    number: u8,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server =
        Server::new("power", "1.0").tool("cut_power", "Cut the power of one rack", |rack: Rack, ctx: Ctx| async move {
            let schema = json!({"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]});
            // The first call ends here with the question. The client repeats the call with the
            // answer.
            match ctx.elicit("sure", "Really cut the power?", schema)? {
                Elicited::Accepted(answer) if answer.get("sure") == Some(&json!(true)) => {
                    Ok(format!("Rack {} is dark now.", rack.number))
                }
                _ => Err(ToolError::user("The person did not agree.")),
            }
        });
    let router: axum::Router = axum::Router::new().merge(server.routes());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, router).await
}
