//! Serves the notes in a file over HTTP, or over standard input and output.

use attache_host::stdio;
use core::error::Error;
use notes::{Notes, routes, server, store::Store};
use std::{env, sync::Arc};
use tokio::{io, net::TcpListener, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (over_stdio, file) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--stdio", file] => (true, file),
        [file] if !file.starts_with('-') => (false, file),
        _ => return Err("usage: notes [--stdio] FILE".into()),
    };
    let notes = Arc::new(Notes(Store::open(file).map_err(|error| format!("{file}: {error}"))?));
    let server = server(&notes);
    if over_stdio {
        return Ok(stdio::serve(server.build(), io::stdin(), io::stdout()).await?);
    }
    let changes = server.changes();
    let stop = async move {
        let _ = signal::ctrl_c().await;
        changes.end_subscriptions();
    };
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    let router = routes(&notes).merge(server.routes());
    Ok(axum::serve(listener, router).with_graceful_shutdown(stop).await?)
}
