//! The stdio transport with peers that are fast, slow or gone.

use attache_host::{Ctx, NoArgs, Server, ServerBuilder, stdio};
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader, duplex, empty};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

fn call(id: usize, tool: &str) -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": tool, "_meta": meta});
    format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))
}

fn ping(id: usize) -> String {
    format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": "ping"}))
}

/// Returns a server with a tool `waits`, which counts its starts and needs a permit to end.
fn waiting() -> (ServerBuilder, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (begun, leave) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (begins, waits) = (Arc::clone(&begun), Arc::clone(&leave));
    let server = Server::new("t", "1").tool("waits", "d", move |_: NoArgs, _: Ctx| {
        let number = begins.fetch_add(1, Ordering::Relaxed);
        let leave = Arc::clone(&waits);
        async move {
            leave.acquire().await.expect("open").forget();
            number.to_string()
        }
    });
    (server, begun, leave)
}

/// An output that counts the writes.
struct Counting(Arc<AtomicUsize>);

impl AsyncWrite for Counting {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn answers_that_are_there_together_are_written_together() {
    let writes = Arc::new(AtomicUsize::new(0));
    let lines: String = (0..200).map(ping).collect();
    let output = Counting(Arc::clone(&writes));
    stdio::serve(Server::new("t", "1").build(), lines.as_bytes(), output).await.expect("no failure");
    assert!(writes.load(Ordering::Relaxed) < 20, "{writes:?}");
}

/// An output that is closed.
struct Closed;

impl AsyncWrite for Closed {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn output_that_is_closed_ends_the_server_while_its_input_stays_open() {
    let (mut questions, input) = duplex(1024);
    questions.write_all(ping(1).as_bytes()).await.expect("taken");
    let serving = timeout(Duration::from_secs(60), stdio::serve(Server::new("t", "1").build(), input, Closed));
    let error = serving.await.expect("it ends").expect_err("a failure");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limit_wait_in_order_while_pings_are_answered() {
    const CALLS: usize = attache_host::limits::LINE_CALLS;
    let (server, begun, leave) = waiting();
    let (mut questions, input) = duplex(64 * 1024);
    let (output, answers) = duplex(64 * 1024);
    let serving = tokio::spawn(stdio::serve(server.build(), input, output));
    let mut lines = BufReader::new(answers).lines();
    let beyond = attache_host::limits::LINE_WAITING;
    for id in 0..CALLS + beyond {
        questions.write_all(call(id, "waits").as_bytes()).await.expect("taken");
    }
    questions.write_all(ping(1000).as_bytes()).await.expect("taken");
    let mut answer = async || -> Value {
        let line = timeout(Duration::from_secs(60), lines.next_line()).await.expect("in time");
        serde_json::from_str(&line.expect("readable").expect("an answer")).expect("JSON")
    };
    assert_eq!(answer().await["id"], 1000);
    assert_eq!(begun.load(Ordering::Relaxed), CALLS);
    leave.add_permits(CALLS + beyond);
    drop(questions);
    let mut seen = vec![false; CALLS + beyond];
    for _ in 0..CALLS + beyond {
        let answer = answer().await;
        let id = answer["id"].as_u64().expect("an id");
        // The tool had been started once for each earlier call.
        assert_eq!(answer["result"]["content"][0]["text"], id.to_string());
        seen[usize::try_from(id).expect("small")] = true;
    }
    assert!(seen.into_iter().all(|seen| seen));
    serving.await.expect("no panic").expect("no failure");
}

/// The answers on `output`, by their ids.
async fn answers(output: impl tokio::io::AsyncRead + Unpin) -> Vec<(Value, Value)> {
    let (mut lines, mut answers) = (BufReader::new(output).lines(), Vec::new());
    while let Some(line) = lines.next_line().await.expect("readable") {
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        answers.push((answer["id"].clone(), answer["error"]["code"].clone()));
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn input_that_ends_while_calls_run_on_gives_them_the_grace_and_then_an_error_each() {
    const CALLS: usize = attache_host::limits::LINE_CALLS;
    let (server, begun, _leave) = waiting();
    // One more than run at once, so that one has not begun.
    let lines: String = ping(0) + &(1..=CALLS + 1).map(|id| call(id, "waits")).collect::<String>();
    let (output, input) = duplex(64 * 1024);
    let started = Instant::now();
    let served = stdio::serve(server.build(), io::Cursor::new(lines), output).await;
    assert_eq!(served.expect_err("calls were not finished").kind(), io::ErrorKind::TimedOut);
    assert_eq!((started.elapsed(), begun.load(Ordering::Relaxed)), (attache_host::limits::STDIO_GRACE, CALLS));
    let answers = answers(input).await;
    assert_eq!(answers.len(), CALLS + 2);
    for (id, code) in answers {
        assert_eq!(code, if id == 0 { Value::Null } else { json!(-32603) }, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn stop_gives_calls_the_grace_of_a_stop_and_then_an_error_and_is_no_failure() {
    let grace = Duration::from_secs(7);
    for finishes in [true, false] {
        let (server, _, leave) = waiting();
        let server = server.limits(attache_host::Limits::default().stop_grace(grace)).build();
        let (mut questions, input) = duplex(1024);
        let (output, reader) = duplex(1024);
        questions.write_all(call(1, "waits").as_bytes()).await.expect("taken");
        let stop = tokio::time::sleep(Duration::from_secs(1));
        let started = Instant::now();
        let serving = tokio::spawn(stdio::serve_until(server, input, output, stop));
        tokio::time::sleep(Duration::from_secs(3)).await;
        // Nothing more is read.
        questions.write_all(ping(2).as_bytes()).await.expect("taken");
        if finishes {
            leave.add_permits(1);
        }
        serving.await.expect("no panic").expect("no failure");
        let (time, code) = if finishes { (3, Value::Null) } else { (8, json!(-32603)) };
        assert_eq!(started.elapsed().as_secs(), time);
        assert_eq!(answers(reader).await, [(json!(1), code)]);
    }
}

#[tokio::test(start_paused = true)]
async fn batch_and_streamed_result_that_do_not_end_in_time_get_an_error_as_well() {
    let endless = || futures_util::stream::pending::<Result<String, attache_host::ToolError>>();
    let server = Server::new("t", "1")
        .tool("waits", "d", async |_: NoArgs, _: Ctx| core::future::pending::<String>().await)
        .tool("streams", "d", move |_: NoArgs, _: Ctx| async move { attache_host::TextStream::new(endless()) });
    let handshake = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-03-26",
        "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}});
    let message =
        |id: usize, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    let batch = json!([message(1, "waits"), {"jsonrpc": "2.0", "id": 2, "method": "ping"}]);
    let lines = format!("{handshake}\n{batch}\n{}\n", message(3, "streams"));
    let (output, input) = duplex(64 * 1024);
    stdio::serve(server.build(), io::Cursor::new(lines), output).await.expect_err("calls were not finished");
    let mut lines = BufReader::new(input).lines();
    let mut seen = Vec::new();
    while let Some(line) = lines.next_line().await.expect("readable") {
        match serde_json::from_str(&line).expect("JSON") {
            Value::Array(answers) => seen.extend(answers),
            answer => seen.push(answer),
        }
    }
    let mut ids: Vec<_> = seen.iter().map(|answer| answer["id"].as_u64().expect("an id")).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3], "{seen:?}");
    for answer in seen.iter().filter(|answer| answer["id"] == 1 || answer["id"] == 3) {
        assert!(answer["error"]["code"] == -32603 || answer["result"]["isError"] == true, "{answer}");
    }
}

#[tokio::test]
async fn batch_whose_answers_exceed_the_memory_budget_gets_an_error() {
    let server = Server::new("t", "1").limits(attache_host::Limits::default().memory(1_usize << 20)).tool(
        "large",
        "d",
        async |_: NoArgs, _: Ctx| "x".repeat(60_000),
    );
    let handshake = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-03-26",
        "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}});
    let calls: Vec<_> = (1..=10)
        .map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "large"}}))
        .collect();
    let lines = format!("{handshake}\n{}\n{}", json!(calls), ping(11));
    let (output, input) = duplex(4 << 20);
    stdio::serve(server.build(), io::Cursor::new(lines), output).await.expect("no failure");
    let mut lines = BufReader::new(input).lines();
    let mut seen = Vec::new();
    while let Some(line) = lines.next_line().await.expect("readable") {
        seen.push(serde_json::from_str::<Value>(&line).expect("JSON"));
    }
    assert_eq!(seen.len(), 3, "the handshake, the batch and the ping are answered: {}", seen.len());
    let refused = seen.iter().find(|answer| answer.get("error").is_some()).expect("an error");
    assert_eq!(refused["error"]["code"], -32603, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_never_taken_hold_the_end_up_no_longer_than_the_drain() {
    let (server, _, leave) = waiting();
    leave.add_permits(100);
    let lines: String = (0..100).map(|id| call(id, "waits")).collect();
    // The output is never read, and not even one answer fits into its buffer.
    let (output, _answers) = duplex(16);
    let started = Instant::now();
    let served = stdio::serve(server.build(), io::Cursor::new(lines), output).await;
    assert_eq!(served.expect_err("answers are missing").kind(), io::ErrorKind::TimedOut);
    // All tools have ended, so the server does not wait for the grace period of tools.
    assert_eq!(started.elapsed(), attache_host::limits::STDIO_DRAIN);
}

#[tokio::test(start_paused = true)]
async fn answers_taken_late_but_in_time_are_all_there() {
    let (server, _, leave) = waiting();
    leave.add_permits(100);
    let lines: String = (0..100).map(|id| call(id, "waits")).collect();
    let (output, answers) = duplex(16);
    let serving = tokio::spawn(stdio::serve(server.build(), io::Cursor::new(lines), output));
    tokio::time::sleep(attache_host::limits::STDIO_DRAIN / 2).await;
    let mut lines = BufReader::new(answers).lines();
    let mut count = 0;
    while lines.next_line().await.expect("readable").is_some() {
        count += 1;
    }
    assert_eq!(count, 100);
    serving.await.expect("no panic").expect("no failure");
}

#[tokio::test]
async fn input_that_is_empty_ends_without_a_failure() {
    stdio::serve(Server::new("t", "1").build(), empty(), tokio::io::sink()).await.expect("no failure");
}

#[tokio::test]
async fn byte_order_mark_and_line_ends_of_windows_before_and_behind_messages_are_passed_over() {
    let (ping, hello) = (ping(1), call(2, "waits"));
    let (ping, hello) = (ping.trim_end(), hello.trim_end());
    for input in [
        format!("\u{feff}{ping}\r\n{hello}\r\n"),
        format!("\u{feff}\r\n{ping}\r\n\r\n{hello}\r\n"),
        format!("\r\n\u{feff}{ping}\r\n{hello}"),
        format!("\u{feff}\n\u{feff}{ping}\n\u{feff}{hello}"),
    ] {
        let (server, _, leave) = waiting();
        leave.add_permits(1);
        let (here, there) = duplex(64 * 1024);
        let serving = tokio::spawn(stdio::serve(server.build(), io::Cursor::new(input.clone().into_bytes()), there));
        let mut lines = BufReader::new(here).lines();
        let mut ids = Vec::new();
        while let Some(line) = lines.next_line().await.expect("readable") {
            let answer: Value = serde_json::from_str(&line).expect("JSON");
            assert!(answer["result"].is_object(), "{input:?}: {answer}");
            ids.push(answer["id"].clone());
        }
        assert_eq!(ids, [1, 2], "{input:?}");
        serving.await.expect("no panic").expect("served");
    }
}
