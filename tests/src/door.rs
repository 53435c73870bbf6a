//! `Door`: access control in front of services that are not MCP endpoints.

use crate::tokens::{HEADER, token};
use ::core::convert::Infallible;
use ::core::future::{Ready, ready};
use ::core::task::{Context, Poll};
use attache_host::auth::{Auth, Caller, Issuer, Keys, Tokens, Unauthenticated};
use attache_host::budget::Budget;
use attache_host::http::{Door, Guarded, Peer};
use attache_host::{Limits, Rate};
use axum::http::{Request, Response};
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_service::Service;

/// A service that answers with the name of its caller's key, or its subject.
#[derive(Clone)]
struct Greeter;

impl Service<Request<()>> for Greeter {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let caller = request.extensions().get::<Caller>().expect("the door adds the caller");
        let name = caller.key_name().map(ToOwned::to_owned).or_else(|| caller.subject());
        let greeting = json!({"caller": name, "path": request.uri().path()});
        ready(Ok(Response::new(Full::from(greeting.to_string()))))
    }
}

/// Sends a request to the service, and returns the status, the header field `name` and the body.
async fn send(service: &mut Guarded<Greeter>, uri: &str, fields: &[(&str, &str)], name: &str) -> (u16, String, Value) {
    let mut request = Request::put(uri).extension(Peer([192, 0, 2, 1].into()));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = service.call(request.body(()).expect("a request")).await.expect("an answer");
    let field = response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    (status, field.unwrap_or_default(), serde_json::from_slice(&body).unwrap_or_default())
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn keys() -> Keys {
    let keys = Keys::new([("ops", SECRET)]).expect("long keys");
    keys.replace_known([("guest".to_owned(), attache_core::auth::digest(OTHER.as_bytes()))]);
    keys
}

#[tokio::test]
async fn request_reaches_the_service_with_its_caller_or_is_answered_at_the_door() {
    const HOST: (&str, &str) = ("host", "api.example");
    let key = ("x-functions-key", SECRET);
    let door = Door::new(Auth::keys(keys()).key_in_query())
        .hosts(["api.example".to_owned()])
        .origins(["https://app.example".to_owned()]);
    let mut service = door.layer(Greeter);
    for (uri, fields, status, says) in [
        ("/a", &[HOST, key][..], 200, "ops"),
        ("/a?code=0123456789abcdef0123456789abcdef", &[HOST], 200, "ops"),
        ("/a", &[HOST, key, ("origin", "https://app.example")], 200, "ops"),
        ("/a", &[HOST, key, ("content-type", "text/plain"), ("accept", "text/html")], 200, "ops"),
        ("/a", &[HOST, key, ("origin", "https://evil.example")], 403, "Origin may not call"),
        ("/a", &[("host", "evil.example"), key], 403, "Host is not a name"),
        ("/a", &[key], 400, "Host must be there once"),
        ("/a", &[HOST, HOST, key], 400, "Host must be there once"),
        ("/a", &[HOST, key, ("transfer-encoding", "gzip, chunked")], 400, "Transfer-Encoding"),
        ("/a", &[HOST, key, key], 400, "Authorization"),
        ("/a?access_token=t", &[HOST, key], 400, "Authorization"),
        ("/a", &[HOST], 401, "A valid key is needed"),
        ("/a", &[HOST, ("x-functions-key", "wrong")], 401, "A valid key is needed"),
        ("/a", &[HOST, ("x-functions-key", OTHER)], 403, "The caller may not do this"),
    ] {
        let (code, _, body) = send(&mut service, uri, fields, "").await;
        let said = body["caller"].as_str().or(body["error"].as_str()).unwrap_or_default();
        assert!(code == status && said.starts_with(says), "{uri} {fields:?}: {code} {body}");
    }
}

#[tokio::test]
async fn head_that_is_too_large_is_refused_and_a_caller_that_comes_too_often_learns_when_to_come_again() {
    let limits = Limits::default().rate(Some(Rate { per_second: 1, burst: 2 })).fields(3);
    let door = Door::open().limits(&limits);
    let mut service = door.layer(Greeter);
    let host = ("host", "localhost:8080");
    let many = [host, ("a", "1"), ("b", "2"), ("c", "3")];
    assert_eq!(send(&mut service, "/", &many, "").await.0, 431);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(send(&mut service, "/", &[host], "retry-after").await);
    }
    let statuses: Vec<_> = answers.iter().map(|answer| answer.0).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!((answers[0].2["caller"].as_str(), answers[2].1.as_str()), (None, "1"));
    // Services behind one door share its rate limit.
    assert_eq!(send(&mut door.layer(Greeter), "/", &[host], "").await.0, 429);
}

