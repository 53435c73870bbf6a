//! Messages of a call before its answer, progress and log messages, over HTTP and over lines; and
//! calls that end early.

use crate::modern::{Client, Local, Pipe, able, frame, request};
use ::core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use ::core::time::Duration;
use attache_host::{Ask, Ctx, Level, NoArgs, Server, ServerBuilder, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;

#[derive(Deserialize, JsonSchema)]
struct Steps {
    steps: Vec<f64>,
}

/// A server with tools that send progress and log messages.
fn telling() -> ServerBuilder {
    Server::new("telling", "1")
        .logging()
        .tool("progress", "Tells each step", |of: Steps, ctx: Ctx| async move {
            for step in of.steps {
                ctx.progress(step, Some(100.0), Some(&format!("at \"{step}\""))).await;
                tokio::task::yield_now().await;
            }
            "done"
        })
        .tool("logs", "Tells each level", |_: NoArgs, ctx: Ctx| async move {
            for (level, name) in LEVELS {
                ctx.log(level, json!({"at": name, "text": "two\nlines"})).await;
            }
            "done"
        })
        .tool("needs", "Needs the client's model", |_: Steps, ctx: Ctx| async move {
            ctx.ask("needed", Ask::sample("?", 1))?;
            Ok::<_, ToolError>(())
        })
        .tool("needs_late", "Needs the client's model in the end", |_: NoArgs, ctx: Ctx| async move {
            ctx.progress(1.0, None, None).await;
            ctx.ask("needed", Ask::sample("?", 1))?;
            Ok::<_, ToolError>(())
        })
}

const LEVELS: [(Level, &str); 8] = [
    (Level::Debug, "debug"),
    (Level::Info, "info"),
    (Level::Notice, "notice"),
    (Level::Warning, "warning"),
    (Level::Error, "error"),
    (Level::Critical, "critical"),
    (Level::Alert, "alert"),
    (Level::Emergency, "emergency"),
];

fn steps(token: Value, steps: &[f64]) -> Value {
    json!({"name": "progress", "arguments": {"steps": steps}, "_meta": {"progressToken": token}})
}

fn logs(level: Value) -> Value {
    json!({"name": "logs", "_meta": {"io.modelcontextprotocol/logLevel": level}})
}

/// Returns the progress values in messages, each of which must carry `token`.
fn told(messages: &[Value], token: &Value) -> Vec<f64> {
    let progress = messages.iter().map(|message| {
        assert_eq!((&message["method"], message.get("id")), (&json!("notifications/progress"), None), "{message}");
        assert_eq!(message["params"]["progressToken"], *token, "{message}");
        message["params"]["progress"].as_f64().expect("a number")
    });
    progress.collect()
}

// HTTP-07, PROG-01, LOG-02
#[test]
fn call_without_a_token_or_a_level_tells_nothing_and_is_answered_as_json() {
    let client = Client::of(telling());
    for params in [json!({"name": "progress", "arguments": {"steps": [1, 2]}}), json!({"name": "logs"})] {
        let answer = client.open("tools/call", params);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(answer.header("transfer-encoding"), None);
        let answer: Value = serde_json::from_slice(&answer.rest()).expect("JSON");
        assert_eq!(answer["result"]["content"][0]["text"], "done");
    }
}

// HTTP-07
#[test]
fn call_with_a_token_that_tells_nothing_is_answered_as_json() {
    let client = Client::of(telling());
    assert_eq!(client.result("tools/call", steps(json!("t"), &[]))["content"][0]["text"], "done");
}

// PROG-01, PROG-02, PROG-03, PROG-05, SSE-01, SSE-02, SSE-03, SSE-04, SSE-06, SSE-07, HTTP-07
#[test]
fn call_with_a_token_streams_its_growing_progress_and_its_answer_last() {
    let client = Client::of(telling());
    for (steps_told, heard) in [
        (vec![1.0], vec![1.0]),
        (vec![0.0, 0.5, 1.0, 100.0], vec![0.0, 0.5, 1.0, 100.0]),
        (vec![2.0, 1.0, 2.0, 3.0, 3.0, 2.9, 4.0], vec![2.0, 3.0, 4.0]),
        (vec![-5.0, -1.0], vec![-5.0, -1.0]),
        ((0..500).map(f64::from).collect(), (0..500).map(f64::from).collect()),
    ] {
        for token in [json!("t \"é\""), json!(7), json!(-9_007_199_254_740_991_i64), json!("")] {
            let answer = client.open("tools/call", steps(token.clone(), &steps_told));
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), Some("text/event-stream"));
            assert_eq!(answer.header("x-accel-buffering"), Some("no"));
            assert_eq!(answer.header("cache-control"), Some("no-cache"));
            assert_eq!(answer.header("mcp-session-id"), None);
            let mut messages = answer.events();
            let last = messages.pop().expect("an answer");
            assert_eq!((&last["id"], &last["result"]["content"][0]["text"]), (&json!(1), &json!("done")));
            assert_eq!(told(&messages, &token), heard);
            assert_eq!(messages[0]["params"]["total"], 100.0);
            assert!(messages[0]["params"]["message"].as_str().is_some_and(|text| text.starts_with("at \"")));
        }
    }
}

