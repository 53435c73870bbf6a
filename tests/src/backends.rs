//! Backends: their entries are merged into one server, their answers arrive as written, and their
//! calls can ask the client while they run.

use crate::implementations::Answering;
use crate::modern::{Client, Pipe, able};
use ::core::time::Duration;
use attache_host::backend::{Answer, Backend, Backends, BackendsUpdate, Call, Entry, Kind, Publisher, Run};
use attache_host::policy::Policy;
use attache_host::{Ctx, NoArgs, Server, ServerBuilder};
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex};

/// A backend with entries that behave as their names say.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    entries: &'static [(Kind, &'static str)],
    publisher: Arc<Mutex<Option<Publisher>>>,
    pub(crate) running: Arc<AtomicUsize>,
    stopped: Arc<AtomicUsize>,
    /// The backend's record of subscriptions to its resources.
    watched: Arc<Mutex<Vec<(String, bool)>>>,
}

/// Counts a call as running until it is dropped.
struct Runs(Arc<AtomicUsize>);

impl Drop for Runs {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn raw(json: impl Into<String>) -> Box<RawValue> {
    RawValue::from_string(json.into()).expect("JSON")
}

fn text(text: &str) -> Answer {
    Answer::Result(raw(json!({"content": [{"type": "text", "text": text}]}).to_string()))
}

impl Scripted {
    pub(crate) fn new(entries: &'static [(Kind, &'static str)]) -> Self {
        Self { entries, ..Self::default() }
    }

    fn publisher(&self) -> Publisher {
        self.publisher.lock().expect("not poisoned").clone().expect("attached")
    }
}

pub(crate) fn entries(listed: &[(Kind, &str)]) -> Vec<Entry> {
    listed.iter().map(|(kind, json)| Entry::read(*kind, json).expect("a sound entry")).collect()
}

impl Backend for Scripted {
    fn attach(&self, publisher: Publisher) {
        publisher.publish(entries(self.entries));
        *self.publisher.lock().expect("not poisoned") = Some(publisher);
    }

    fn start(&self, call: Call) -> Run {
        self.running.fetch_add(1, SeqCst);
        let runs = Runs(Arc::clone(&self.running));
        Box::pin(async move {
            let _runs = runs;
            match call.name() {
                "mirror" => Answer::Result(raw(format!(
                    r#"{{"content":[],"structuredContent":{},"unknown":[1E2,12345678901234567890],"resultType":"odd","_meta":{{"a/b":1,"io.modelcontextprotocol/serverInfo":{{}}}}}}"#,
                    call.arguments()
                ))),
                "fail" => {
                    Answer::Error { code: -32123, message: "no \"luck\"".to_owned(), data: Some(raw("{\"n\":1E2}")) }
                }
                "progress" => {
                    call.progress(1.0, Some(2.0), Some("half")).await;
                    text("done")
                }
                "wait" => core::future::pending().await,
                "slow" => {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    text("done")
                }
                "panic" => panic!("on purpose"),
                "asks" => loop {
                    if let Err(reason) = asked(&call, "name").await {
                        return Answer::Failed(reason);
                    }
                },
                "ask" => {
                    let name = match asked(&call, "name").await {
                        Ok(name) => name,
                        Err(reason) => return Answer::Failed(reason),
                    };
                    call.progress(1.0, None, None).await;
                    match asked(&call, "colour").await {
                        Ok(colour) => text(&format!("{name} likes {colour}")),
                        Err(reason) => Answer::Failed(reason),
                    }
                }
                _ => Answer::Result(raw(json!({"contents": [{"uri": call.uri(), "text": "there"}]}).to_string())),
            }
        })
    }

    fn watch(&self, uri: &str, watched: bool) {
        self.watched.lock().expect("not poisoned").push((uri.to_owned(), watched));
    }

    fn stop(&self) -> core::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.stopped.fetch_add(1, SeqCst);
        })
    }
}

async fn asked(call: &Call, field: &str) -> Result<String, String> {
    let schema = json!({"type": "object", "properties": {field: {"type": "string"}}});
    let question =
        json!({"method": "elicitation/create", "params": {"mode": "form", "message": "?", "requestedSchema": schema}});
    let answers = call.ask(Map::from_iter([(field.to_owned(), question)])).await?;
    Ok(answers[field]["content"][field].as_str().unwrap_or("nothing").to_owned())
}

