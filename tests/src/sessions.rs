//! Legacy sessions over HTTP: the lifetime of session ids, and the questions, notifications and
//! replay in a session.

use crate::implementations::{Answering, Http, Response};
use ::core::time::Duration;
use attache_host::observe::Metrics;
use attache_host::{Ask, Ctx, Level, Limits, NoArgs, Resource, Server, ServerBuilder, ToolError, UserPage};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

const JSON: [(&str, &str); 2] = [("host", "localhost"), ("content-type", "application/json")];

/// A server with tools that behave as their descriptions say.
fn server(stopped: &Arc<Notify>) -> ServerBuilder {
    let stopped = Arc::clone(stopped);
    Server::new("sessions", "1")
        .logging()
        .subscriptions()
        .tool("echo", "Answers at once", |_: NoArgs, _: Ctx| async { "echo" })
        .tool("logs", "Logs twice", |_: NoArgs, ctx: Ctx| async move {
            ctx.log(Level::Debug, "fine").await;
            ctx.log(Level::Error, "coarse").await;
            "done"
        })
        .tool("waits", "Waits until it is stopped", move |_: NoArgs, ctx: Ctx| {
            let told = Told(Arc::clone(&stopped));
            async move {
                ctx.log(Level::Error, "waiting").await;
                ::core::future::pending::<()>().await;
                drop(told);
            }
        })
        .tool("asks", "Asks twice", |_: NoArgs, ctx: Ctx| async move {
            let form = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
            let [first, roots] = ctx.ask_all([("who", Ask::form("Who?", form)), ("roots", Ask::Roots)])?;
            let words = ctx.ask("words", Ask::sample("Say hello", 10))?;
            let [name, uri, said] = [&first["content"]["name"], &roots["roots"][0]["uri"], &words["content"]["text"]]
                .map(ToString::to_string);
            Ok::<_, ToolError>(format!("{name} {uri} {said}"))
        })
        .tool("slow", "Says nothing for a while", |_: NoArgs, _: Ctx| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "slow"
        })
        .tool("sign_in", "Sends a person to sign in", |_: NoArgs, ctx: Ctx| async move {
            let page = UserPage::new("visit-7", "Sign in", "https://example.com/sign-in");
            Err::<(), _>(ctx.require_page(page))
        })
        .tool("page", "Has a page opened", |_: NoArgs, ctx: Ctx| async move {
            ctx.ask("page", Ask::Url { message: "Open it".into(), url: "https://example.com/".into() })?;
            Ok::<_, ToolError>("opened")
        })
        .with_resource(Resource::new("at://one", "one", "text/plain", |_, _| async { "one" }))
}

/// Notifies when it is dropped.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A client with a session.
struct Client {
    http: Arc<Http>,
    session: String,
    version: &'static str,
}

impl Client {
    fn of(server: ServerBuilder, version: &'static str) -> Self {
        Self::at(Arc::new(Http::start(server)), version)
    }

    fn at(http: Arc<Http>, version: &'static str) -> Self {
        let hello = json!({
            "protocolVersion": version, "clientInfo": {"name": "t", "version": "1"},
            "capabilities": {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}},
        });
        let body = request(0, "initialize", hello);
        let answer = http.open(&JSON, &body);
        let session = answer.header("mcp-session-id").expect("a session id").to_owned();
        let answer: Value = serde_json::from_slice(&answer.rest()).expect("JSON");
        assert_eq!(answer["result"]["protocolVersion"], version);
        let client = Self { http, session, version };
        assert_eq!(client.post(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).0, 202);
        client
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers = JSON.to_vec();
        headers.push(("mcp-session-id", &self.session));
        // Revisions before 2025-06-18 do not have this header.
        if self.version >= "2025-06-18" {
            headers.push(("mcp-protocol-version", self.version));
        }
        headers
    }

    fn post(&self, message: Value) -> (u16, Value) {
        let Response { status, body } = self.http.post(&self.headers(), message.to_string().as_bytes());
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn ask(&self, method: &str, params: Value) -> (u16, Value) {
        let body = request(1, method, params);
        self.post(serde_json::from_slice(&body).expect("JSON"))
    }

    fn open(&self, method: &str, params: Value) -> Answering {
        self.http.open(&self.headers(), &request(1, method, params))
    }

    fn get(&self, more: &[(&str, &str)]) -> Answering {
        let mut headers = self.headers();
        headers.push(("accept", "text/event-stream"));
        headers.extend(more);
        self.http.open_as("GET", &headers, b"")
    }

    fn delete(&self) -> u16 {
        self.http.send("DELETE", &self.headers(), b"").status
    }

    fn answer(&self, question: &Value, result: Value) -> u16 {
        self.post(json!({"jsonrpc": "2.0", "id": question["id"], "result": result})).0
    }
}