// HTTP-15, META-04, RPC-14
#[test]
fn error_before_the_first_event_keeps_its_status_and_behind_it_ends_the_stream() {
    let client = Client::of(telling());
    let needs = json!({"name": "needs", "arguments": {"steps": []}, "_meta": {"progressToken": 1}});
    assert_eq!(client.refusal("tools/call", needs), (400, -32021));
    let nobody = json!({"name": "nobody", "_meta": {"progressToken": 1}});
    assert_eq!(client.refusal("tools/call", nobody), (200, -32602));
    assert_eq!(client.refusal("no/such", json!({"_meta": {"progressToken": 1}})), (404, -32601));
    let late = client.open("tools/call", json!({"name": "needs_late", "_meta": {"progressToken": 1}}));
    assert_eq!(late.status, 200);
    let messages = late.events();
    assert_eq!(told(&messages[..1], &json!(1)), [1.0]);
    assert_eq!((messages.len(), &messages[1]["error"]["code"]), (2, &json!(-32021)));
}

// LOG-01, LOG-03
#[test]
fn call_with_a_level_streams_messages_of_it_and_above() {
    let client = Client::of(telling());
    for (at, (_, level)) in LEVELS.into_iter().enumerate() {
        let mut messages = client.open("tools/call", logs(json!(level))).events();
        assert_eq!(messages.pop().expect("an answer")["result"]["content"][0]["text"], "done");
        let heard: Vec<_> = messages.iter().map(|message| message["params"]["level"].as_str()).collect();
        assert_eq!(heard, LEVELS[at..].iter().map(|(_, name)| Some(*name)).collect::<Vec<_>>());
        for message in &messages {
            assert_eq!(message["method"], "notifications/message");
            assert_eq!(message["params"]["data"], json!({"at": message["params"]["level"], "text": "two\nlines"}));
            assert_eq!(message["params"].get("progressToken"), None);
        }
    }
}

// LOG-04, HTTP-15
#[test]
fn level_that_there_is_not_is_refused_before_anything_runs() {
    let client = Client::of(telling());
    for level in [json!("loud"), json!("Info"), json!(""), json!(3), json!({})] {
        assert_eq!(client.refusal("tools/call", logs(level.clone())), (200, -32602), "{level}");
    }
    assert_eq!(client.result("tools/call", logs(json!(null)))["content"][0]["text"], "done", "null is no level");
    let params = json!({"_meta": {"io.modelcontextprotocol/logLevel": "loud"}});
    assert_eq!(client.refusal("tools/list", params), (200, -32602));
}

// LOG-01, DISC-03
#[test]
fn server_that_does_not_declare_logging_sends_no_log_messages() {
    let server = Server::new("t", "1").tool("logs", "d", |_: NoArgs, ctx: Ctx| async move {
        ctx.log(Level::Emergency, "fire").await;
        "done"
    });
    let client = Client::of(server);
    assert_eq!(client.result("server/discover", json!({}))["capabilities"].get("logging"), None);
    assert_eq!(client.result("tools/call", logs(json!("debug")))["content"][0]["text"], "done");
}

// PROG-01, HTTP-17, META-14
#[test]
fn concurrent_calls_each_get_only_their_own_progress() {
    let client = Client::of(telling());
    // All calls are sent before the first answer is read.
    let open: Vec<_> = (0..32u8)
        .map(|number| {
            let base = f64::from(number) * 1000.0;
            let told: Vec<f64> = (0..20).map(|step| base + f64::from(step)).collect();
            (number, told.clone(), client.open("tools/call", steps(json!(format!("token {number}")), &told)))
        })
        .collect();
    for (number, steps, answer) in open.into_iter().rev() {
        let mut messages = answer.events();
        assert_eq!(messages.pop().expect("an answer")["result"]["content"][0]["text"], "done");
        assert_eq!(told(&messages, &json!(format!("token {number}"))), steps);
    }
}