pub(crate) const TOOLS: &[(Kind, &str)] = &[
    (
        Kind::Tool,
        r#"{"name":"mirror","title":"M","inputSchema":{"type":"object","minimum":1E2},"execution":{},"x":12345678901234567890}"#,
    ),
    (Kind::Tool, r#"{"name":"fail","inputSchema":{"type":"object"}}"#),
    (Kind::Tool, r#"{"name":"progress","inputSchema":{"type":"object"}}"#),
    (Kind::Tool, r#"{"name":"ask","inputSchema":{"type":"object"}}"#),
    (Kind::Tool, r#"{"name":"wait","inputSchema":{"type":"object"}}"#),
    (Kind::Tool, r#"{"name":"panic","inputSchema":{"type":"object"}}"#),
    (Kind::Resource, r#"{"uri":"at://there","name":"there"}"#),
    (Kind::Template, r#"{"uriTemplate":"at://there/{id}","name":"those"}"#),
];

fn server(backend: &Scripted) -> ServerBuilder {
    Server::new("gate", "1")
        .tool("own", "Runs here", |_: NoArgs, _: Ctx| async { "here" })
        .backend("far_", backend.clone())
}

fn names(client: &Client) -> Vec<String> {
    let list = client.result("tools/list", json!({}));
    let tools = list["tools"].as_array().expect("a list");
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

fn legacy(client: &Client, session: Option<&str>, message: &Value) -> Answering {
    let mut headers = vec![
        ("host", "localhost"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    headers.extend(session.map(|session| ("mcp-session-id", session)));
    client.0.open(&headers, message.to_string().as_bytes())
}

#[test]
fn entries_of_a_backend_are_listed_under_its_prefix_with_every_member_as_it_was_written() {
    let client = Client::of(server(&Scripted::new(TOOLS)));
    assert_eq!(names(&client), ["own", "far_mirror", "far_fail", "far_progress", "far_ask", "far_wait", "far_panic"]);
    let list = String::from_utf8(client.open("tools/list", json!({})).rest()).expect("UTF-8");
    let listed =
        r#"{"name":"far_mirror","inputSchema":{"type":"object","minimum":1E2},"x":12345678901234567890,"title":"M"}"#;
    assert!(list.contains(listed), "{list}");
}

#[test]
fn result_and_error_of_a_backend_arrive_as_they_were_written_but_for_what_the_protocol_reserves() {
    let client = Client::of(server(&Scripted::new(TOOLS)));
    let call = |name: &str| {
        let params = json!({"name": name, "arguments": {"n": 1}});
        String::from_utf8(client.open("tools/call", params).rest()).expect("UTF-8")
    };
    assert_eq!(
        call("far_mirror"),
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"n":1},"unknown":[1E2,12345678901234567890],"resultType":"complete","_meta":{"a/b":1,"io.modelcontextprotocol/serverInfo":{"name":"gate","version":"1"}}}}"#
    );
    assert_eq!(
        call("far_fail"),
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32123,"message":"no \"luck\"","data":{"n":1E2}}}"#
    );
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "far_mirror", "arguments": {}}});
    let answer = legacy(&client, None, &message).rest();
    assert_eq!(
        String::from_utf8(answer).expect("UTF-8"),
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{},"unknown":[1E2,12345678901234567890],"_meta":{"a/b":1}}}"#
    );
}

#[test]
fn resource_and_template_of_a_backend_are_read_with_the_hints_that_a_modern_client_needs() {
    let client = Client::of(server(&Scripted::new(TOOLS)));
    for uri in ["at://there", "at://there/7"] {
        let result = client.result("resources/read", json!({"uri": uri}));
        assert_eq!(result["contents"][0]["uri"], uri);
        assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(0), &json!("private")));
    }
}

#[test]
fn backend_that_panics_ends_this_call_and_nothing_else() {
    let client = Client::of(server(&Scripted::new(TOOLS)));
    let result = client.result("tools/call", json!({"name": "far_panic"}));
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(client.result("tools/call", json!({"name": "own"}))["content"][0]["text"], "here");
}