fn request(id: u64, method: &str, params: Value) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string().into()
}

fn call(name: &str) -> Value {
    json!({"name": name})
}

const OLD: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

// LHTTP-07, LHTTP-09, LHTTP-10
#[test]
fn session_serves_until_it_is_deleted_and_is_gone_afterwards() {
    for version in OLD {
        let client = Client::of(server(&Arc::default()), version);
        assert!(client.session.bytes().all(|byte| matches!(byte, 0x21..=0x7e)));
        assert_eq!(client.ask("tools/call", call("echo")).0, 200, "{version}");
        assert_eq!(client.delete(), 204, "{version}");
        assert_eq!(client.ask("tools/call", call("echo")).0, 404, "{version}");
        assert_eq!(client.post(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).0, 404);
        assert_eq!(client.get(&[]).status, 404, "{version}");
        assert_eq!(client.delete(), 404, "{version}");
    }
}

// LHTTP-08, LHTTP-09, LHTTP-11
#[test]
fn session_id_that_was_never_issued_is_not_found() {
    let client = Client::of(server(&Arc::default()), "2025-11-25");
    let other = Client::of(server(&Arc::default()), "2025-11-25");
    let mut tampered = client.session.clone();
    tampered.replace_range(4..5, if &tampered[4..5] == "A" { "B" } else { "A" });
    for id in ["", "x", &tampered, &client.session[1..], &other.session] {
        let wrong = Client { http: Arc::clone(&client.http), session: id.to_owned(), version: client.version };
        let (status, answer) = wrong.ask("tools/list", json!({}));
        assert_eq!((status, &answer["error"]["code"]), (404, &json!(-32600)), "{id:?}");
        assert_eq!(answer["id"], 1, "the id is echoed where it can be read");
        let body = "nonsense".as_bytes();
        assert_eq!(wrong.http.post(&wrong.headers(), body).status, 404, "whatever the body is");
        // The client has lost its session, and opens a new one but still sends the old id.
        let hello =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let opened = wrong.open("initialize", hello);
        assert_eq!(opened.status, 200, "{id:?}");
        assert!(opened.header("mcp-session-id").is_some_and(|new| new != id));
        assert_eq!(wrong.get(&[]).status, 404, "{id:?}");
    }
}

#[test]
fn request_that_needs_a_session_is_refused_without_one() {
    let http = Http::start(server(&Arc::default()));
    let mut headers = JSON.to_vec();
    headers.push(("mcp-protocol-version", "2025-11-25"));
    for (method, params) in [
        ("logging/setLevel", json!({"level": "debug"})),
        ("resources/subscribe", json!({"uri": "at://one"})),
        ("resources/unsubscribe", json!({"uri": "at://one"})),
    ] {
        let Response { status, body } = http.post(&headers, &request(1, method, params));
        assert_eq!(status, 400, "{method}: {}", String::from_utf8_lossy(&body));
        assert!(String::from_utf8_lossy(&body).contains("Mcp-Session-Id"));
    }
    for verb in ["GET", "DELETE"] {
        assert_eq!(http.send(verb, &headers, b"").status, 400, "{verb}");
        // Nothing shows that the request is of a legacy client.
        assert_eq!(http.send(verb, &JSON, b"").status, 405, "{verb}");
    }
}

