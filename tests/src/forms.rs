//! The form of an answer: JSON or a stream of events, as `Accept` requests; and comments while a
//! call sends nothing.

use crate::device::{SERVER, topics};
use crate::endpoint::{IMPATIENT, boot};
use crate::implementations::{Answering, Http};
use crate::modern::{Client, frame, request};
use ::core::time::Duration;
use attache_core::embassy::Deadlines;
use attache_host::http::McpService;
use attache_host::{Ask, Ctx, NoArgs, Server, ServerBuilder, TextStream, ToolError};
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use embassy_time::Duration as Ticks;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower_service::Service;

/// Revisions before 2026-07-28.
const OLD: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";

fn server() -> ServerBuilder {
    Server::new("forms", "1")
        .logging()
        .subscriptions()
        .tool("slow", "Says nothing for 50 seconds", |_: NoArgs, _: Ctx| async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            "done"
        })
        .tool("tells", "Tells its progress", |_: NoArgs, ctx: Ctx| async move {
            ctx.progress(1.0, None, None).await;
            "done"
        })
        .tool("pieces", "Has a text in pieces", |_: NoArgs, _: Ctx| async {
            TextStream::new(futures_util::stream::iter((0..40).map(|_| Ok("x".repeat(4096)))))
        })
        .tool("asks", "Asks a person", |_: NoArgs, ctx: Ctx| async move {
            ctx.ask("name", Ask::form("Who?", json!({"type": "object", "properties": {"name": {"type": "string"}}})))?;
            Ok::<_, ToolError>("asked")
        })
}

/// A client in this process, of one revision and with one `Accept`.
struct Local {
    service: McpService,
    version: &'static str,
    accept: Option<&'static str>,
    session: Option<String>,
}

impl Local {
    fn of(version: &'static str, accept: Option<&'static str>) -> Self {
        Self { service: McpService::new(server().build()), version, accept, session: None }
    }

    /// The same with a session, which this function opens.
    async fn in_session(mut self) -> Self {
        let hello = json!({"protocolVersion": self.version, "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "t", "version": "1"}});
        let answer = self.post(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})).await;
        assert_eq!(answer.status(), 200);
        let session = answer.headers().get("mcp-session-id").expect("a session").to_str().expect("ASCII");
        self.session = Some(session.to_owned());
        self
    }

    fn call(&self, tool: &str) -> Value {
        let params = json!({"name": tool, "_meta": {"progressToken": 1}});
        match self.version {
            "2026-07-28" => request(1, "tools/call", params),
            _ => json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}),
        }
    }

    async fn post(&mut self, message: &Value) -> Response<Body> {
        let mut post = Request::post("/mcp").header("host", "localhost").header("content-type", JSON);
        let method = message["method"].as_str().unwrap_or_default();
        if self.version == "2026-07-28" {
            post = post.header("mcp-method", method);
            post =
                message["params"]["name"].as_str().into_iter().fold(post, |post, name| post.header("mcp-name", name));
        }
        if method != "initialize" {
            post = post.header("mcp-protocol-version", self.version);
        }
        if let Some(accept) = self.accept {
            post = post.header("accept", accept);
        }
        if let Some(session) = &self.session {
            post = post.header("mcp-session-id", session);
        }
        let Ok(response) = self.service.call(post.body(Body::from(message.to_string())).expect("a request")).await;
        response.map(Body::new)
    }
}

/// Media type and frames of an answer.
async fn read(answer: Response<Body>) -> (String, Vec<String>) {
    let media_type = answer.headers().get("content-type").map_or("", |value| value.to_str().expect("ASCII"));
    let media_type = media_type.to_owned();
    let mut body = answer.into_body();
    let mut frames = Vec::new();
    while let Some(frame) = frame(&mut body).await {
        frames.push(frame);
    }
    (media_type, frames)
}

/// The messages in an answer, by its media type.
fn messages(media_type: &str, frames: &[String]) -> Vec<Value> {
    let text = frames.concat();
    let parse = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    match media_type {
        JSON => vec![parse(&text)],
        EVENTS => {
            let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
            data.filter(|data| !data.is_empty()).map(parse).collect()
        }
        other => panic!("{other}: {text}"),
    }
}

