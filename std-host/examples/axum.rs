//! An MCP endpoint beside the routes of an axum application, with a graceful stop. Run it and point a
//! client at `http://127.0.0.1:8080/mcp`.

use attache_host::prelude::*;
use axum::routing::get;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = Server::new("answers", "1.0").tool("answer", "The answer to everything", async |_: NoArgs, _: Ctx| 42);
    let changes = server.changes();
    let router = axum::Router::new().route("/health", get(async || "ok")).merge(server.routes());
    let stop = async move {
        let _ = tokio::signal::ctrl_c().await;
        // Open subscriptions would keep their connections open.
        changes.end_subscriptions();
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}
