//! Connections of a gate to an upstream of an older revision: which callers share one, and which do
//! not. A question of such an upstream may come late, and may not say which call asks.

use crate::gate::{client, names, raw, served, soon, text, until};
use crate::gate_failures::{directory, rpc};
use ::core::time::Duration;
use attache_host::auth::{Auth, Keys};
use attache_host::bridge::{Bridge, Per, limits};
use attache_host::client::{Call, Client, Credential, Event, List, RawJson, Request, ServerCommand, Version};
use attache_host::{Ctx, NoArgs, Server, ServerBuilder};
use axum::extract::{Request as HttpRequest, State};
use axum::http::HeaderName;
use axum::middleware::{Next, from_fn_with_state};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::time::timeout;

const OLD: Version = Version::V2025_11_25;
const NEW: Version = Version::V2026_07_28;
const KEYS: [(&str, &str); 2] =
    [("ann", "0123456789abcdef0123456789abcdef"), ("bob", "fedcba9876543210fedcba9876543210")];

/// A legacy server with one tool. It never answers the call of "first". When it gets a call of
/// "second", it asks a question that belongs to the call of "first", and tells what became of it.
fn asks_late() -> ServerCommand {
    let text = r#"left=
        answer() { echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"'$1'"}]}}'; }
        while read -r line; do
            id=${line#*'"id":'}; id=${id%%,*}
            case "$line" in
            *'"server/discover"'*) echo '{"jsonrpc":"2.0","id":'$id',"error":{"code":-32601,"message":"no"}}' ;;
            *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}' ;;
            *tools/list*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}' ;;
            *'"ping"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{}}' ;;
            *notifications/*) ;;
            *first*) left=yes; >"$MARK" ;;
            *second*)
                if [ -n "$left" ]; then
                    echo '{"jsonrpc":"2.0","id":"late","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}'
                    read -r line
                    case "$line" in *error*) answer refused ;; *) answer asked ;; esac
                else
                    answer alone
                fi ;;
            esac
        done"#;
    ServerCommand::new("sh", ["-c", text])
}

fn named(who: &str) -> Request {
    Request::call("t", RawJson::of(&json!({"who": who})).expect("JSON")).questions()
}

fn gate(has_keys: bool, bridge: Bridge) -> ServerBuilder {
    let gate = Server::new("gate", "1").backend("", bridge);
    match has_keys {
        true => gate.auth(Auth::keys(Keys::new(KEYS).expect("long keys"))),
        false => gate,
    }
}

async fn keyed(url: &str, version: Version, key: Option<&str>) -> Client {
    let capabilities = raw(r#"{"elicitation":{"form":{}}}"#);
    let builder = Client::builder("test", "1").capabilities(capabilities).version(version);
    let header = HeaderName::from_static("x-functions-key");
    match key {
        Some(key) => builder.credential(Credential::Key(header, key.to_owned())).http(url).await,
        None => builder.http(url).await,
    }
    .expect("connected")
}

/// The result of a call that must not be asked anything.
async fn unasked(mut call: Call) -> String {
    loop {
        match soon(call.next()).await {
            Event::Question(question) => panic!("a stranger is asked: {question:?}"),
            Event::Done(result) => return text(&result.expect("a result")),
            _ => {}
        }
    }
}

#[tokio::test]
async fn late_question_of_one_callers_call_never_reaches_another_caller() {
    let [ann, bob] = KEYS.map(|(_, key)| Some(key));
    for (name, [first, second], gives_up) in [
        ("sessions of callers without a key", [(OLD, None), (OLD, None)], false),
        ("sessions after a call was given up", [(OLD, None), (OLD, None)], true),
        ("calls without a session or a key", [(NEW, None), (NEW, None)], false),
        ("calls without a session or a key, after one was given up", [(NEW, None), (NEW, None)], true),
        ("a session, and a call without one", [(OLD, None), (NEW, None)], false),
        ("a call without a session, and a session", [(NEW, None), (OLD, None)], true),
        ("keys", [(NEW, ann), (NEW, bob)], true),
        ("sessions of one key", [(OLD, ann), (OLD, ann)], true),
    ] {
        let mark = directory("late").join("mark");
        let bridge = Bridge::command("there", asks_late().env("MARK", &mark));
        let url = served(gate(first.1.is_some(), bridge)).await;
        let (first, second) = (keyed(&url, first.0, first.1).await, keyed(&url, second.0, second.1).await);
        until(async || !names(&first, List::Tools, "name").await.is_empty()).await;
        let mut left = first.start(named("first"));
        until(async || {
            assert!(timeout(Duration::from_millis(5), left.next()).await.is_err(), "{name}");
            mark.exists()
        })
        .await;
        let left = (!gives_up).then_some(left);
        assert_eq!(unasked(second.start(named("second"))).await, "alone", "{name}");
        drop(left);
    }
}

/// A legacy server with one tool. After it has answered the call of "first", it asks a question.
fn asks_afterwards() -> ServerCommand {
    let text = r#"answer() { echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"'$1'"}]}}'; }
        while read -r line; do
            id=${line#*'"id":'}; id=${id%%,*}
            case "$line" in
            *'"server/discover"'*) echo '{"jsonrpc":"2.0","id":'$id',"error":{"code":-32601,"message":"no"}}' ;;
            *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}' ;;
            *tools/list*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}' ;;
            *'"ping"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{}}' ;;
            *notifications/*|*'"late"'*) ;;
            *first*)
                answer done
                sleep 0.3
                echo '{"jsonrpc":"2.0","id":"late","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}' ;;
            *second*) answer alone ;;
            esac
        done"#;
    ServerCommand::new("sh", ["-c", text])
}

#[tokio::test]
async fn question_that_an_upstream_asks_after_its_answer_does_not_reach_the_next_caller() {
    let url = served(gate(false, Bridge::command("there", asks_afterwards()))).await;
    let (first, second) = (keyed(&url, NEW, None).await, keyed(&url, NEW, None).await);
    until(async || !names(&first, List::Tools, "name").await.is_empty()).await;
    for _ in 0..3 {
        assert_eq!(unasked(first.start(named("first"))).await, "done");
        assert_eq!(unasked(second.start(named("second"))).await, "alone");
    }
}

#[tokio::test]
async fn late_question_reaches_no_caller_of_a_child_that_all_callers_share() {
    let mark = directory("shared").join("mark");
    let bridge = Bridge::command("there", asks_late().env("MARK", &mark)).per(Per::Process);
    let url = served(gate(false, bridge)).await;
    let (first, second) = (keyed(&url, NEW, None).await, keyed(&url, OLD, None).await);
    until(async || !names(&first, List::Tools, "name").await.is_empty()).await;
    let mut left = first.start(named("first"));
    until(async || {
        assert!(timeout(Duration::from_millis(5), left.next()).await.is_err());
        mark.exists()
    })
    .await;
    drop(left);
    // The cancellation needs a moment to reach the child.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(unasked(second.start(named("second"))).await, "refused");
}

#[tokio::test]
async fn question_of_a_session_that_does_not_say_which_call_asks_reaches_the_user_of_the_session() {
    let mark = directory("session").join("mark");
    let bridge = Bridge::command("there", asks_late().env("MARK", &mark));
    let client = client(&served(Server::new("gate", "1").backend("", bridge)).await, OLD).await;
    until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
    let mut first = client.start(named("first"));
    until(async || {
        assert!(timeout(Duration::from_millis(5), first.next()).await.is_err());
        mark.exists()
    })
    .await;
    let mut second = client.start(named("second"));
    let result = loop {
        match soon(second.next()).await {
            Event::Question(question) => question.answer(raw(r#"{"action":"accept","content":{}}"#)),
            Event::Done(result) => break result.expect("a result"),
            _ => {}
        }
    };
    assert_eq!(text(&result), "asked");
}

/// The sessions in which an upstream got its calls, by the text that the call carries.
type Seen = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

async fn note(State(seen): State<Seen>, request: HttpRequest, next: Next) -> axum::response::Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(who) = message["params"]["arguments"]["who"].as_str() {
        let session = head.headers.get("mcp-session-id").map(|id| id.to_str().expect("text").to_owned());
        let mut seen = seen.lock().expect("no panic");
        seen.entry(who.to_owned()).or_default().push(session.unwrap_or_default());
    }
    next.run(HttpRequest::from_parts(head, body.into())).await
}

/// Serves an upstream that notes the sessions of its calls.
async fn noted(server: ServerBuilder) -> (String, Seen) {
    let seen = Seen::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let router: axum::Router = server.routes();
    let router = router.layer(from_fn_with_state(Arc::clone(&seen), note));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, seen)
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Who {
    /// the caller
    #[expect(dead_code, reason = "the layer in front of the server reads it")]
    who: String,
}

#[tokio::test]
async fn calls_of_one_session_share_a_session_of_the_upstream_and_other_callers_have_their_own() {
    let upstream = Server::new("there", "1").tool("t", "d", |_: Who, _: Ctx| async { "x" });
    let (url, seen) = noted(upstream).await;
    let gates = [false, true].map(|has_keys| gate(has_keys, Bridge::http("there", url.clone()).version(OLD)));
    let [open, locked] = gates.map(served);
    let (open, locked) = (open.await, locked.await);
    let [ann, bob] = KEYS.map(|(_, key)| Some(key));
    let callers = [
        ("first session", OLD, None),
        ("second session", OLD, None),
        ("session of ann", OLD, ann),
        ("another session of ann", OLD, ann),
        ("ann", NEW, ann),
        ("bob", NEW, bob),
        ("no key", NEW, None),
    ];
    for (who, version, key) in callers {
        let gate = if key.is_some() { &locked } else { &open };
        let client = keyed(gate, version, key).await;
        until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
        for _ in 0..3 {
            soon(client.request(named(who))).await.expect("a result");
        }
    }
    let seen = seen.lock().expect("no panic").clone();
    for (who, sessions) in &seen {
        assert!(sessions.len() == 3 && sessions.iter().all(|session| *session == sessions[0]), "{who}: {sessions:?}");
    }
    let mut all: Vec<_> = seen.values().map(|sessions| &sessions[0]).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), callers.len(), "{seen:?}");
}

#[tokio::test]
async fn sessions_of_an_upstream_are_limited_and_the_one_too_many_is_told_to_try_again() {
    let upstream = Server::new("there", "1")
        .tool("waits", "d", |_: NoArgs, _: Ctx| ::core::future::pending::<&str>())
        .tool("t", "d", |_: NoArgs, _: Ctx| async { "x" });
    let bridge = Bridge::http("there", served(upstream).await).version(OLD);
    let gate = served(Server::new("gate", "1").backend("", bridge)).await;
    let mut held = Vec::new();
    for _ in 0..limits::SESSIONS {
        let client = client(&gate, OLD).await;
        until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
        let mut call = client.start(Request::call("waits", RawJson::empty_object()));
        assert!(timeout(Duration::from_millis(20), call.next()).await.is_err());
        held.push((client, call));
    }
    let late = client(&gate, OLD).await;
    // The calls above need a moment to open their sessions.
    until(async || match late.call("t", RawJson::empty_object()).await {
        Ok(_) => false,
        Err(error) => {
            let (code, message, data) = rpc(error);
            assert_eq!((code, &data["kind"]), (-32603, &json!("busy")), "{message}");
            true
        }
    })
    .await;
    held.pop();
    until(async || late.call("t", RawJson::empty_object()).await.is_ok()).await;
}