/// Counts handlers that have begun, that were dropped at any point, and that ran to their end.
#[derive(Clone, Default)]
struct Counts {
    begun: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    go_on: Arc<Notify>,
}

struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Counts {
    /// A server with a tool that waits for a notification to go on.
    fn server(&self) -> ServerBuilder {
        let counts = self.clone();
        Server::new("t", "1").tool("waits", "d", move |_: NoArgs, ctx: Ctx| {
            let counts = counts.clone();
            async move {
                let _guard = Guard(counts.dropped.clone());
                ctx.progress(1.0, None, None).await;
                counts.begun.fetch_add(1, Relaxed);
                counts.go_on.notified().await;
                ctx.progress(2.0, None, None).await;
                counts.ended.fetch_add(1, Relaxed);
                "done"
            }
        })
    }

    fn now(&self) -> [usize; 3] {
        [&self.begun, &self.dropped, &self.ended].map(|count| count.load(Relaxed))
    }

    /// Blocks until the counts have these values.
    fn become_these(&self, counts: [usize; 3]) {
        let start = Instant::now();
        while self.now() != counts {
            assert!(start.elapsed() < Duration::from_secs(30), "{:?} do not become {counts:?}", self.now());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

// CAN-01, MRTR-09
#[test]
fn modern_client_that_disconnects_stops_its_call() {
    let counts = Counts::default();
    let client = Client::of(counts.server());
    // The client disconnects in the middle of a stream.
    let mut answer = client.open("tools/call", json!({"name": "waits", "_meta": {"progressToken": 1}}));
    assert_eq!(told(&[answer.event().expect("progress")], &json!(1)), [1.0]);
    counts.become_these([1, 0, 0]);
    drop(answer);
    counts.become_these([1, 1, 0]);
    // The client disconnects before anything was sent.
    let silent = request(1, "tools/call", json!({"name": "waits"}));
    let stream =
        client.0.begin(&crate::implementations::headers("tools/call", Some("waits")), silent.to_string().as_bytes());
    counts.become_these([2, 1, 0]);
    drop(stream);
    counts.become_these([2, 2, 0]);
}

// CAN-02
#[test]
fn legacy_client_that_disconnects_does_not_stop_its_call() {
    let counts = Counts::default();
    let client = Client::of(counts.server());
    let legacy = [("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2025-11-25")];
    for (meta, calls) in [(json!({}), 1), (json!({"progressToken": 1}), 2)] {
        let params = json!({"name": "waits", "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let stream = client.0.begin(&legacy, body.as_bytes());
        counts.become_these([calls, calls - 1, calls - 1]);
        drop(stream);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(counts.now(), [calls, calls - 1, calls - 1], "it still runs");
        counts.go_on.notify_one();
        counts.become_these([calls, calls, calls]);
    }
}

// PROG-01, PROG-03, STD-01, STD-04
#[tokio::test]
async fn progress_over_lines_comes_before_its_answer() {
    let mut pipe = Pipe::to(telling());
    for (id, token) in [("a", json!("a")), ("b", json!(2)), ("c", json!(-3))] {
        pipe.ask(id, "tools/call", steps(token, &[1.0, 2.0, 2.0, 3.0])).await;
    }
    pipe.ask("silent", "tools/call", json!({"name": "progress", "arguments": {"steps": [1]}})).await;
    let lines = pipe.end().await;
    assert_eq!(lines.len(), 3 * 4 + 1);
    for (id, token) in [("a", json!("a")), ("b", json!(2)), ("c", json!(-3))] {
        let answered = lines.iter().position(|line| line["id"] == id).expect("an answer");
        let told_of = |line: &&Value| line["params"]["progressToken"] == token;
        let before: Vec<Value> = lines[..answered].iter().filter(told_of).cloned().collect();
        assert_eq!(told(&before, &token), [1.0, 2.0, 3.0]);
        assert_eq!(lines[answered..].iter().filter(told_of).count(), 0);
    }
    assert!(lines.iter().all(|line| line.get("id").is_none() || line.get("method").is_none()), "no requests");
}

/// Lets all ready tasks run.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

// CAN-03, CAN-05
#[tokio::test]
async fn call_cancelled_over_lines_stops_and_is_heard_of_no_more() {
    let counts = Counts::default();
    let mut pipe = Pipe::to(counts.server());
    for id in [json!(1), json!("1"), json!("two")] {
        pipe.ask(id.clone(), "tools/call", json!({"name": "waits", "_meta": {"progressToken": id}})).await;
        assert_eq!(told(&[pipe.hear().await], &id), [1.0]);
    }
    // A cancellation that names no running call is ignored.
    for params in [
        json!({"requestId": 7}),
        json!({"requestId": "7"}),
        json!({"requestId": null}),
        json!({"requestId": [1]}),
        json!({"requestId": {}}),
        json!({}),
        json!([1]),
    ] {
        pipe.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})).await;
    }
    pipe.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled"})).await;
    pipe.ask("alive", "server/discover", json!({})).await;
    assert_eq!(pipe.hear().await["id"], "alive");
    settle().await;
    assert_eq!(counts.now(), [3, 0, 0]);
    // The number and the text are two different ids.
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1, "reason": "x"}});
    for _ in 0..2 {
        pipe.say(&cancel).await;
        pipe.ask("alive", "server/discover", json!({})).await;
        assert_eq!(pipe.hear().await["id"], "alive");
        settle().await;
        assert_eq!(counts.now(), [3, 1, 0]);
    }
    counts.go_on.notify_waiters();
    let mut rest = pipe.end().await;
    rest.retain(|line| line.get("id").is_some());
    rest.sort_by_key(|line| line["id"].to_string());
    assert_eq!(rest.iter().map(|line| &line["id"]).collect::<Vec<_>>(), [&json!("1"), &json!("two")]);
    // A call that has been answered cannot be cancelled any more.
    assert_eq!(counts.now(), [3, 3, 2]);
}