// LHTTP, "Protocol Version Header"
#[test]
fn header_that_names_another_version_than_the_session_is_refused() {
    let client = Client::of(server(&Arc::default()), "2025-06-18");
    for (version, status) in
        [("2025-06-18", 200), ("2025-11-25", 400), ("2025-03-26", 400), ("2024-11-05", 400), ("2099-01-01", 400)]
    {
        let mut headers = JSON.to_vec();
        headers.extend([("mcp-session-id", client.session.as_str()), ("mcp-protocol-version", version)]);
        assert_eq!(client.http.post(&headers, &request(1, "ping", json!({}))).status, status, "{version}");
    }
    assert_eq!(client.ask("initialize", json!({})).1["error"]["code"], -32600, "a second handshake");
}

// LOG-01
#[test]
fn session_gets_log_messages_of_its_level_and_above_and_other_sessions_get_none() {
    let client = Client::of(server(&Arc::default()), "2025-06-18");
    let other = Client::at(Arc::clone(&client.http), "2025-06-18");
    assert_eq!(client.open("tools/call", call("logs")).header("content-type"), Some("application/json"));
    for (level, heard) in [("debug", 2), ("info", 1), ("error", 1), ("emergency", 0)] {
        assert_eq!(client.ask("logging/setLevel", json!({"level": level})).1["result"], json!({}));
        let answer = client.open("tools/call", call("logs"));
        let messages = if heard == 0 { vec![] } else { answer.events() };
        let logs: Vec<_> = messages.iter().filter(|message| message["method"] == "notifications/message").collect();
        assert_eq!(logs.len(), heard, "{level}");
        assert!(logs.iter().all(|message| message["params"]["data"].is_string()));
        assert_eq!(other.open("tools/call", call("logs")).header("content-type"), Some("application/json"));
    }
    assert_eq!(client.ask("logging/setLevel", json!({"level": "loud"})).1["error"]["code"], -32602);
    assert_eq!(client.ask("logging/setLevel", json!({})).1["error"]["code"], -32602);
}

// CAN-01, CAN-02
#[test]
fn call_is_stopped_by_a_notification_and_not_by_a_disconnect() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let stopped = Arc::new(Notify::new());
    let within = |ms| {
        let waiting = async { tokio::time::timeout(Duration::from_millis(ms), stopped.notified()).await };
        runtime.block_on(waiting).is_ok()
    };
    let client = Client::of(server(&stopped), "2025-11-25");
    let other = Client::at(Arc::clone(&client.http), "2025-11-25");
    client.ask("logging/setLevel", json!({"level": "error"}));
    let mut stream = client.open("tools/call", call("waits"));
    assert_eq!(stream.event().expect("a message")["params"]["data"], "waiting");
    drop(stream);
    assert!(!within(100), "it goes on");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(
        client.ask("tools/call", call("waits")).1["error"]["message"],
        "Member 'id' is that of a request that still runs"
    );
    assert_eq!(other.post(cancel.clone()).0, 202);
    assert!(!within(100), "another session has other calls");
    assert_eq!(client.post(cancel.clone()).0, 202);
    assert!(within(5000), "it is stopped");
    assert_eq!(client.post(cancel).0, 202, "what does not run any more is ignored");
    // An open stream ends without an answer.
    let mut stream = client.open("tools/call", call("waits"));
    stream.event();
    client.post(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}));
    assert_eq!(stream.event(), None);
    // Every call ends with its session.
    assert!(within(5000));
    let _stream = client.open("tools/call", call("waits"));
    assert_eq!(client.delete(), 204);
    assert!(within(5000));
}

