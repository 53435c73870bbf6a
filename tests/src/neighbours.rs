//! Servers in several processes: requests that concern a call in another process.

use crate::backends::{Scripted, TOOLS};
use crate::implementations::{Answering, Http};
use crate::modern::{Client, able};
use ::core::sync::atomic::Ordering::SeqCst;
use ::core::time::Duration;
use attache_host::neighbours::{Local, Missed, Neighbours, Part, Reply, Request};
use attache_host::store::MemorySessions;
use attache_host::{Ask, Ctx, Level, NoArgs, Server, ServerBuilder, ToolError};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The servers that know each other. Requests and answers are passed as text, as between processes.
#[derive(Clone, Default)]
struct Cluster(Arc<Mutex<Vec<Local>>>);

impl Neighbours for Cluster {
    fn attach(&self, local: Local) {
        self.0.lock().expect("no panic").push(local);
    }

    fn ask(&self, request: Request) -> Reply<'_> {
        let text = serde_json::to_string(&request).expect("JSON");
        let locals = self.0.lock().expect("no panic").clone();
        Box::pin(async move {
            let mut missed = Missed::Unreached;
            // Asks the process that the request is for first, and then all others.
            let (home, others): (Vec<_>, Vec<_>) = locals.iter().partition(|local| local.home() == request.home());
            for local in home.into_iter().chain(others) {
                match local.serve(serde_json::from_str(&text).expect("a request")) {
                    Ok(parts) => return Ok(Box::pin(futures_util::StreamExt::map(parts, crossed)) as _),
                    Err(why) => missed = why,
                }
            }
            Err(missed)
        })
    }
}

fn crossed(part: Part) -> Part {
    serde_json::from_value(serde_json::to_value(part).expect("JSON")).expect("a part")
}

/// Two servers with the same seal key, on sockets of their own.
fn two(server: impl Fn() -> ServerBuilder) -> [Arc<Http>; 2] {
    [(); 2].map(|()| Arc::new(Http::start(server().seal_keys([[7; 32]]))))
}

fn server() -> ServerBuilder {
    Server::new("replicated", "1")
        .tool("asks", "Asks for a name", |_: NoArgs, ctx: Ctx| async move {
            let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
            let answer = ctx.ask("name", Ask::Form { message: "?".to_owned(), schema })?;
            Ok::<_, ToolError>(format!("Hello {}", answer["content"]["name"].as_str().unwrap_or("nobody")))
        })
        .tool("counts", "Reports progress twice", |_: NoArgs, ctx: Ctx| async move {
            ctx.progress(1.0, None, None).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            ctx.progress(2.0, None, None).await;
            "counted"
        })
        .tool("logs", "Writes to the log", |_: NoArgs, ctx: Ctx| async move {
            ctx.log(Level::Info, "fine").await;
            ctx.log(Level::Error, "broken").await;
            "logged"
        })
        .tool("waits", "Waits for ever", |_: NoArgs, ctx: Ctx| async move {
            ctx.progress(1.0, None, None).await;
            ::core::future::pending::<()>().await;
            "never"
        })
}

const VERSION: (&str, &str) = ("mcp-protocol-version", "2025-11-25");

fn headers<'a>(session: Option<&'a str>, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![("host", "localhost"), ("accept", "application/json, text/event-stream"), VERSION];
    headers.extend(session.map(|session| ("mcp-session-id", session)));
    headers.extend(more);
    headers
}

/// Posts a message of a legacy client.
fn post(http: &Http, session: Option<&str>, message: &Value) -> Answering {
    http.open(&headers(session, &[("content-type", "application/json")]), message.to_string().as_bytes())
}

/// The status and the body of an answer in JSON.
fn refused(answer: Answering) -> (u16, Value) {
    let status = answer.status;
    (status, serde_json::from_slice(&answer.rest()).expect("JSON"))
}

/// Opens a session of a client that can answer forms.
fn session(http: &Http) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "c", "version": "1"},
    }});
    post(http, None, &hello).header("mcp-session-id").expect("a session").to_owned()
}

fn call(id: u64, name: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "_meta": {"progressToken": "p"}}})
}

fn answer(question: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"name": "Ada"}}})
}

fn cancel(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
}

#[test]
fn answer_that_reaches_another_process_finds_the_call_that_asked() {
    let cluster = Cluster::default();
    let [first, second] = two(|| server().neighbours(cluster.clone()));
    let session = session(&first);
    // Both processes run a call of the session, and their questions have different numbers.
    let mut streams = [post(&first, Some(&session), &call(1, "asks")), post(&second, Some(&session), &call(2, "asks"))];
    let questions = streams.each_mut().map(|stream| stream.event().expect("a question"));
    assert_ne!(questions[0]["id"], questions[1]["id"]);
    assert_eq!(post(&second, Some(&session), &answer(&questions[0])).status, 202);
    assert_eq!(post(&first, Some(&session), &answer(&questions[1])).status, 202);
    for mut stream in streams {
        let result = stream.event().expect("the result");
        assert_eq!(result["result"]["content"][0]["text"], "Hello Ada", "{result}");
    }
    let (status, refusal) = refused(post(&second, Some(&session), &answer(&questions[0])));
    assert_eq!(status, 400);
    assert!(refusal["error"]["message"].as_str().expect("words").contains("Nothing was asked"), "{refusal}");
}

#[test]
fn cancellation_that_reaches_another_process_stops_the_call() {
    let cluster = Cluster::default();
    let [first, second] = two(|| server().neighbours(cluster.clone()));
    let session = session(&first);
    let mut stream = post(&first, Some(&session), &call(1, "waits"));
    assert_eq!(stream.event().expect("progress")["params"]["progress"], 1);
    assert_eq!(post(&second, Some(&session), &cancel(1)).status, 202);
    assert!(stream.event().is_none(), "a cancelled call has no answer");
    assert_eq!(post(&second, Some(&session), &cancel(99)).status, 202, "what names no call is ignored");
}

