//! A tool that reports its progress, and a resource of any length that is sent while it is read.
//! Run it with the path of a log and point a client at `http://127.0.0.1:8080/mcp`.

use attache_host::{Ctx, Resource, ResourceRequest, Server, TextStream, ToolError};
use core::time::Duration;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, BufReader};

#[derive(Deserialize, JsonSchema)]
struct Countdown {
    /// seconds to count down, at most 60
    from: u8,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| std::io::Error::other("usage: streaming LOG"))?;
    let server = Server::new("logs", "1.0")
        .tool("countdown", "Count down, a second at a time", async |wanted: Countdown, ctx: Ctx| {
            if wanted.from > 60 {
                return Err(ToolError::user("from must be at most 60"));
            }
            for done in 0..wanted.from {
                ctx.progress(done.into(), Some(wanted.from.into()), Some("counting")).await;
                // A client that disconnects or cancels drops the call here.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok("zero")
        })
        .with_resource(Resource::new("log://today", "today", "text/plain", move |_: ResourceRequest, _: Ctx| {
            let path = path.clone();
            async move {
                // An error here becomes an ordinary error answer. An error in the stream, after its
                // first piece, breaks off the answer.
                let lines = BufReader::new(File::open(path).await?).lines();
                Ok(TextStream::new(stream::try_unfold(lines, async |mut lines| {
                    let line = lines.next_line().await?;
                    Ok(line.map(|line| (line + "\n", lines)))
                })))
            }
        }));
    let router: axum::Router = server.routes();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, router).await
}
