//! Results that are sent while the handler produces them.

use crate::implementations::headers;
use crate::modern::{Client, Pipe, request};
use ::core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use ::core::time::Duration;
use attache_host::{Ctx, NoArgs, Resource, ResourceRequest, Server, ServerBuilder, TextStream, ToolError, limits};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

/// One piece of a text with all characters that need an escape; escaped, it has 64 bytes.
const PIECE: &str = "line \"quoted\" \\ tab\t nul \0 é \u{1f600} .............................\n";

/// A text of `count` pieces that counts the pieces made.
fn pieces(count: usize, made: &Arc<AtomicUsize>) -> TextStream {
    let made = Arc::clone(made);
    TextStream::new(stream::iter(0..count).map(move |_| {
        made.fetch_add(1, Relaxed);
        Ok(PIECE.to_owned())
    }))
}

/// A text that fails after `count` pieces.
fn failing(count: usize) -> TextStream {
    let good = stream::iter(0..count).map(|_| Ok(PIECE.to_owned()));
    TextStream::new(good.chain(stream::iter([Err(ToolError::user("the log has been rotated"))])))
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn server(count: usize, made: &Arc<AtomicUsize>) -> ServerBuilder {
    let (tool, resource, telling) = (Arc::clone(made), Arc::clone(made), Arc::clone(made));
    Server::new("s", "1")
        .tool("log", "d", move |_: NoArgs, _: Ctx| {
            let text = pieces(count, &tool);
            async { text }
        })
        .tool("telling", "d", move |_: NoArgs, ctx: Ctx| {
            let text = pieces(count, &telling);
            async move {
                ctx.progress(1.0, None, None).await;
                text
            }
        })
        .tool("fails", "d", move |_: NoArgs, _: Ctx| async move { failing(count) })
        .tool("fails_at_once", "d", |_: NoArgs, _: Ctx| async { failing(0) })
        .tool("panics", "d", |_: NoArgs, _: Ctx| async {
            TextStream::new(stream::iter([0]).map(|_| -> Result<String, ToolError> { panic!("on purpose") }))
        })
        .with_resource(Resource::new("at://log", "log", "text/plain", move |_: ResourceRequest, _: Ctx| {
            let text = pieces(count, &resource);
            async { text }
        }))
        .with_resource(Resource::new("at://fails", "log", "text/plain", |_: ResourceRequest, _: Ctx| async {
            failing(0)
        }))
}

/// More bytes than the host buffers for any other result.
const LARGE: usize = limits::RESULT / PIECE.len() + 1;

// TOOL-07, TOOL-17, RES-01
#[test]
fn text_larger_than_any_buffer_comes_whole_from_a_tool_and_from_a_resource() {
    let client = Client::of(server(LARGE, &Arc::default()));
    let whole = PIECE.repeat(LARGE);
    let result = client.result("tools/call", json!({"name": "log"}));
    assert_eq!(result["content"].as_array().map(Vec::len), Some(1));
    assert!(result["content"][0]["text"].as_str() == Some(&whole), "another text");
    assert_eq!(result["resultType"], "complete");
    let read = client.result("resources/read", json!({"uri": "at://log"}));
    assert_eq!(
        (&read["contents"][0]["uri"], &read["contents"][0]["mimeType"]),
        (&json!("at://log"), &json!("text/plain"))
    );
    assert!(read["contents"][0]["text"].as_str() == Some(&whole), "another text");
}

// SSE-07
#[test]
fn text_after_progress_is_one_event_of_one_line() {
    let client = Client::of(server(10_000, &Arc::default()));
    let mut events = client.open("tools/call", json!({"name": "telling", "_meta": {"progressToken": 1}})).events();
    let last = events.pop().expect("the result");
    assert_eq!(events.len(), 1);
    assert!(last["result"]["content"][0]["text"].as_str() == Some(&PIECE.repeat(10_000)), "another text");
}

#[test]
fn streamed_text_waits_for_its_reader_and_is_dropped_when_the_reader_leaves() {
    let made = Arc::new(AtomicUsize::new(0));
    let dropped = Arc::new(AtomicUsize::new(0));
    let (counted, noticed) = (Arc::clone(&made), Arc::clone(&dropped));
    let client = Client::of(Server::new("s", "1").tool("log", "d", move |_: NoArgs, _: Ctx| {
        let (made, guard) = (Arc::clone(&counted), Counted(Arc::clone(&noticed)));
        async move {
            TextStream::new(stream::iter(0..usize::MAX).map(move |_| {
                let _ = &guard;
                made.fetch_add(1, Relaxed);
                Ok(PIECE.to_owned())
            }))
        }
    }));
    let answer = client.open("tools/call", json!({"name": "log"}));
    assert_eq!(answer.status, 200);
    // Once the buffers of both systems are full, the handler makes no more pieces.
    let mut before = usize::MAX;
    settle(|| ::core::mem::replace(&mut before, made.load(Relaxed)) == made.load(Relaxed));
    assert_eq!(dropped.load(Relaxed), 0);
    drop(answer);
    settle(|| dropped.load(Relaxed) == 1);
}

/// Waits until the condition holds.
fn settle(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "in time");
        std::thread::sleep(Duration::from_millis(200));
    }
}

