//! The behaviour of a server when a client exceeds a limit.

use attache_host::http::{McpService, Peer};
use attache_host::{Ask, Ctx, Limits, NoArgs, Rate, Server, ServerBuilder, TextStream};
use core::time::Duration;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tower_service::Service;

type Answer = Response<attache_host::http::AnswerBody>;

fn request(method: &str, params: Value) -> Request<Full<bytes::Bytes>> {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    let name = params["name"].as_str().unwrap_or("none").to_owned();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    Request::post("/")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method)
        .header("mcp-name", name)
        .body(Full::from(body))
        .expect("a request")
}

async fn send(mut service: McpService, request: Request<Full<bytes::Bytes>>) -> Answer {
    let Ok(answer) = service.call(request).await;
    answer
}

async fn error(answer: Answer) -> (StatusCode, Option<String>, Value) {
    let retry = answer.headers().get("retry-after").map(|value| value.to_str().expect("digits").to_owned());
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap_or_else(|_| panic!("it breaks off"));
    let body: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    (status, retry, body["error"]["code"].clone())
}

/// Returns a server with one tool that ends when it gets a permit.
fn server(limits: Limits) -> (McpService, Arc<Semaphore>, Arc<Semaphore>) {
    let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (begins, waits) = (Arc::clone(&begun), Arc::clone(&go_on));
    let server = Server::new("t", "1").limits(limits).subscriptions().tool("slow", "d", move |_: NoArgs, _: Ctx| {
        let (begins, waits) = (Arc::clone(&begins), Arc::clone(&waits));
        async move {
            begins.add_permits(1);
            waits.acquire().await.expect("open").forget();
        }
    });
    (McpService::new(server.build()), begun, go_on)
}

fn call() -> Request<Full<bytes::Bytes>> {
    request("tools/call", json!({"name": "slow"}))
}