// ELI-01, LHTTP-02
#[test]
fn questions_go_out_on_the_stream_of_their_call_and_answers_find_it() {
    for version in ["2025-06-18", "2025-11-25"] {
        let client = Client::of(server(&Arc::default()), version);
        let mut stream = client.open("tools/call", call("asks"));
        let [who, roots] = [stream.event(), stream.event()].map(|question| question.expect("a question"));
        let (who, roots) = if who["method"] == "roots/list" { (roots, who) } else { (who, roots) };
        assert_eq!(who["method"], "elicitation/create");
        assert_eq!(who["params"]["mode"], if version == "2025-11-25" { json!("form") } else { Value::Null });
        assert_eq!(roots["method"], "roots/list");
        let stranger = Client::at(Arc::clone(&client.http), version);
        let name = json!({"action": "accept", "content": {"name": "Ada"}});
        assert_eq!(stranger.answer(&who, name.clone()), 400, "asked of another session");
        assert_eq!(client.answer(&json!({"id": 999}), name.clone()), 400, "never asked");
        assert_eq!(client.answer(&who, name.clone()), 202);
        assert_eq!(client.answer(&who, name), 400, "answered before");
        assert_eq!(client.answer(&roots, json!({"roots": [{"uri": "file:///a"}]})), 202);
        let words = stream.event().expect("a question");
        assert_eq!(words["method"], "sampling/createMessage");
        assert_eq!(words["params"]["maxTokens"], 10);
        let said = json!({"role": "assistant", "content": {"type": "text", "text": "hello"}, "model": "m"});
        assert_eq!(client.answer(&words, said), 202);
        let answer = stream.event().expect("an answer");
        assert_eq!(answer["result"]["content"][0]["text"], r#""Ada" "file:///a" "hello""#, "{answer}");
        assert_eq!(stream.event(), None);
    }
}

#[test]
fn question_that_the_client_refuses_fails_its_call() {
    let client = Client::of(server(&Arc::default()), "2025-11-25");
    let mut stream = client.open("tools/call", call("page"));
    let page = stream.event().expect("a question");
    assert_eq!(page["params"]["mode"], "url");
    assert!(page["params"]["elicitationId"].is_string());
    let refusal = json!({"code": -1, "message": "no pages here"});
    assert_eq!(client.post(json!({"jsonrpc": "2.0", "id": page["id"], "error": refusal})).0, 202);
    let answer = stream.event().expect("an answer");
    assert_eq!(answer["result"]["isError"], true);
    assert!(answer["result"]["content"][0]["text"].as_str().expect("text").contains("no pages here"));
}

#[test]
fn answer_without_words_or_with_none_of_what_was_asked_fails_its_call_in_words() {
    let client = Client::of(server(&Arc::default()), "2025-11-25");
    for (answer, says) in [
        (json!({"error": null}), "it gave no reason"),
        (json!({"error": {}}), "it gave no reason"),
        (json!({"error": {"code": -1}}), "it gave no reason"),
        (json!({"error": {"code": -1, "message": ""}}), "it gave no reason"),
        (json!({"error": {"code": -1, "message": " \n"}}), "it gave no reason"),
        (json!({"error": {"code": -1, "message": 7}}), "it gave no reason"),
        (json!({"error": "no", "result": null}), "it gave no reason"),
        (json!({"error": {"code": -1, "message": "not now"}, "result": null}), "not now"),
        (json!({"result": null}), "action must be accept, decline or cancel"),
        (json!({"result": {}}), "action must be accept, decline or cancel"),
        (json!({"result": [], "error": null}), "action must be accept, decline or cancel"),
        (json!({"result": "accept"}), "action must be accept, decline or cancel"),
    ] {
        let mut stream = client.open("tools/call", call("page"));
        let page = stream.event().expect("a question");
        let mut message = json!({"jsonrpc": "2.0", "id": page["id"]});
        message.as_object_mut().expect("an object").extend(answer.as_object().expect("an object").clone());
        assert_eq!(client.post(message.clone()).0, 202, "{message}");
        let ended = stream.event().expect("an answer");
        let said = ended["result"]["content"][0]["text"].as_str().or(ended["error"]["message"].as_str());
        assert!(said.is_some_and(|said| said.contains(says)), "{message}: {ended}");
    }
}

#[test]
fn client_gets_no_question_that_its_revision_does_not_know() {
    for (version, tool) in [("2025-06-18", "page"), ("2025-03-26", "asks"), ("2024-11-05", "asks")] {
        let client = Client::of(server(&Arc::default()), version);
        let (status, answer) = client.ask("tools/call", call(tool));
        assert_eq!((status, &answer["result"]["isError"]), (200, &json!(true)), "{version} {tool}: {answer}");
    }
}

// LHTTP-01, LHTTP-04, SUB-01
#[test]
fn open_stream_gets_changes_of_lists_and_of_subscribed_resources() {
    let server = server(&Arc::default());
    let changes = server.changes();
    let client = Client::of(server, "2025-11-25");
    let mut stream = client.get(&[]);
    assert_eq!((stream.status, stream.header("content-type")), (200, Some("text/event-stream")));
    // A client that opens another stream has lost the first one: each message goes to one stream,
    // the newest.
    let newest = client.get(&[]);
    assert_eq!(newest.status, 200);
    assert_eq!(stream.event(), None, "the older one has ended");
    let mut stream = newest;
    changes.resource("at://one");
    changes.tools();
    assert_eq!(stream.event(), Some(json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})));
    let it = json!({"uri": "at://one"});
    assert_eq!(client.ask("resources/subscribe", it.clone()).1["result"], json!({}));
    changes.resource("at://one");
    let updated = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": it});
    assert_eq!(stream.event(), Some(updated));
    assert_eq!(client.ask("resources/unsubscribe", it).1["result"], json!({}));
    changes.resource("at://one");
    changes.prompts();
    assert_eq!(stream.event().expect("a message")["method"], "notifications/prompts/list_changed");
    let unknown = client.ask("resources/subscribe", json!({"uri": "at://none"})).1;
    assert_eq!(unknown["error"]["code"], -32002);
    assert_eq!(client.delete(), 204);
    assert_eq!(stream.event(), None, "it ends with its session");
}