// TOOL-09, RES-15
#[test]
fn text_that_fails_before_anything_was_sent_is_an_ordinary_failure() {
    let client = Client::of(server(1, &Arc::default()));
    for name in ["fails_at_once", "fails"] {
        let failed = client.result("tools/call", json!({"name": name}));
        assert_eq!(
            (&failed["isError"], &failed["content"][0]["text"]),
            (&json!(true), &json!("the log has been rotated"))
        );
    }
    let panicked = client.result("tools/call", json!({"name": "panics"}));
    assert_eq!(panicked["isError"], true);
    assert!(!panicked.to_string().contains("on purpose"), "{panicked}");
    let (status, error) = client.error("resources/read", json!({"uri": "at://fails"}));
    assert_eq!((status, &error["code"], &error["message"]), (200, &json!(-32602), &json!("the log has been rotated")));
}

#[test]
fn text_that_fails_later_breaks_the_connection_off() {
    let client = Client::of(server(10_000, &Arc::default()));
    for (name, meta) in [("fails", json!({})), ("fails", json!({"progressToken": 1}))] {
        let answer = client.open("tools/call", json!({"name": name, "_meta": meta}));
        assert_eq!(answer.status, 200);
        let came = answer.until_broken();
        assert!(came.len() > 10_000 && came.len() < 10_000 * PIECE.len() * 2, "{} bytes", came.len());
        assert!(serde_json::from_slice::<Value>(&came).is_err(), "half a text passes for a whole one");
    }
}

// STD-01
#[tokio::test]
async fn text_over_a_line_is_one_line_or_a_failure() {
    let mut pipe = Pipe::to(server(10_000, &Arc::default()));
    pipe.ask(1, "tools/call", json!({"name": "log"})).await;
    assert!(pipe.hear().await["result"]["content"][0]["text"].as_str() == Some(&PIECE.repeat(10_000)), "another text");
    pipe.ask(2, "tools/call", json!({"name": "fails"})).await;
    let failed = pipe.hear().await;
    assert_eq!((&failed["id"], &failed["result"]["isError"]), (&json!(2), &json!(true)));
    let mut pipe = Pipe::to(server(LARGE, &Arc::default()));
    pipe.ask(3, "tools/call", json!({"name": "log"})).await;
    assert_eq!(pipe.hear().await["error"]["code"], -32603);
    pipe.ask(4, "server/discover", json!({})).await;
    assert_eq!(pipe.hear().await["id"], 4);
}

// MRTR-02, HDR-01: a refusal is decided before the stream begins.
#[test]
fn call_that_is_refused_is_refused_though_its_tool_would_stream() {
    let client = Client::of(server(10_000, &Arc::default()));
    let body = request(1, "tools/call", json!({"name": "log"})).to_string();
    let wrong = headers("tools/call", Some("other"));
    assert_eq!(client.0.post(&wrong, body.as_bytes()).status, 400);
}