#[test]
fn call_of_a_modern_client_is_parked_while_it_asks_and_its_retry_continues_it() {
    let backend = Scripted::new(TOOLS);
    let client = Client::of(server(&backend));
    let forms = || able(json!({"elicitation": {"form": {}}}));
    let first = client.result("tools/call", json!({"name": "far_ask", "_meta": forms()}));
    assert_eq!(first["resultType"], "input_required", "{first}");
    assert_eq!(first["inputRequests"]["name"]["method"], "elicitation/create");
    assert_eq!(backend.running.load(SeqCst), 1, "it stays alive");
    let answer = |field: &str, value: &str| json!({field: {"action": "accept", "content": {field: value}}});
    let mut meta = forms();
    meta["progressToken"] = json!("later");
    let retry = json!({
        "name": "far_ask", "_meta": meta, "requestState": first["requestState"], "inputResponses": answer("name", "Ada"),
    });
    let mut events = client.open("tools/call", retry.clone()).events();
    assert_eq!(events[0]["params"]["progressToken"], "later", "progress goes to the request that is open");
    let second = events.pop().expect("an answer")["result"].take();
    assert_eq!(second["resultType"], "input_required", "{second}");
    let again = client.error("tools/call", retry);
    assert_eq!((again.0, &again.1["code"]), (200, &json!(-32602)), "a state is good once: {again:?}");
    let last = json!({
        "name": "far_ask", "_meta": forms(), "requestState": second["requestState"], "inputResponses": answer("colour", "red"),
    });
    let result = client.result("tools/call", last);
    assert_eq!(result["content"][0]["text"], "Ada likes red", "{result}");
    assert_eq!(backend.running.load(SeqCst), 0);
}

#[test]
fn parked_call_is_continued_by_its_own_request_alone() {
    let client = Client::of(server(&Scripted::new(TOOLS)));
    let forms = || able(json!({"elicitation": {}}));
    let first = client.result("tools/call", json!({"name": "far_ask", "_meta": forms()}));
    for (name, arguments) in [("far_mirror", json!({})), ("far_ask", json!({"other": 1}))] {
        let params = json!({
            "name": name, "arguments": arguments, "_meta": forms(), "requestState": first["requestState"], "inputResponses": {},
        });
        assert_eq!(client.refusal("tools/call", params), (200, -32602), "{name}");
    }
}

#[test]
fn one_caller_parks_a_bounded_number_of_calls() {
    let backend = Scripted::new(TOOLS);
    let client = Client::of(server(&backend));
    let params = || json!({"name": "far_ask", "_meta": able(json!({"elicitation": {}}))});
    let most = attache_host::limits::PARKED_BY_CALLER;
    for _ in 0..most {
        assert_eq!(client.result("tools/call", params())["resultType"], "input_required");
    }
    assert_eq!(client.refusal("tools/call", params()), (200, -32603));
    assert_eq!(backend.running.load(SeqCst), most, "the one too many was dropped");
}

#[test]
fn client_that_cannot_be_asked_is_not_asked() {
    let client = Client::of(server(&Scripted::new(TOOLS)));
    let result = client.result("tools/call", json!({"name": "far_ask"}));
    assert_eq!(result["isError"], true, "{result}");
}

#[test]
fn legacy_client_is_asked_on_the_stream_of_the_call_which_goes_on_with_the_answer() {
    let backend = Scripted::new(TOOLS);
    let client = Client::of(server(&backend));
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "c", "version": "1"},
    }});
    let hello = legacy(&client, None, &hello);
    let session = hello.header("mcp-session-id").expect("a session").to_owned();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "far_ask"}});
    let mut stream = legacy(&client, Some(&session), &call);
    for (field, value) in [("name", "Ada"), ("colour", "red")] {
        let question = stream.event().expect("a question");
        assert_eq!(question["method"], "elicitation/create", "{question}");
        let answer =
            json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {field: value}}});
        assert_eq!(legacy(&client, Some(&session), &answer).status, 202);
    }
    let answer = stream.event().expect("the answer");
    assert_eq!(answer["result"]["content"][0]["text"], "Ada likes red", "{answer}");
    let mut stream = legacy(&client, Some(&session), &call);
    let question = stream.event().expect("a question");
    let error = json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "closed"}});
    assert_eq!(legacy(&client, Some(&session), &error).status, 202);
    let answer = stream.event().expect("the answer");
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(backend.running.load(SeqCst), 0);
}