// LHTTP-05, LHTTP-06, LHTTP-12
#[test]
fn stream_that_broke_is_resumed_behind_the_event_that_came_last() {
    let client = Client::of(server(&Arc::default()), "2025-11-25");
    client.ask("logging/setLevel", json!({"level": "debug"}));
    let mut stream = client.open("tools/call", call("logs"));
    assert_eq!(stream.event().expect("a message")["params"]["data"], "fine");
    let first = stream.last_event.clone().expect("an id");
    drop(stream);
    for _ in 0..2 {
        let mut rest = client.get(&[("last-event-id", &first)]);
        assert_eq!(rest.event().expect("a message")["params"]["data"], "coarse");
        assert_eq!(rest.event().expect("an answer")["result"]["content"][0]["text"], "done");
        assert_eq!(rest.event(), None);
    }
    // Replays from the priming event on.
    let start = first.replace("-1", "-0");
    assert_eq!(client.get(&[("last-event-id", &start)]).events().len(), 3);
    let stranger = Client::at(Arc::clone(&client.http), "2025-11-25");
    for (who, id) in [(&stranger, first.as_str()), (&client, "ffff-1"), (&client, "nonsense"), (&client, "1-99")] {
        assert_eq!(who.get(&[("last-event-id", id)]).status, 400, "{id}");
    }
}