#[tokio::test(start_paused = true)]
async fn call_beyond_the_limit_waits_its_time_and_is_refused_and_one_beyond_those_that_wait_at_once() {
    let wait = Duration::from_secs(5);
    let (service, begun, go_on) = server(Limits::default().calls(1_usize).calls_waiting(1_usize).call_wait(wait));
    let running = tokio::spawn(send(service.clone(), call()));
    begun.acquire().await.expect("open").forget();
    let waiting = tokio::spawn(send(service.clone(), call()));
    tokio::task::yield_now().await;
    let started = tokio::time::Instant::now();
    let busy = (StatusCode::SERVICE_UNAVAILABLE, Some("1".to_owned()), json!(-32603));
    assert_eq!(error(send(service.clone(), call()).await).await, busy);
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(send(service.clone(), request("tools/list", json!({}))).await.status(), StatusCode::OK);
    assert_eq!(error(waiting.await.expect("an answer")).await, busy);
    assert_eq!(started.elapsed(), wait);
    // The waiting call starts when the running one ends.
    let waiting = tokio::spawn(send(service.clone(), call()));
    go_on.add_permits(2);
    assert_eq!(running.await.expect("an answer").status(), StatusCode::OK);
    assert_eq!(waiting.await.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn call_that_takes_longer_than_it_may_is_ended_with_an_error_and_its_place_is_free() {
    let (service, _, _) = server(Limits::default().calls(1_usize).call_time(Duration::from_secs(7)));
    for _ in 0..2 {
        let started = tokio::time::Instant::now();
        let (_, _, code) = error(send(service.clone(), call()).await).await;
        assert_eq!((started.elapsed(), code), (Duration::from_secs(7), json!(-32603)));
    }
}

#[tokio::test(start_paused = true)]
async fn streamed_result_that_exceeds_its_time_fails_or_breaks_off() {
    let limit = Duration::from_secs(7);
    for (pieces, is_told) in [(0, true), (40, false)] {
        let server = Server::new("t", "1").limits(Limits::default().call_time(limit)).tool(
            "slow",
            "d",
            move |_: NoArgs, _: Ctx| async move {
                let text = futures_util::stream::iter((0..pieces).map(|_| Ok("x".repeat(4096))));
                TextStream::new(futures_util::StreamExt::chain(text, futures_util::stream::pending()))
            },
        );
        let started = tokio::time::Instant::now();
        let answer = send(McpService::new(server.build()), call()).await;
        match (answer.into_body().collect().await, is_told) {
            (Ok(body), true) => {
                let body: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
                assert!(body["error"]["code"] == -32603 || body["result"]["isError"] == true, "{body}");
            }
            // Half a text must not pass for a whole one.
            (Err(_), false) => {}
            (answer, _) => panic!("{pieces} pieces: {}", answer.is_ok()),
        }
        assert_eq!(started.elapsed(), limit);
    }
}

#[tokio::test]
async fn subscription_beyond_the_limit_is_refused_until_another_has_ended() {
    let (service, ..) = server(Limits::default().streams(1_usize));
    let listen = || request("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let first = send(service.clone(), listen()).await;
    assert_eq!(first.status(), StatusCode::OK);
    let refused = error(send(service.clone(), listen()).await).await;
    assert_eq!(refused, (StatusCode::SERVICE_UNAVAILABLE, Some("1".to_owned()), json!(-32603)));
    drop(first);
    assert_eq!(send(service, listen()).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn caller_over_its_rate_limit_is_refused_with_retry_after_and_others_are_not() {
    let (service, ..) = server(Limits::default().rate(Some(Rate { per_second: 1, burst: 2 })));
    let from = |address: &str| {
        let mut request = request("tools/list", json!({}));
        request.extensions_mut().insert(Peer(address.parse().expect("an address")));
        send(service.clone(), request)
    };
    for _ in 0..2 {
        assert_eq!(from("192.0.2.1").await.status(), StatusCode::OK);
    }
    let (status, retry, code) = error(from("192.0.2.1").await).await;
    assert_eq!((status, retry.as_deref(), code), (StatusCode::TOO_MANY_REQUESTS, Some("2"), json!(-32600)));
    assert_eq!(from("192.0.2.2").await.status(), StatusCode::OK);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(from("192.0.2.1").await.status(), StatusCode::OK);
}

/// A message of a legacy client.
fn legacy(version: &str, session: Option<&str>, message: &Value) -> Request<Full<bytes::Bytes>> {
    let mut request = Request::post("/").header("host", "localhost").header("content-type", "application/json");
    if let Some(session) = session {
        request = request.header("mcp-session-id", session).header("mcp-protocol-version", version);
    }
    request.body(Full::from(message.to_string())).expect("a request")
}

fn initialize(version: &str) -> Request<Full<bytes::Bytes>> {
    let params = json!({
        "protocolVersion": version, "capabilities": {"roots": {}}, "clientInfo": {"name": "c", "version": "1"},
    });
    legacy(version, None, &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}))
}

#[tokio::test(start_paused = true)]
async fn each_message_of_a_batch_counts_as_a_request_of_its_caller() {
    let (service, ..) = server(Limits::default().rate(Some(Rate { per_second: 1, burst: 4 })));
    let batch = |len: u64| {
        let ping = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
        send(service.clone(), legacy("2025-03-26", None, &(0..len).map(ping).collect()))
    };
    assert_eq!(batch(3).await.status(), StatusCode::OK);
    let (status, retry, _) = error(batch(3).await).await;
    assert_eq!((status, retry.as_deref()), (StatusCode::TOO_MANY_REQUESTS, Some("2")));
    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(batch(4).await.status(), StatusCode::OK);
}

// LEG-10
#[tokio::test(start_paused = true)]
async fn question_that_a_legacy_client_does_not_answer_in_time_fails_its_call() {
    let server = Server::new("t", "1").tool("asks", "d", |_: NoArgs, ctx: Ctx| async move {
        ctx.ask("roots", Ask::Roots)?;
        Ok("answered")
    });
    let service = McpService::new(server.build());
    let answer = send(service.clone(), initialize("2025-11-25")).await;
    let session = answer.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned();
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "asks"}});
    let started = tokio::time::Instant::now();
    let answer = send(service, legacy("2025-11-25", Some(&session), &call)).await;
    let body = answer.into_body().collect().await.unwrap_or_else(|_| panic!("it breaks off")).to_bytes();
    let events = String::from_utf8_lossy(&body);
    assert_eq!(started.elapsed(), attache_host::limits::ANSWERS);
    let last = events.lines().filter_map(|line| line.strip_prefix("data: {")).next_back().expect("an answer");
    assert!(last.contains("has not answered in time") && last.contains(r#""isError":true"#), "{events}");
}

#[tokio::test(start_paused = true)]
async fn question_in_a_batch_fails_its_call_at_once_because_no_client_could_hear_it() {
    let server = Server::new("t", "1").tool("asks", "d", |_: NoArgs, ctx: Ctx| async move {
        ctx.ask_all([("a", Ask::Roots)])?;
        Ok("answered")
    });
    let service = McpService::new(server.build());
    let answer = send(service.clone(), initialize("2025-03-26")).await;
    let session = answer.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned();
    let batch = json!([{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "asks"}}]);
    let started = tokio::time::Instant::now();
    let answer = send(service, legacy("2025-03-26", Some(&session), &batch)).await;
    let body = answer.into_body().collect().await.unwrap_or_else(|_| panic!("it breaks off")).to_bytes();
    let answers: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(answers[0]["id"], 2, "{answers}");
    assert!(answers[0]["error"].is_object() || answers[0]["result"]["isError"] == true, "{answers}");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn call_of_a_session_beyond_the_table_is_refused_with_when_to_try_again_and_others_go_on() {
    let calls = attache_host::limits::LEGACY_CALLS;
    let (service, begun, go_on) = server(Limits::default().calls(2 * calls));
    let answer = send(service.clone(), initialize("2025-11-25")).await;
    let session = answer.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned();
    let call = |id: usize| {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "slow"}});
        tokio::spawn(send(service.clone(), legacy("2025-11-25", Some(&session), &message)))
    };
    let running: Vec<_> = (0..calls).map(call).collect();
    begun.acquire_many(u32::try_from(calls).expect("few")).await.expect("open").forget();
    let (status, retry, code) = error(call(calls).await.expect("an answer")).await;
    assert_eq!((status, retry.is_some(), code), (StatusCode::SERVICE_UNAVAILABLE, true, json!(-32603)));
    go_on.add_permits(calls + 1);
    for call in running {
        assert_eq!(call.await.expect("an answer").status(), StatusCode::OK);
    }
    assert_eq!(call(calls).await.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn body_over_a_limit_that_was_set_is_refused_before_it_is_read() {
    let (service, ..) = server(Limits::default().body(10_usize));
    let answer = send(service, request("tools/list", json!({}))).await;
    assert_eq!(answer.headers().get("connection").map(|value| value.as_bytes()), Some(b"close".as_slice()));
    assert_eq!(error(answer).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

/// A server whose memory a test can look at.
fn counted(limits: &Limits) -> (ServerBuilder, attache_host::Budget) {
    let budget = attache_host::Budget::new(limits);
    (Server::new("t", "1").budget(budget.clone()).limits(limits.clone()).subscriptions(), budget)
}

fn from(mut request: Request<Full<bytes::Bytes>>, address: &str) -> Request<Full<bytes::Bytes>> {
    request.extensions_mut().insert(Peer(address.parse().expect("an address")));
    request
}

#[tokio::test]
async fn subscriptions_hold_no_more_than_their_part_and_give_it_back_and_too_large_a_one_is_told_so() {
    let (server, budget) = counted(&Limits::default().memory(4 << 20));
    let service = McpService::new(server.build());
    let uris = |count: usize| (0..count).map(|number| format!("test://{number:060}")).collect::<Vec<_>>();
    let listen =
        |count| request("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": uris(count)}}));
    let mut open = Vec::new();
    let refused = loop {
        let answer = send(service.clone(), listen(100)).await;
        match answer.status() {
            StatusCode::OK => open.push(answer),
            _ => break error(answer).await,
        }
        assert!(budget.held() <= 1 << 20, "{}", budget.held());
    };
    assert_eq!((refused.0, refused.2), (StatusCode::SERVICE_UNAVAILABLE, json!(-32603)));
    assert!(open.len() > 20, "{}", open.len());
    drop(open);
    assert_eq!(budget.held(), 0);
    assert_eq!(error(send(service, listen(1000)).await).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn uri_that_a_legacy_session_subscribes_to_has_a_longest_length_and_draws_from_the_budget() {
    let resource = |uri: &str| {
        attache_host::Resource::new(uri, "r", "text/plain", |_: attache_host::ResourceRequest, _: Ctx| async { "r" })
    };
    let (server, budget) = counted(&Limits::default());
    let service = McpService::new(server.with_template(resource("test://{name}")).build());
    let answer = send(service.clone(), initialize("2025-11-25")).await;
    let session = answer.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned();
    drop(answer);
    let change = async |method: &str, length: usize| {
        let params = json!({"uri": format!("test://{}", "x".repeat(length))});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        send(service.clone(), legacy("2025-11-25", Some(&session), &message)).await.status()
    };
    assert_eq!(change("resources/subscribe", 10_000).await, StatusCode::BAD_REQUEST);
    assert_eq!(budget.held(), 0);
    assert_eq!(change("resources/subscribe", 5_000).await, StatusCode::OK);
    assert!(budget.held() > 10_000, "{}", budget.held());
    for _ in 0..2 {
        assert_eq!(change("resources/subscribe", 100).await, StatusCode::OK);
    }
    assert_eq!(change("resources/unsubscribe", 100).await, StatusCode::OK);
    assert_eq!(change("resources/unsubscribe", 5_000).await, StatusCode::OK);
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn streams_that_are_kept_for_clients_that_come_back_give_way_when_their_caller_needs_memory() {
    let limits = Limits::default().memory(8 << 20).memory_per_caller(4 << 20);
    let (server, budget) = counted(&limits);
    let server = server.tool("tells", "d", |_: NoArgs, ctx: Ctx| async move {
        ctx.progress(1.0, None, None).await;
        "x".repeat(200 * 1024)
    });
    let service = McpService::new(server.build());
    let answer = send(service.clone(), initialize("2025-11-25")).await;
    let session = answer.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned();
    for id in 0..100 {
        let params = json!({"name": "tells", "_meta": {"progressToken": id}});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        let answer = send(service.clone(), from(legacy("2025-11-25", Some(&session), &call), "192.0.2.1")).await;
        let body = answer.into_body().collect().await.unwrap_or_else(|_| panic!("it breaks off")).to_bytes();
        assert!(body.len() > 200 * 1024, "call {id}: {}", String::from_utf8_lossy(&body));
        drop(body);
        assert!(budget.held() <= 5 << 20, "{}", budget.held());
    }
}

#[tokio::test]
async fn caller_cannot_take_more_than_its_share_of_calls_and_streams_nor_the_last_eighth() {
    let limits = Limits::default().calls(16_usize).calls_waiting(16_usize).call_wait(Duration::ZERO).streams(16_usize);
    let (service, begun, go_on) = server(limits);
    let call = |address: &str| tokio::spawn(send(service.clone(), from(call(), address)));
    let greedy: Vec<_> = (0..8).map(|_| call("192.0.2.1")).collect();
    begun.acquire_many(8).await.expect("open").forget();
    assert_eq!(call("192.0.2.1").await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
    let second: Vec<_> = (0..6).map(|_| call("192.0.2.2")).collect();
    begun.acquire_many(6).await.expect("open").forget();
    assert_eq!(call("192.0.2.2").await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
    let third = call("192.0.2.3");
    begun.acquire().await.expect("open").forget();
    go_on.add_permits(15);
    for call in greedy.into_iter().chain(second).chain([third]) {
        assert_eq!(call.await.expect("an answer").status(), StatusCode::OK);
    }
    let listen = |address: &str| {
        let listen = request("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
        send(service.clone(), from(listen, address))
    };
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(listen("192.0.2.1").await);
    }
    assert!(open.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(listen("192.0.2.1").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(listen("192.0.2.2").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn caller_cannot_take_more_than_its_share_of_the_calls_of_sessions() {
    let calls = attache_host::limits::LEGACY_CALLS;
    let (service, begun, go_on) = server(Limits::default().calls(2 * calls).share(10));
    let answer = send(service.clone(), initialize("2025-11-25")).await;
    let session = answer.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned();
    let call = |id: usize, address: &str| {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "slow"}});
        tokio::spawn(send(service.clone(), from(legacy("2025-11-25", Some(&session), &message), address)))
    };
    let running: Vec<_> = (0..calls / 10).map(|id| call(id, "192.0.2.1")).collect();
    begun.acquire_many(u32::try_from(calls / 10).expect("few")).await.expect("open").forget();
    assert_eq!(call(calls, "192.0.2.1").await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
    let other = call(calls, "192.0.2.2");
    go_on.add_permits(calls);
    for call in running.into_iter().chain([other]) {
        assert_eq!(call.await.expect("an answer").status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn parsed_arguments_count_with_what_they_take_and_not_with_their_text() {
    let limits = Limits::default();
    let (server, budget) = counted(&limits);
    let (held, seen) = (budget.clone(), Arc::new(std::sync::Mutex::new(0)));
    let most = Arc::clone(&seen);
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Any {
        #[expect(dead_code, reason = "held as an application would")]
        a: Value,
    }
    let server = server.tool("keeps", "d", move |_: Any, _: Ctx| {
        *most.lock().expect("a number") = held.held();
        async {}
    });
    let service = McpService::new(server.build());
    let small: Vec<Value> = (0..2_000).map(|_| json!({"": 0})).collect();
    let call = request("tools/call", json!({"name": "keeps", "arguments": {"a": small}}));
    assert_eq!(send(service, call).await.status(), StatusCode::OK);
    let most = *seen.lock().expect("a number");
    assert!(most > 2_000 * 650, "{most}");
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn answers_to_questions_count_until_their_call_has_ended() {
    let (server, budget) = counted(&Limits::default());
    let server = server.tool("asks", "d", |_: NoArgs, ctx: Ctx| async move {
        ctx.ask_all([("a", Ask::Roots), ("b", Ask::Roots)])?;
        Ok("answered")
    });
    let service = McpService::new(server.build());
    let answer = send(service.clone(), initialize("2025-11-25")).await;
    let session = answer.headers()["mcp-session-id"].to_str().expect("ASCII").to_owned();
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "asks"}});
    let mut stream = send(service.clone(), legacy("2025-11-25", Some(&session), &call)).await.into_body();
    for _ in 0..2 {
        let _ = stream.frame().await;
    }
    let before = budget.held();
    let roots: Vec<Value> = (0..1_000).map(|_| json!({"uri": "file:///a"})).collect();
    let answer = |id: u64| json!({"jsonrpc": "2.0", "id": id, "result": {"roots": roots}});
    assert_eq!(
        send(service.clone(), legacy("2025-11-25", Some(&session), &answer(1))).await.status(),
        StatusCode::ACCEPTED
    );
    tokio::task::yield_now().await;
    assert!(budget.held() > before + 1_000 * 650, "{}", budget.held());
    assert_eq!(
        send(service.clone(), legacy("2025-11-25", Some(&session), &answer(2))).await.status(),
        StatusCode::ACCEPTED
    );
    while let Some(Ok(_)) = stream.frame().await {}
    drop(stream);
    assert!(budget.held() < 16 * 1024, "{}", budget.held());
}

#[tokio::test]
async fn body_is_refused_while_it_comes_in_when_the_callers_share_is_in_use() {
    let (server, budget) = counted(&Limits::default().memory(4 << 20).memory_per_caller(1 << 20));
    let service = McpService::new(server.build());
    let held =
        budget.reserve(attache_host::budget::Account::address("192.0.2.1".parse().ok()), 900 << 10).expect("room");
    let large = || {
        let text = "x".repeat(500 << 10);
        from(request("tools/list", json!({"cursor": text})), "192.0.2.1")
    };
    let (status, retry, code) = error(send(service.clone(), large()).await).await;
    assert_eq!((status, retry.is_some(), code), (StatusCode::SERVICE_UNAVAILABLE, true, json!(-32603)));
    drop(held);
    assert_ne!(send(service, large()).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn hidden_endpoint_tells_only_callers_that_it_knows_that_memory_is_short() {
    use attache_host::auth::{Auth, Keys, Unauthenticated};
    let (server, budget) = counted(&Limits::default());
    let value = "0123456789abcdef0123456789abcdef";
    let auth = Auth::keys(Keys::new([("ci", value)]).expect("a long key")).unauthenticated(Unauthenticated::NotFound);
    let service = McpService::new(server.auth(auth).tool("echo", "d", async |_: NoArgs, _: Ctx| ()).build());
    let list = |key: Option<&str>| {
        let mut request = request("tools/list", json!({}));
        if let Some(key) = key {
            request.headers_mut().insert("x-functions-key", key.parse().expect("ASCII"));
        }
        request
    };
    assert_eq!(send(service.clone(), list(Some(value))).await.status(), StatusCode::OK);
    let all = budget.reserve(attache_host::budget::Account::UNKNOWN, attache_host::limits::MEMORY).expect("it is idle");
    assert_eq!(send(service.clone(), list(Some(value))).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    for key in [None, Some("another key of thirty-two letters")] {
        assert_eq!(send(service.clone(), list(key)).await.status(), StatusCode::NOT_FOUND);
    }
    drop(all);
    assert_eq!(send(service, list(Some(value))).await.status(), StatusCode::OK);
}