#[tokio::test]
async fn lists_change_as_a_backend_publishes_and_subscribers_are_notified_of_the_changed_lists() {
    let backend = Scripted::new(TOOLS);
    let mut pipe = Pipe::to(server(&backend));
    pipe.ask(
        1,
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true, "resourcesListChanged": true, "promptsListChanged": true}}),
    )
    .await;
    assert_eq!(pipe.hear().await["method"], "notifications/subscriptions/acknowledged");
    let tools = [(Kind::Tool, r#"{"name":"mirror","inputSchema":{"type":"object"}}"#)];
    let taken = backend.publisher().publish(entries(&[&tools[..], &TOOLS[6..]].concat()));
    assert!(taken.is_empty());
    assert_eq!(pipe.hear().await["method"], "notifications/tools/list_changed");
    backend.publisher().publish(entries(&[&tools[..], &TOOLS[6..]].concat()));
    backend.publisher().publish(Vec::new());
    let mut methods = [pipe.hear().await, pipe.hear().await].map(|message| message["method"].clone());
    methods.sort_by_key(Value::to_string);
    assert_eq!(methods, ["notifications/resources/list_changed", "notifications/tools/list_changed"]);
}

#[test]
fn name_that_is_taken_is_left_out_and_reported_and_the_first_backend_keeps_it() {
    let (first, second) = (Scripted::new(TOOLS), Scripted::new(&[]));
    let server = Server::new("gate", "1")
        .tool("mirror", "Runs here", |_: NoArgs, _: Ctx| async { "here" })
        .backend("", first.clone())
        .backend("", second.clone());
    let client = Client::of(server);
    let taken = second.publisher().publish(entries(&TOOLS[..2]));
    let told: Vec<_> = taken.iter().map(ToString::to_string).collect();
    assert_eq!(told, [r#"there is already a tool "mirror""#, r#"there is already a tool "fail""#]);
    assert_eq!(client.result("tools/call", json!({"name": "mirror"}))["content"][0]["text"], "here");
    first.publisher().publish(Vec::new());
    assert!(second.publisher().publish(entries(&TOOLS[1..2])).is_empty());
    assert_eq!(names(&client), ["mirror", "fail"]);
}

#[test]
fn entry_of_two_backends_is_that_of_the_first_one_whenever_it_is_there() {
    let (first, second) = (Scripted::new(&[]), Scripted::new(&[]));
    let client = Client::of(Server::new("gate", "1").backend("", first.clone()).backend("", second.clone()));
    let titles = |client: &Client| {
        let list = client.result("resources/list", json!({}));
        let resources = list["resources"].as_array().cloned().unwrap_or_default();
        resources.iter().map(|resource| resource["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let named = |name: &str| entries(&[(Kind::Resource, &*format!(r#"{{"uri":"a:b","name":"{name}"}}"#))]);
    assert!(second.publisher().publish(named("second")).is_empty());
    assert_eq!(titles(&client), ["second"]);
    // The first backend is connected later, and has the URI all the same.
    assert!(first.publisher().publish(named("first")).is_empty());
    assert_eq!(titles(&client), ["first"]);
    let hidden: Vec<_> = second.publisher().hidden().iter().map(ToString::to_string).collect();
    assert_eq!(hidden, [r#"there is already a resource "a:b""#]);
    // When the first backend is down, the second one has the URI again.
    first.publisher().publish(Vec::new());
    assert_eq!(titles(&client), ["second"]);
    assert!(second.publisher().hidden().is_empty());
}

#[tokio::test]
async fn backend_that_is_removed_takes_its_entries_along_and_is_stopped() {
    let backend = Scripted::new(TOOLS);
    let server = server(&backend);
    let backends: Backends = server.backends();
    let mut pipe = Pipe::to(server);
    backends.remove(&backend.publisher()).await;
    pipe.ask(1, "tools/list", json!({})).await;
    let list = pipe.hear().await;
    assert_eq!(list["result"]["tools"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(backend.stopped.load(SeqCst), 1);
    backends.stop().await;
    assert_eq!(backend.stopped.load(SeqCst), 1, "once");
}

#[tokio::test(start_paused = true)]
async fn backend_that_is_removed_is_stopped_when_its_calls_have_ended_or_after_the_grace() {
    let backend = Scripted::new(&[
        (Kind::Tool, r#"{"name":"slow","inputSchema":{"type":"object"}}"#),
        (Kind::Tool, r#"{"name":"wait","inputSchema":{"type":"object"}}"#),
    ]);
    for (tool, seconds) in [("far_slow", 3), ("far_wait", attache_host::limits::STOP_GRACE.as_secs())] {
        let backend = Scripted { running: Arc::default(), stopped: Arc::default(), ..backend.clone() };
        let server = server(&backend);
        let backends: Backends = server.backends();
        let mut pipe = Pipe::to(server);
        pipe.ask(1, "tools/call", json!({"name": tool})).await;
        until(|| backend.running.load(SeqCst) == 1).await;
        let begun = tokio::time::Instant::now();
        backends.remove(&backend.publisher()).await;
        assert_eq!(backend.stopped.load(SeqCst), 1, "{tool}");
        let waited = begun.elapsed();
        assert!(waited > Duration::from_secs(seconds - 1) && waited < Duration::from_secs(seconds + 1), "{tool}");
        if tool == "far_slow" {
            assert_eq!(pipe.hear().await["result"]["content"][0]["text"], "done");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn staged_backend_replaces_another_at_once_and_calls_of_the_old_one_run_to_their_end() {
    const OLD: &[(Kind, &str)] = &[
        (Kind::Tool, r#"{"name":"slow","title":"old","inputSchema":{"type":"object"}}"#),
        (Kind::Resource, r#"{"uri":"at://there","name":"there"}"#),
    ];
    const NEW: &[(Kind, &str)] = &[
        (Kind::Tool, r#"{"name":"slow","title":"new","inputSchema":{"type":"object"}}"#),
        (Kind::Resource, r#"{"uri":"at://there","name":"there"}"#),
    ];
    let (old, new) = (Scripted::new(OLD), Scripted::new(NEW));
    let server = Server::new("s", "1");
    let backends: Backends = server.backends();
    let first = backends.add("", Arc::new(old.clone()));
    let mut pipe = Pipe::to(server);
    let titles = async |pipe: &mut Pipe| {
        pipe.ask(9, "tools/list", json!({})).await;
        let list = loop {
            let heard = pipe.hear().await;
            if heard["id"] == 9 {
                break heard;
            }
        };
        let tools = list["result"]["tools"].as_array().expect("a list");
        tools.iter().map(|tool| tool["title"].as_str().expect("a title").to_owned()).collect::<Vec<_>>()
    };
    let listen = json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": ["at://there"]}});
    pipe.ask(1, "subscriptions/listen", listen).await;
    assert_eq!(pipe.hear().await["method"], "notifications/subscriptions/acknowledged");
    pipe.ask(2, "tools/call", json!({"name": "slow"})).await;
    until(|| old.running.load(SeqCst) == 1).await;
    let staged = backends.stage("", Arc::new(new.clone()));
    assert_eq!(titles(&mut pipe).await, ["old"], "a staged backend is not seen");
    let policies = vec![(&staged, Policy::new())];
    let update = BackendsUpdate { policies, removed: vec![&first], ..BackendsUpdate::default() };
    assert_eq!(backends.conflicts(&update), [vec![]]);
    let alone = BackendsUpdate { removed: Vec::new(), ..update.clone() };
    assert_eq!(backends.conflicts(&alone)[0].len(), 2, "without the removal, the names are taken");
    backends.update(&update);
    assert_eq!(pipe.hear().await["method"], "notifications/tools/list_changed");
    assert_eq!(titles(&mut pipe).await, ["new"]);
    old.publisher().publish(entries(OLD));
    assert_eq!(titles(&mut pipe).await, ["new"], "a removed backend publishes nothing");
    let watched = |backend: &Scripted| backend.watched.lock().expect("not poisoned").clone();
    let there = "at://there".to_owned();
    assert_eq!(watched(&old), [(there.clone(), true), (there.clone(), false)]);
    assert_eq!(watched(&new), [(there, true)], "subscriptions follow the resource");
    let removing = tokio::spawn(async move { backends.remove_within(&first, Duration::from_secs(60)).await });
    loop {
        let heard = pipe.hear().await;
        if heard["id"] == 2 {
            assert_eq!(heard["result"]["content"][0]["text"], "done", "{heard}");
            break;
        }
    }
    removing.await.expect("no panic");
    assert_eq!((old.stopped.load(SeqCst), new.stopped.load(SeqCst)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn legacy_call_that_asks_again_and_again_ends_though_each_question_extends_its_time() {
    let asks = |_: NoArgs, ctx: Ctx| async move {
        for number in 0.. {
            let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
            ctx.ask(&format!("question {number}"), attache_host::Ask::form("?", schema))?;
        }
        Ok::<_, attache_host::ToolError>("never")
    };
    let server = Server::new("s", "1").tool("asks", "d", asks);
    let mut pipe = Pipe::to(server.backend("far_", Scripted::new(&[(Kind::Tool, ASKS)])));
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "c", "version": "1"},
    }});
    pipe.say(&hello).await;
    pipe.hear().await;
    for (id, tool) in ["asks", "far_asks"].into_iter().enumerate() {
        let begun = tokio::time::Instant::now();
        pipe.say(&json!({"jsonrpc": "2.0", "id": id + 1, "method": "tools/call", "params": {"name": tool}})).await;
        let error = loop {
            let mut message = pipe.hear().await;
            if message["method"] != "elicitation/create" {
                break message["error"]["message"].take();
            }
            // Just in time, each time.
            tokio::time::sleep(attache_host::limits::ANSWERS - Duration::from_secs(60)).await;
            let result = json!({"action": "accept", "content": {"name": "Ada"}});
            pipe.say(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result})).await;
        };
        assert!(
            error.as_str().is_some_and(|error| error.contains("longer than this server allows")),
            "{tool}: {error}"
        );
        let most = attache_host::limits::CALL_TIME + attache_host::limits::ANSWERS_TOTAL;
        let waited = begun.elapsed();
        assert!(
            waited > most - attache_host::limits::ANSWERS && waited < most + attache_host::limits::ANSWERS,
            "{waited:?}"
        );
    }
}

const ASKS: &str = r#"{"name":"asks","inputSchema":{"type":"object"}}"#;

#[tokio::test]
async fn backend_is_told_of_the_first_and_the_last_subscription_to_its_resources() {
    let (backend, other) = (Scripted::new(TOOLS), Scripted::new(&[]));
    let mut pipe = Pipe::to(server(&backend).backend("", other.clone()));
    let told = || backend.watched.lock().expect("not poisoned").clone();
    let uris = ["at://there", "at://there/7", "no:where"];
    for id in [1, 2] {
        pipe.ask(id, "subscriptions/listen", json!({"notifications": {"resourceSubscriptions": uris}})).await;
        assert_eq!(pipe.hear().await["method"], "notifications/subscriptions/acknowledged");
    }
    let all = |watched| uris[..2].iter().map(|uri| ((*uri).to_owned(), watched)).collect::<Vec<_>>();
    assert_eq!(told(), all(true), "not twice, and nothing that it does not offer");
    for id in [1, 2] {
        assert_eq!(told().len(), 2, "one subscription is left");
        pipe.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})).await;
        pipe.ask(id + 10, "tools/list", json!({})).await;
        while pipe.hear().await["id"] != id + 10 {}
    }
    until(|| told().len() == 4).await;
    assert_eq!(told()[2..], all(false));
    assert!(other.watched.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn call_that_is_cancelled_is_dropped() {
    let backend = Scripted::new(TOOLS);
    let mut pipe = Pipe::to(server(&backend));
    pipe.ask(1, "tools/call", json!({"name": "far_wait"})).await;
    until(|| backend.running.load(SeqCst) == 1).await;
    pipe.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})).await;
    until(|| backend.running.load(SeqCst) == 0).await;
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..3000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 30 s");
}

#[test]
fn entry_that_no_client_could_use_is_refused_with_the_reason() {
    for (kind, json, reason) in [
        (Kind::Tool, r#"{"inputSchema":{"type":"object"}}"#, "name is missing"),
        (Kind::Tool, r#"{"name":"a"}"#, "inputSchema of \"a\" must have the type object"),
        (
            Kind::Tool,
            r#"{"name":"a","inputSchema":{"type":"string"}}"#,
            "inputSchema of \"a\" must have the type object",
        ),
        (
            Kind::Tool,
            r#"{"name":"a","inputSchema":{"type":"object","properties":{"b":{"type":"array","x-mcp-header":"B"}}}}"#,
            "tool \"a\": x-mcp-header \"B\" of /b is on an argument that is not a string, an integer or a boolean",
        ),
        (Kind::Resource, r#"{"name":"a"}"#, "uri is missing"),
        (Kind::Template, r#"{"uri":"a:b"}"#, "uriTemplate is missing"),
    ] {
        assert_eq!(Entry::read(kind, json).expect_err(json).to_string(), reason);
    }
    assert!(Entry::read(Kind::Prompt, "[]").is_err());
}