// LEG-08, RPC-19
#[test]
fn client_that_can_open_pages_gets_the_page_in_an_error_and_a_notification_when_the_user_is_done() {
    let server = server(&Arc::default());
    let changes = server.changes();
    let client = Client::of(server, "2025-11-25");
    let stranger = Client::at(Arc::clone(&client.http), "2025-11-25");
    let (mut stream, mut other) = (client.get(&[]), stranger.get(&[]));
    let (status, answer) = client.ask("tools/call", call("sign_in"));
    let page = json!({
        "mode": "url", "elicitationId": "visit-7", "message": "Sign in", "url": "https://example.com/sign-in",
    });
    assert_eq!((status, &answer["error"]["code"]), (200, &json!(-32042)), "{answer}");
    assert_eq!(answer["error"]["data"], json!({"elicitations": [page]}));
    for _ in 0..2 {
        changes.page_done("visit-7");
    }
    changes.tools();
    let done = json!({
        "jsonrpc": "2.0", "method": "notifications/elicitation/complete", "params": {"elicitationId": "visit-7"},
    });
    assert_eq!(stream.event(), Some(done));
    for stream in [&mut stream, &mut other] {
        assert_eq!(stream.event().expect("a message")["method"], "notifications/tools/list_changed");
    }
    let older = Client::at(Arc::clone(&client.http), "2025-06-18");
    let (_, answer) = older.ask("tools/call", call("sign_in"));
    let said = answer["result"]["content"][0]["text"].as_str().expect("words");
    assert!(answer["result"]["isError"] == true && said.contains("https://example.com/sign-in"), "{answer}");
}

// LHTTP-12
#[test]
fn stream_that_is_open_too_long_is_closed_and_its_client_polls_for_the_rest() {
    let limits = Limits::default().stream_time(Duration::from_millis(100));
    let client = Client::of(server(&Arc::default()).limits(limits.clone()), "2025-11-25");
    let first = client.open("tools/call", call("slow"));
    assert_eq!(first.header("content-type"), Some("text/event-stream"));
    let mut text = String::from_utf8(first.rest()).expect("UTF-8");
    for polls in 1.. {
        let id = text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().expect("an id").to_owned();
        let Some(answer) = text.lines().filter_map(|line| line.strip_prefix("data: {")).next() else {
            assert!(text.ends_with(&format!("id: {id}\nretry: 1000\ndata: \n\n")), "{text}");
            text = String::from_utf8(client.get(&[("last-event-id", &id)]).rest()).expect("UTF-8");
            continue;
        };
        assert!(answer.contains("slow") && polls > 1, "{answer}");
        break;
    }
    // In older revisions the server was not allowed to close the stream.
    let older = Client::of(server(&Arc::default()).limits(limits), "2025-06-18");
    let (status, answer) = older.ask("tools/call", call("slow"));
    assert_eq!((status, &answer["result"]["content"][0]["text"]), (200, &json!("slow")));
}

// LHTTP-12
#[test]
fn stream_begins_with_an_event_without_data_where_the_revision_has_it() {
    for (version, primed) in [("2025-06-18", false), ("2025-11-25", true)] {
        let client = Client::of(server(&Arc::default()), version);
        client.ask("logging/setLevel", json!({"level": "debug"}));
        let text = String::from_utf8(client.open("tools/call", call("logs")).rest()).expect("UTF-8");
        let empty = text.lines().filter(|line| *line == "data: ").count();
        assert_eq!(empty == 1, primed, "{text}");
        assert_eq!(text.starts_with("id: ") && text.contains("-0\ndata: \n\n"), primed, "{text}");
    }
}

// RPC-09
#[test]
fn batch_is_served_in_order_by_the_one_revision_that_has_it() {
    let client = Client::of(server(&Arc::default()), "2025-03-26");
    let ping = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let echo = json!({"jsonrpc": "2.0", "id": "e", "method": "tools/call", "params": call("echo")});
    let hello = json!({"jsonrpc": "2.0", "id": 9, "method": "initialize", "params": {}});
    let (status, answers) = client.post(json!([ping(1), note, echo, {"x": 1}, hello]));
    let ids: Vec<_> = answers.as_array().expect("an array").iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!((status, ids), (200, vec![json!(1), json!("e"), Value::Null, json!(9)]), "{answers}");
    assert_eq!(answers[1]["result"]["content"][0]["text"], "echo");
    assert_eq!([&answers[2]["error"]["code"], &answers[3]["error"]["code"]], [&json!(-32600); 2]);
    assert_eq!(client.post(json!([note, note])), (202, Value::Null));
    let many = |len: u64| Value::from((0..len).map(ping).collect::<Vec<_>>());
    assert_eq!(client.post(many(32)).1.as_array().map(Vec::len), Some(32));
    for bad in [json!([]), many(33), json!([[ping(1)]])] {
        let (status, answer) = client.post(bad);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32600)));
    }
    for version in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let client = Client::at(Arc::clone(&client.http), version);
        assert_eq!(client.post(json!([ping(1)])).0, 400, "{version}");
    }
}