#[tokio::test]
async fn caller_of_a_platform_is_the_one_that_its_header_names_and_other_credentials_do_not_count() {
    let principal = json!({"auth_typ": "aad", "claims": [{"typ": "sub", "val": "ada"}]}).to_string();
    let principal = base64::engine::general_purpose::STANDARD.encode(principal);
    let mut service = Door::new(Auth::platform_principal()).layer(Greeter);
    let token = ("authorization", "Bearer a.b.c");
    for (fields, status, caller) in [
        (&[("x-ms-client-principal", principal.as_str())][..], 200, Some("ada")),
        (&[("x-ms-client-principal", principal.as_str()), token, token], 200, Some("ada")),
        (&[token], 401, None),
        (&[("x-ms-client-principal", "e30=")], 401, None),
    ] {
        let fields = [&[("host", "localhost")][..], fields].concat();
        let (code, _, body) = send(&mut service, "/", &fields, "").await;
        assert_eq!((code, body["caller"].as_str()), (status, caller), "{fields:?}: {body}");
    }
}

#[tokio::test]
async fn hidden_service_exists_for_callers_with_valid_credentials_alone() {
    let auth = Auth::keys(keys()).unauthenticated(Unauthenticated::NotFound);
    let mut service = Door::new(auth).layer(Greeter);
    for (fields, status) in [
        (&[("host", "localhost"), ("x-functions-key", SECRET)][..], 200),
        (&[("host", "localhost")], 404),
        (&[("host", "evil.example")], 404),
        (&[("host", "evil.example"), ("x-functions-key", SECRET)], 403),
    ] {
        let (code, challenge, body) = send(&mut service, "/", fields, "www-authenticate").await;
        assert_eq!(code, status, "{fields:?}");
        assert!(code != 404 || challenge.is_empty() && body.is_null(), "{challenge} {body}");
    }
}

#[tokio::test]
async fn request_that_waits_for_an_issuer_holds_memory_of_the_budget_and_one_without_room_is_refused() {
    // An issuer that takes requests and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            taken.push(stream);
        }
    });
    let issuer = Issuer::discovered(&origin).expect("an issuer").applications(["app"]);
    let tokens = Tokens::of("https://api.example", issuer).expect("a resource");
    let claims =
        json!({"iss": origin, "aud": "https://api.example", "exp": 4_000_000_000_u64, "sub": "ada", "azp": "app"});
    let token = format!("Bearer {}", token(HEADER, &claims.to_string()));
    let limits = Limits::default().memory(128 * 1024);
    let budget = Budget::new(&limits);
    let mut service = Door::new(Auth::tokens(tokens)).limits(&limits).budget(budget.clone()).layer(Greeter);
    let fields = [("host", "localhost"), ("authorization", token.as_str())];
    let mut waiting = Vec::new();
    let mut refused = 0;
    for _ in 0..20 {
        let mut service = service.clone();
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let task = tokio::spawn(async move {
            let fields = fields.each_ref().map(|(name, value)| (name.as_str(), value.as_str()));
            send(&mut service, "/", &fields, "").await.0
        });
        tokio::time::sleep(::core::time::Duration::from_millis(10)).await;
        if task.is_finished() {
            assert_eq!(task.await.expect("no panic"), 503);
            refused += 1;
        } else {
            waiting.push(task);
        }
    }
    // The part for requests that wait is a quarter of the budget.
    assert!(refused > 0 && !waiting.is_empty(), "{refused} {}", waiting.len());
    assert!(budget.held() > 8 * 1024 && budget.held() <= 32 * 1024, "{}", budget.held());
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    for task in waiting {
        let _ = task.await;
    }
    assert_eq!(budget.held(), 0);
    assert_eq!(send(&mut service, "/", &[("host", "localhost")], "").await.0, 401);
}
