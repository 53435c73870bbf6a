//! An MCP endpoint inside an axum service. Run it and point a client at
//! `http://127.0.0.1:8080/mcp`.

use attache_host::{Ctx, NoArgs, Server, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Deserialize, JsonSchema)]
struct SetTarget {
    /// degrees Celsius, from 5 to 30
    celsius: f64,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let target = Arc::new(watch::Sender::new(20.0));
    let (writes, reads) = (Arc::clone(&target), target);
    let server = Server::new("thermostat", "1.0")
        .instructions("Controls the heating of one room.")
        .tool("set_target", "Set the target temperature", move |wanted: SetTarget, _: Ctx| {
            let target = Arc::clone(&writes);
            async move {
                if !(5.0..=30.0).contains(&wanted.celsius) {
                    return Err(ToolError::user("celsius must be from 5 to 30"));
                }
                target.send_replace(wanted.celsius);
                Ok(format!("target is {} °C", wanted.celsius))
            }
        })
        .tool("target", "The target temperature in degrees Celsius", move |_: NoArgs, _: Ctx| {
            let target = reads.borrow().to_string();
            async { target }
        });
    let router: axum::Router = axum::Router::new().merge(server.routes());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, router).await
}
