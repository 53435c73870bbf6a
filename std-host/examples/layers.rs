//! Tower layers around one tool: an audit log, and a limit of concurrent calls. Run it and point a
//! client at `http://127.0.0.1:8080/mcp`.

use attache_host::prelude::*;
use attache_host::{ToolCall, ToolService};
use core::task::{Context, Poll};
use core::time::Duration;
use tower::limit::ConcurrencyLimitLayer;
use tower_layer::layer_fn;
use tower_service::Service;

/// Prints each call and how it ended.
#[derive(Clone)]
struct Audit(ToolService);

impl Service<ToolCall> for Audit {
    type Response = <ToolService as Service<ToolCall>>::Response;
    type Error = <ToolService as Service<ToolCall>>::Error;
    type Future = <ToolService as Service<ToolCall>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, call: ToolCall) -> Self::Future {
        let what = format!("{:?}: {} {}", call.ctx().caller().subject(), call.name(), call.arguments());
        let run = self.0.call(call);
        Box::pin(async move {
            let ended = run.await;
            match &ended {
                Ok(output) => println!("{what}: is_error is {}", output.is_error()),
                Err(error) => println!("{what}: {error}"),
            }
            ended
        })
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let tool = Tool::new("reindex", "Rebuild the search index", async |_: NoArgs, ctx: Ctx| {
        ctx.progress(1.0, Some(2.0), Some("reading")).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        "done"
    });
    let tool = tool.layer(ConcurrencyLimitLayer::new(1)).layer(layer_fn(Audit)).timeout(Duration::from_secs(30));
    let router: axum::Router = Server::new("search", "1.0").with_tool(tool).routes();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, router).await
}
