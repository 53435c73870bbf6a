//! Callers that the application signs in itself: a layer looks up the session, `Auth::custom` makes
//! the caller, and a tool requires a scope. Run it and point a client at
//! `http://127.0.0.1:8080/mcp` with the header `X-Session: ada`.

use attache_host::auth::{Auth, Caller, Rejection};
use attache_host::prelude::*;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::request::Parts;

/// The session of the request.
#[derive(Clone)]
struct Session {
    user: String,
}

/// Looks up the session of a request. A real application asks its database.
async fn look_up(mut request: Request, next: Next) -> Response {
    let user = request.headers().get("x-session").and_then(|user| user.to_str().ok()).map(str::to_owned);
    if let Some(user) = user {
        request.extensions_mut().insert(Session { user });
    }
    next.run(request).await
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let auth = Auth::custom(async |head: Parts| match head.extensions.get::<Session>() {
        Some(session) if session.user == "ada" => Ok(Caller::new("ada").with_scope("notes.write")),
        Some(session) => Ok(Caller::new(&session.user)),
        None => Err(Rejection::Unauthenticated("no session".to_owned())),
    });
    let who = Tool::new("who", "Who calls", async |_: NoArgs, ctx: Ctx| ctx.caller().subject());
    let write = Tool::new("write", "Write a note", async |_: NoArgs, ctx: Ctx| {
        Ok(format!("{} writes", ctx.request_extension::<Session>()?.user))
    });
    let server = Server::new("notes", "1.0")
        .auth(auth)
        .request_extension::<Session>()
        .with_tool(who)
        .with_tool(write.scope("notes.write"));
    let router: axum::Router = server.routes().layer(from_fn(look_up));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, router).await
}