// SSE-05
#[tokio::test(start_paused = true)]
async fn client_of_a_silent_call_hears_a_comment_every_fifteen_seconds_in_every_revision() {
    for accept in [Some("application/json, text/event-stream"), Some(EVENTS), Some("*/*"), None] {
        let mut clients = vec![Local::of("2026-07-28", accept)];
        for version in OLD {
            clients.push(Local::of(version, accept));
            clients.push(Local::of(version, accept).in_session().await);
        }
        for mut client in clients {
            let call = client.call("slow");
            let mut bodies = vec![call.clone()];
            if client.version == "2025-03-26" {
                bodies.push(json!([call]));
            }
            for body in bodies {
                let begun = Instant::now();
                let answer = client.post(&body).await;
                assert_eq!(begun.elapsed().as_secs(), 15, "{} {accept:?}", client.version);
                let (media_type, frames) = read(answer).await;
                let comments = frames.iter().filter(|frame| *frame == ":\n\n").count();
                assert_eq!((media_type.as_str(), comments, begun.elapsed().as_secs()), (EVENTS, 3, 50), "{frames:?}");
                let answers = messages(&media_type, &frames);
                let answer = answers[0].as_array().map_or(&answers[0], |batch| &batch[0]);
                assert_eq!(answer["result"]["content"][0]["text"], "done", "{answers:?}");
                assert_eq!(answers.len(), 1);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_takes_json_alone_is_answered_in_json_however_much_a_call_tells() {
    for accept in ["application/json", "Application/JSON;q=0.1", "*/*, text/event-stream;q=0"] {
        let mut clients = vec![Local::of("2026-07-28", Some(accept))];
        for version in OLD {
            clients.push(Local::of(version, Some(accept)));
            clients.push(Local::of(version, Some(accept)).in_session().await);
        }
        for mut client in clients {
            for tool in ["slow", "tells", "pieces"] {
                let (media_type, frames) = read(client.post(&client.call(tool)).await).await;
                let answer = &messages(&media_type, &frames)[0];
                assert_eq!(media_type, JSON, "{} {tool}", client.version);
                assert!(answer["result"]["content"][0]["text"].is_string(), "{answer}");
            }
            if client.version != "2026-07-28" {
                // The question would arrive on a stream.
                let (media_type, frames) = read(client.post(&client.call("asks")).await).await;
                let answer = &messages(&media_type, &frames)[0];
                assert_eq!((media_type.as_str(), &answer["result"]["isError"]), (JSON, &json!(true)), "{answer}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_takes_streams_alone_gets_every_successful_answer_as_an_event_and_refusals_in_json() {
    for accept in ["text/event-stream", "text/*", "*/*;q=0.5, application/json;q=0"] {
        for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
            let mut client = Local::of(version, Some(accept));
            if version != "2026-07-28" {
                client = client.in_session().await;
            }
            for tool in ["tells", "pieces"] {
                let (media_type, frames) = read(client.post(&client.call(tool)).await).await;
                assert_eq!(media_type, EVENTS, "{version} {tool}");
                let answers = messages(&media_type, &frames);
                assert!(answers.last().expect("an answer")["result"]["content"][0]["text"].is_string());
            }
            let list = match version {
                "2026-07-28" => request(1, "tools/list", json!({})),
                _ => json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
            };
            let (media_type, frames) = read(client.post(&list).await).await;
            assert_eq!((media_type.as_str(), messages(&media_type, &frames).len()), (EVENTS, 1), "{version}");
            if version == "2025-03-26" {
                let (media_type, frames) = read(client.post(&json!([list])).await).await;
                assert_eq!(media_type, EVENTS);
                assert!(messages(&media_type, &frames)[0][0]["result"]["tools"].is_array());
            }
            let refused = client.post(&json!({"jsonrpc": "1.0", "id": 1, "method": "tools/list"})).await;
            assert_eq!(refused.status(), 400);
            let (media_type, frames) = read(refused).await;
            assert_eq!((media_type.as_str(), &messages(&media_type, &frames)[0]["id"]), (JSON, &json!(1)));
        }
    }
}

#[tokio::test]
async fn request_whose_client_takes_no_form_of_the_answer_is_refused_before_it_runs() {
    let mut client = Local::of("2026-07-28", Some("text/html, application/json;q=0"));
    let refused = client.post(&client.call("tells")).await;
    assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE);
    let (media_type, frames) = read(refused).await;
    assert!(
        messages(&media_type, &frames)[0]["error"]["message"].as_str().is_some_and(|said| said.starts_with("Accept"))
    );
    // A stream is the only form of a subscription.
    let mut client = Local::of("2026-07-28", Some(JSON));
    let refused = client.post(&request(9, "subscriptions/listen", json!({"notifications": {}}))).await;
    assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE);
    let (media_type, frames) = read(refused).await;
    assert_eq!(messages(&media_type, &frames)[0]["id"], 9);
}

#[test]
fn get_stream_is_opened_for_clients_that_take_one() {
    let client = Client::of(server());
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}).to_string();
    let head = [("host", "localhost"), ("content-type", JSON)];
    let session = client.0.open(&head, hello.as_bytes()).header("mcp-session-id").expect("a session").to_owned();
    for (accept, status) in [
        (None, 200),
        (Some("*/*"), 200),
        (Some("text/*"), 200),
        (Some("TEXT/EVENT-STREAM;q=0.2"), 200),
        (Some("application/json, text/event-stream"), 200),
        (Some("application/json"), 406),
        (Some("text/event-stream;q=0, */*"), 406),
        (Some("text/event-streams"), 406),
        (Some("text/plain;x=\"text/event-stream\""), 406),
    ] {
        let mut headers = vec![("host", "localhost"), ("mcp-session-id", session.as_str())];
        headers.extend(accept.map(|accept| ("accept", accept)));
        let answer = client.0.open_as("GET", &headers, b"");
        assert_eq!(answer.status, status, "{accept:?}");
        if status == 406 {
            let refusal: Value = serde_json::from_slice(&answer.rest()).expect("JSON");
            assert_eq!(refusal["error"]["code"], -32600, "{accept:?}");
        }
    }
}

/// Returns a board's answer to a call of revision `version`; the call takes half a second.
fn call_board(board: &Http, version: &str, accept: &str) -> Answering {
    let (message, mut headers) = match version {
        "2026-07-28" => {
            let headers = vec![("mcp-method", "tools/call"), ("mcp-name", "log")];
            (request(1, "tools/call", json!({"name": "log", "arguments": {"lines": 1}})), headers)
        }
        _ => {
            let params = json!({"name": "log", "arguments": {"lines": 1}});
            (json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}), vec![])
        }
    };
    headers.extend([("host", "localhost"), ("content-type", JSON), ("mcp-protocol-version", version)]);
    headers.push(("accept", accept));
    board.open(&headers, message.to_string().as_bytes())
}

#[test]
fn board_sends_comments_while_a_call_is_silent_and_answers_in_the_form_that_its_client_takes() {
    let topics = Box::leak(Box::new(topics()));
    let deadlines = Deadlines { call: Ticks::from_secs(20), ..IMPATIENT };
    let board = boot(&SERVER, topics, 2, deadlines, async |_, out| {
        tokio::time::sleep(Duration::from_millis(500)).await;
        out.text("done")
    });
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        for (accept, media_type, comments) in [
            ("application/json, text/event-stream", EVENTS, true),
            ("text/event-stream", EVENTS, true),
            ("application/json", JSON, false),
        ] {
            let answer = call_board(&board, version, accept);
            assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)), "{version} {accept}");
            let text = String::from_utf8(answer.rest()).expect("UTF-8");
            assert_eq!(text.matches(":\n\n").count() >= 3, comments, "{version} {accept}: {text}");
            let answer = &messages(media_type, &[text])[0];
            assert_eq!(answer["result"]["content"][0]["text"], "done", "{version} {accept}: {answer}");
        }
        let refused = call_board(&board, version, "text/html");
        assert_eq!(refused.status, 406);
        refused.rest();
    }
}

#[test]
fn board_answers_a_batch_to_a_client_that_takes_streams_alone_with_one_event() {
    let topics = Box::leak(Box::new(topics()));
    let board = boot(&SERVER, topics, 2, Deadlines::DEFAULT, async |_, out| out.text("done"));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "log", "arguments": {"lines": 1}}});
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    let headers = [("host", "localhost"), ("content-type", JSON), ("accept", EVENTS)];
    let mut answer = board.open(&headers, json!([call, ping]).to_string().as_bytes());
    assert_eq!(answer.header("content-type"), Some(EVENTS));
    let answers = answer.event().expect("an event");
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!(1), &json!(2)), "{answers}");
    assert_eq!(answer.event(), None);
}