#[test]
fn stream_of_a_call_is_resumed_at_another_process_with_the_events_that_follow() {
    let cluster = Cluster::default();
    let [first, second] = two(|| server().neighbours(cluster.clone()));
    let session = session(&first);
    let mut stream = post(&first, Some(&session), &call(1, "counts"));
    assert_eq!(stream.event().expect("progress")["params"]["progress"], 1);
    let id = stream.last_event.clone().expect("an id");
    drop(stream);
    let resume = |http: &Http| http.open_as("GET", &headers(Some(&session), &[("last-event-id", &id)]), b"");
    for http in [&second, &first, &second] {
        let mut rest = resume(http);
        assert_eq!(rest.status, 200);
        assert_eq!(rest.event().expect("progress")["params"]["progress"], 2);
        assert_eq!(rest.event().expect("the result")["result"]["content"][0]["text"], "counted");
        assert!(rest.event().is_none());
    }
    for event in ["1-1", "x", &id.replace("-1", "-9")] {
        let refused = second.open_as("GET", &headers(Some(&session), &[("last-event-id", event)]), b"");
        assert_eq!(refused.status, 400, "{event}");
    }
}

#[test]
fn parked_call_is_continued_by_a_retry_at_another_process_and_may_ask_again() {
    let (cluster, backend) = (Cluster::default(), Scripted::new(TOOLS));
    let other = Scripted::new(TOOLS);
    let gate = |backend: &Scripted| {
        let server = Server::new("gate", "1").backend("far_", backend.clone());
        Client::of(server.seal_keys([[7; 32]]).neighbours(cluster.clone()))
    };
    let (first, second) = (gate(&backend), gate(&other));
    let forms = || able(json!({"elicitation": {"form": {}}}));
    let asked = first.result("tools/call", json!({"name": "far_ask", "_meta": forms()}));
    let content = |field: &str, value: &str| json!({field: {"action": "accept", "content": {field: value}}});
    let mut meta = forms();
    meta["progressToken"] = json!("later");
    let retry = json!({
        "name": "far_ask", "_meta": meta, "requestState": asked["requestState"], "inputResponses": content("name", "Ada"),
    });
    let mut events = second.open("tools/call", retry.clone()).events();
    assert_eq!(events[0]["params"]["progressToken"], "later", "{events:?}");
    let asked = events.pop().expect("an answer")["result"].take();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    assert_eq!(second.refusal("tools/call", retry), (200, -32602), "a state is good once");
    let last = json!({
        "name": "far_ask", "_meta": forms(), "requestState": asked["requestState"], "inputResponses": content("colour", "red"),
    });
    let result = second.result("tools/call", last);
    assert_eq!(result["content"][0]["text"], "Ada likes red", "{result}");
    assert_eq!([&backend, &other].map(|backend| backend.running.load(SeqCst)), [0, 0]);
}

#[test]
fn session_that_was_deleted_at_one_server_is_gone_at_others_with_the_same_store() {
    let store = Arc::new(MemorySessions::default());
    let [first, second] = two(|| server().logging().session_store(store.clone()));
    let [lonely, stranger] = two(|| server().logging());
    for (here, there, gone) in [(&first, &second, true), (&lonely, &stranger, false)] {
        let session = session(here);
        let level = json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": "error"}});
        assert_eq!(post(here, Some(&session), &level).status, 200);
        let mut stream = post(there, Some(&session), &call(2, "logs"));
        let heard = ::core::iter::from_fn(|| stream.event());
        let levels: Vec<_> = heard.filter_map(|event| Some(event["params"]["level"].as_str()?.to_owned())).collect();
        assert_eq!(levels, if gone { &["error"][..] } else { &[] }, "the level is that of the session");
        assert_eq!(here.send("DELETE", &headers(Some(&session), &[]), b"").status, 204);
        let ping = json!({"jsonrpc": "2.0", "id": 3, "method": "ping"});
        assert_eq!(post(there, Some(&session), &ping).status, if gone { 404 } else { 200 });
    }
}

#[test]
fn process_that_knows_no_others_refuses_what_belongs_to_them() {
    let [first, second] = two(server);
    let session = session(&first);
    let mut stream = post(&first, Some(&session), &call(1, "asks"));
    let question = stream.event().expect("a question");
    for message in [answer(&question), cancel(1)] {
        let (status, refusal) = refused(post(&second, Some(&session), &message));
        assert_eq!(status, 400);
        assert!(refusal["error"]["message"].as_str().expect("words").contains("affinity"), "{refusal}");
    }
    let id = stream.last_event.clone().expect("an id");
    assert_eq!(second.open_as("GET", &headers(Some(&session), &[("last-event-id", &id)]), b"").status, 400);
    let (backend, other) = (Scripted::new(TOOLS), Scripted::new(TOOLS));
    let gate =
        |backend: &Scripted| Client::of(Server::new("gate", "1").backend("far_", backend.clone()).seal_keys([[7; 32]]));
    let (first, second) = (gate(&backend), gate(&other));
    let params = || json!({"name": "far_ask", "_meta": able(json!({"elicitation": {"form": {}}}))});
    // Both processes have a parked call, and the state of one call is invalid for the other.
    let asked = first.result("tools/call", params());
    second.result("tools/call", params());
    let mut retry = params();
    retry["requestState"] = asked["requestState"].clone();
    retry["inputResponses"] = json!({"name": {"action": "decline"}});
    assert_eq!(second.refusal("tools/call", retry), (200, -32602));
}
