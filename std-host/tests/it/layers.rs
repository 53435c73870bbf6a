//! Limits and tower layers of single tools.

use attache_host::testing::{Answer, Client};
use attache_host::{Ctx, NoArgs, Server, Tool, ToolCall, ToolError, ToolFailure, ToolOutput, ToolService};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::time::{Instant, sleep};
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower_service::Service;

async fn call(server: attache_host::ServerBuilder, tool: &str) -> Value {
    Client::of(server).call(tool, json!({})).await.expect("a result")
}

fn slow(name: &str) -> Tool {
    Tool::new(name, "d", async |_: NoArgs, _: Ctx| {
        sleep(Duration::from_secs(5)).await;
        "done"
    })
}

#[tokio::test(start_paused = true)]
async fn tool_that_exceeds_its_time_is_stopped_and_the_model_is_told_and_others_go_on() {
    let server = Server::new("t", "1")
        .with_tool(slow("short").timeout(Duration::from_secs(2)))
        .with_tool(slow("long").timeout(Duration::from_secs(9)));
    let mut client = Client::of(server);
    let began = Instant::now();
    let result = client.call("short", json!({})).await.expect("a result");
    assert_eq!(began.elapsed().as_secs(), 2);
    assert_eq!(result["isError"], true);
    let words = result["content"][0]["text"].as_str().expect("a text");
    assert!(words.contains("time limit of 2s"), "{words}");
    assert_eq!(client.call("long", json!({})).await.expect("a result")["content"][0]["text"], "done");
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_concurrency_of_a_tool_wait_and_their_time_does_not_run() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let tool = Tool::new("narrow", "d", async |_: NoArgs, _: Ctx| {
        let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
        sleep(Duration::from_secs(5)).await;
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        running as u32
    });
    let server = Server::new("t", "1").with_tool(tool.concurrency(2).timeout(Duration::from_secs(6)));
    let client = Client::of(server);
    let began = Instant::now();
    let calls = (0..4).map(|_| {
        let mut client = client.clone();
        tokio::spawn(async move { client.call("narrow", json!({})).await.expect("a result") })
    });
    for call in calls.collect::<Vec<_>>() {
        let result = call.await.expect("no panic");
        let running = result["content"][0]["text"].as_str().expect("a text").parse::<u32>().expect("a number");
        assert!(running <= 2, "{result}");
    }
    assert_eq!(began.elapsed().as_secs(), 10);
}

/// A layer that keeps a record of calls and their ends, and answers "cached" itself if it is asked.
#[derive(Clone)]
struct Audit {
    inner: ToolService,
    log: Arc<Mutex<Vec<String>>>,
}

impl Service<ToolCall> for Audit {
    type Response = ToolOutput;
    type Error = <ToolService as Service<ToolCall>>::Error;
    type Future = <ToolService as Service<ToolCall>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: ToolCall) -> Self::Future {
        let (log, what) = (Arc::clone(&self.log), format!("{} {}", call.name(), call.arguments()));
        let run = self.inner.call(call);
        Box::pin(async move {
            let ended = run.await;
            let end = match &ended {
                Ok(output) if output.is_error() => "refused".to_owned(),
                Ok(_) => "fine".to_owned(),
                Err(error) => match error.downcast_ref::<ToolFailure>() {
                    Some(failure) => format!("failed: {failure}"),
                    None => "layer".to_owned(),
                },
            };
            log.lock().expect("not poisoned").push(format!("{what}: {end}"));
            ended
        })
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Way {
    way: String,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Sure {
    sure: bool,
}

#[tokio::test]
async fn layer_sees_each_call_with_its_arguments_and_its_end() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let of_layer = Arc::clone(&log);
    let tool = Tool::new("go", "d", async |way: Way, ctx: Ctx| match way.way.as_str() {
        "up" => Ok("up"),
        "ask" => {
            let answer = ctx.elicit_as::<Sure>("sure", "Sure?")?;
            Ok(if answer.is_some_and(|answer| answer.sure) { "asked" } else { "no" })
        }
        "panic" => panic!("secret"),
        "io" => Err(std::io::Error::other("secret"))?,
        _ => Err(ToolError::user("no such way")),
    });
    let server = Server::new("t", "1").with_tool(
        tool.layer(tower_layer::layer_fn(move |inner| Audit { inner, log: Arc::clone(&of_layer) })).concurrency(1),
    );
    let mut client = Client::of(server).answers(|_| Answer::accept(json!({"sure": true})));
    for (arguments, is_error, text) in [
        (json!({"way": "up"}), false, "up"),
        (json!({"way": "ask"}), false, "asked"),
        (json!({"way": "down"}), true, "no such way"),
        (json!({"way": "io"}), true, "The tool failed."),
        (json!({"way": "panic"}), true, "The tool failed."),
        (json!({"wya": "up"}), true, "This tool has no argument 'wya'"),
    ] {
        let result = client.call("go", arguments.clone()).await.expect("a result");
        let said = result["content"][0]["text"].as_str().expect("a text");
        assert!(said.starts_with(text), "{arguments}: {said}");
        assert_eq!(result["isError"] == true, is_error, "{arguments}");
    }
    let log = log.lock().expect("not poisoned");
    let expected = [
        r#"go {"way":"up"}: fine"#,
        r#"go {"way":"ask"}: failed: the client has to answer a question first"#,
        r#"go {"way":"ask"}: fine"#,
        r#"go {"way":"down"}: failed: no such way"#,
        r#"go {"way":"io"}: failed: secret"#,
        r#"go {"wya":"up"}: refused"#,
    ];
    assert_eq!(*log, expected);
}

/// A layer that answers itself, from what the arguments of a call are.
#[derive(Clone)]
struct Cache(ToolService);

impl Service<ToolCall> for Cache {
    type Response = ToolOutput;
    type Error = <ToolService as Service<ToolCall>>::Error;
    type Future = <ToolService as Service<ToolCall>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, call: ToolCall) -> Self::Future {
        match call.arguments() {
            r#"{"way":"cached"}"# => {
                Box::pin(async { Ok(ToolOutput::new([attache_host::Content::text("from the cache")])) })
            }
            r#"{"way":"error"}"# => Box::pin(async { Err("secret".into()) }),
            _ => {
                let arguments = serde_json::Map::from_iter([("way".to_owned(), json!("rewritten"))]);
                self.0.call(call.with_arguments(&arguments))
            }
        }
    }
}

#[tokio::test]
async fn layer_may_answer_fail_or_change_the_arguments() {
    let tool = Tool::new("go", "d", async |way: Way, _: Ctx| way.way).layer(tower_layer::layer_fn(Cache));
    let mut client = Client::of(Server::new("t", "1").with_tool(tool));
    for (way, text) in [("cached", "from the cache"), ("error", "The tool failed."), ("other", "rewritten")] {
        let result = client.call("go", json!({"way": way})).await.expect("a result");
        assert!(result["content"][0]["text"].as_str().expect("a text").starts_with(text), "{way}: {result}");
    }
}

#[tokio::test(start_paused = true)]
async fn layers_of_tower_itself_go_around_a_tool() {
    let tool = slow("slow").layer(ConcurrencyLimitLayer::new(1)).layer(TimeoutLayer::new(Duration::from_secs(2)));
    let result = call(Server::new("t", "1").with_tool(tool), "slow").await;
    assert!(result["content"][0]["text"].as_str().expect("a text").starts_with("The tool failed."), "{result}");
    let tool = slow("slow").layer(TimeoutLayer::new(Duration::from_secs(9)));
    assert_eq!(call(Server::new("t", "1").with_tool(tool), "slow").await["content"][0]["text"], "done");
}