// CAN-01, CAN-05
#[test]
fn cancellation_over_http_is_taken_and_stops_nothing() {
    let counts = Counts::default();
    let client = Client::of(counts.server());
    let answer = client.open("tools/call", json!({"name": "waits", "_meta": {"progressToken": 1}}));
    counts.become_these([1, 0, 0]);
    let cancel =
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}));
    assert_eq!((cancel.status, cancel.rest().len()), (202, 0));
    counts.go_on.notify_waiters();
    let messages = answer.events();
    assert_eq!(messages.last().expect("an answer")["result"]["content"][0]["text"], "done");
    assert_eq!(counts.now(), [1, 1, 1]);
}

// SSE-05
#[tokio::test(start_paused = true)]
async fn stream_that_is_silent_is_kept_alive_by_comments() {
    let mut local =
        Local::of(Server::new("t", "1").subscriptions().tool("slow", "d", |_: NoArgs, ctx: Ctx| async move {
            ctx.progress(1.0, None, None).await;
            tokio::time::sleep(Duration::from_secs(50)).await;
            "done"
        }));
    let call = request(1, "tools/call", json!({"name": "slow", "_meta": {"progressToken": 1}}));
    let mut body = local.open(&call).await.into_body();
    let mut frames = Vec::new();
    while let Some(frame) = frame(&mut body).await {
        frames.push(frame);
    }
    let comments = frames.iter().filter(|frame| frame.starts_with(':')).inspect(|frame| assert_eq!(*frame, ":\n\n"));
    assert_eq!(comments.count(), 3, "{frames:?}");
    assert!(frames[0].starts_with("event: ") && frames[4].starts_with("event: ") && frames.len() == 5, "{frames:?}");
    let listen = request(2, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let mut body = local.open(&listen).await.into_body();
    assert!(frame(&mut body).await.is_some_and(|frame| frame.starts_with("event: ")));
    assert_eq!(frame(&mut body).await.as_deref(), Some(":\n\n"));
}

// META-03
#[test]
fn capability_declared_in_one_request_is_not_remembered_for_the_next() {
    let client = Client::of(telling());
    let needs = |capabilities| json!({"name": "needs", "arguments": {"steps": []}, "_meta": able(capabilities)});
    assert_eq!(client.result("tools/call", needs(json!({"sampling": {}})))["resultType"], "input_required");
    assert_eq!(client.refusal("tools/call", needs(json!({}))), (400, -32021));
}