// LEG-05, RPC-07
#[test]
fn message_that_does_not_belong_to_a_session_is_refused_and_the_session_continues() {
    let client = Client::of(server(&Arc::default()), "2025-11-25");
    let mut running = client.open("tools/call", call("asks"));
    let first = running.event().expect("a question");
    let second = running.event().expect("a question");
    let answer = |id: &Value| json!({"jsonrpc": "2.0", "id": id, "result": {"roots": []}});
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let request = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let form = &[&first, &second]
        .into_iter()
        .find(|question| question["method"] == "elicitation/create")
        .expect("it asks")["id"];
    let declined = json!({"jsonrpc": "2.0", "id": form, "result": {"action": "decline"}});
    assert_eq!(client.post(declined).0, 202);
    for (what, message, status, says) in [
        ("a second handshake", request("initialize", hello), 200, "initialized"),
        ("the id of a call that runs", request("tools/call", call("echo")), 200, "still runs"),
        ("an answer to nothing", answer(&json!(999_999)), 400, "Nothing was asked"),
        ("an answer with an id of another kind", answer(&json!("x")), 400, "Nothing was asked"),
        ("an answer that has come before", answer(form), 400, "Nothing was asked"),
        ("an empty batch", json!([]), 400, "atch"),
    ] {
        let (came, refusal) = client.post(message);
        let said = refusal["error"]["message"].as_str().unwrap_or_default();
        assert_eq!((came, &refusal["error"]["code"]), (status, &json!(-32600)), "{what}: {refusal}");
        assert!(said.contains(says), "{what}: {said}");
    }
    assert_eq!(client.post(json!({"jsonrpc": "2.0", "id": 7, "method": "ping"})).1["result"], json!({}));
}

#[test]
fn session_survives_a_restart_with_the_same_key_and_lost_state_is_refused_clearly() {
    let [old, new] = [[1; 32], [2; 32]];
    let before = Client::of(server(&Arc::default()).seal_keys([old]), "2025-11-25");
    let mut stream = before.open("tools/call", call("asks"));
    let question = stream.event().expect("a question");
    let metrics = Arc::<Metrics>::default();
    let rotated = Arc::new(Http::start(server(&Arc::default()).seal_keys([new, old]).observe(metrics.clone())));
    let after = Client { http: rotated, session: before.session.clone(), version: before.version };
    assert_eq!(after.ask("tools/call", call("echo")).0, 200);
    for message in [
        json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "cancel"}}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
    ] {
        let (status, answer) = after.post(message);
        assert_eq!(status, 400);
        assert!(answer["error"]["message"].as_str().expect("a message").contains("affinity"), "{answer}");
    }
    assert_eq!(after.get(&[("last-event-id", "1-1")]).status, 400);
    let counted = metrics.text();
    let counted: Vec<_> = counted.lines().filter(|line| line.contains(r#"reason="elsewhere""#)).collect();
    assert!(
        counted.len() >= 2 && counted.iter().all(|line| line.starts_with("attache_refusals_total{")),
        "{counted:?}"
    );
    let other = Arc::new(Http::start(server(&Arc::default()).seal_keys([new])));
    let lost = Client { http: other, session: before.session.clone(), version: before.version };
    assert_eq!(lost.ask("tools/call", call("echo")).0, 404);
}
