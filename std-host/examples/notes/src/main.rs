//! `notes [--stdio] [DATABASE]` serves notes over HTTP, or over standard input and output.
//!
//! Over HTTP, callers need an access token if `NOTES_ISSUER` is set: the issuer of the tokens, whose
//! keys are in the file that `NOTES_KEYS` names (a JWKS).

use attache_host::auth::{Auth, Issuer, Tokens};
use attache_host::stdio;
use core::error::Error;
use notes::store::Store;
use notes::{Notes, routes, server};
use std::env::{args, var};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (flags, files): (Vec<_>, Vec<_>) = args().skip(1).partition(|argument| argument.starts_with("--"));
    let database = files.first().map_or("notes.db", String::as_str);
    let notes = Arc::new(Notes(Store::open(database)?));
    let mut server = server(&notes);
    if flags.iter().any(|flag| flag == "--stdio") {
        return Ok(stdio::serve(server.build(), tokio::io::stdin(), tokio::io::stdout()).await?);
    }
    if let Ok(issuer) = var("NOTES_ISSUER") {
        let keys = std::fs::read_to_string(var("NOTES_KEYS")?)?;
        let issuer = Issuer::with_keys(&issuer, &keys)?.any_application();
        server = server.auth(Auth::tokens(Tokens::of("http://127.0.0.1:8080/mcp", issuer)?));
    }
    let changes = server.changes();
    let router = routes(&notes).merge(server.routes());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    let stop = async move {
        let _ = tokio::signal::ctrl_c().await;
        changes.end_subscriptions();
    };
    Ok(axum::serve(listener, router).with_graceful_shutdown(stop).await?)
}
