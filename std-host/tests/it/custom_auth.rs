//! Authentication by the application itself.

use attache_host::auth::{Auth, Caller, Rejection};
use attache_host::http::McpService;
use attache_host::{Ctx, NoArgs, Server, Tool};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_service::Service;

/// The caller, as a session layer in front of the endpoint knows it.
#[derive(Clone)]
enum Session {
    Of(&'static str),
    Banned,
    DatabaseDown,
}

fn service() -> McpService {
    let auth = Auth::custom(async |head: Parts| match head.extensions.get::<Session>() {
        Some(Session::Of("guest")) => Ok(Caller::guest()),
        Some(Session::Of(name)) => Ok(Caller::new(name).with_scope("notes.write").with_claim("plan", "pro")),
        Some(Session::Banned) => Err(Rejection::Forbidden("secret: banned".to_owned())),
        Some(Session::DatabaseDown) => Err(Rejection::Unavailable("secret: no database".to_owned())),
        None => Err(Rejection::Unauthenticated("secret: no session".to_owned())),
    });
    let who = async |_: NoArgs, ctx: Ctx| {
        format!("{:?} {:?}", ctx.caller().subject(), ctx.caller().claim("plan").map(|plan| plan.to_string()))
    };
    let server = Server::new("t", "1")
        .auth(auth)
        .tool("who", "d", who)
        .with_tool(Tool::new("write", "d", who).scope("notes.write"))
        .with_tool(Tool::new("admin", "d", who).scope("notes.admin"));
    McpService::new(server.build())
}

async fn call(session: Option<Session>, tool: &str) -> (StatusCode, Option<String>, Value) {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }}});
    let mut request = Request::post("/mcp")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a request");
    if let Some(session) = session {
        request.extensions_mut().insert(session);
    }
    let Ok(response) = service().call(request).await;
    let status = response.status();
    let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().expect("ASCII").to_owned());
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, challenge, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn caller_that_the_application_knows_is_the_caller_of_the_handler() {
    let (status, _, answer) = call(Some(Session::Of("ada")), "who").await;
    assert_eq!(
        (status, &answer["result"]["content"][0]["text"]),
        (StatusCode::OK, &json!(r#"Some("ada") Some("\"pro\"")"#))
    );
    let (status, _, answer) = call(Some(Session::Of("ada")), "write").await;
    assert_eq!((status, answer["result"]["isError"].is_null()), (StatusCode::OK, true), "{answer}");
    let (status, _, answer) = call(Some(Session::Of("guest")), "who").await;
    assert_eq!((status, &answer["result"]["content"][0]["text"]), (StatusCode::OK, &json!("None None")));
}

#[tokio::test]
async fn caller_that_the_application_refuses_gets_the_status_of_the_reason_and_not_its_text() {
    for (session, tool, expected) in [
        (None, "who", StatusCode::UNAUTHORIZED),
        (Some(Session::Banned), "who", StatusCode::FORBIDDEN),
        (Some(Session::DatabaseDown), "who", StatusCode::SERVICE_UNAVAILABLE),
        (Some(Session::Of("ada")), "admin", StatusCode::FORBIDDEN),
        (Some(Session::Of("guest")), "write", StatusCode::UNAUTHORIZED),
    ] {
        let (status, challenge, answer) = call(session, tool).await;
        assert_eq!(status, expected, "{answer}");
        // RFC 9110 §11.6.1: "a WWW-Authenticate header field containing at least one challenge".
        assert!(status != StatusCode::UNAUTHORIZED || challenge.is_some(), "{answer}");
        assert!(answer["error"]["code"].is_i64() && !answer.to_string().contains("secret"), "{answer}");
    }
}
