//! A device's handlers: progress and log messages during a call, cancellation, and dropped calls,
//! over a line and over HTTP.

use crate::device::{Topics, cancel, on_a_line, topics};
use crate::endpoint::{IMPATIENT, PATIENCE, ask, boot, rest, until, wire};
use crate::implementations::Http;
use crate::modern::request;
use ::core::sync::atomic::{AtomicUsize, Ordering};
use ::core::time::Duration;
use attache_core::embassy::Deadlines;
use attache_core::json::{Escaped, Full};
use attache_core::mcp::Server;
use attache_core::tool::{Contents, Level, Nothing, Output, Read, Tables, ToolResult};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

attache_core::args! { pub struct Steps { /** how many */ steps: u32 } }
attache_core::tools! { pub mod tools for Mill {
    /// Reports progress for every step, and waits after each
    async fn walk(Steps);
    /// Reports progress for every step without waiting
    async fn run(Steps);
    /// Reports two steps, streams a long text, and reports more steps
    async fn grind(Steps);
    /// Writes to the log, at every level
    async fn mutter(Nothing);
    /// Logs a message that is too long for the buffer
    async fn shout(Nothing);
    /// Waits for this many hundredths of a second
    async fn rest(Steps);
    /// The same, and must not be dropped before it finishes
    async fn burn(Steps);
} }
attache_core::resources! { pub mod resources for Mill {
    /// A text that is slow to produce
    "mill://flour" as "text/plain" => async fn flour;
} templates {
} }

/// A mill that counts its calls by outcome.
#[derive(Default)]
struct Mill {
    started: AtomicUsize,
    dropped: AtomicUsize,
    ended: AtomicUsize,
}

/// Lives as long as its call is not dropped.
struct Alive<'a>(&'a AtomicUsize);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

const fn plain(text: &'static str) -> Escaped<'static> {
    Escaped::new(text).expect("no quotes in it")
}

impl Mill {
    async fn answer(&self, call: attache_core::tool::Call<'_>, out: &mut Output<'_>) -> ToolResult {
        match call.operation() {
            attache_core::tool::Operation::Tool(_) => tools::dispatch(self, call, out).await,
            _ => resources::dispatch(self, call, out).await,
        }
    }

    async fn walk(&self, wanted: Steps, out: &mut Output<'_>) -> ToolResult {
        out.text("before")?;
        for step in 1..=wanted.steps {
            out.caller().progress(step, Some(wanted.steps), Some(plain("on the way")));
            tokio::time::sleep(Duration::from_millis(20)).await;
            // A value that does not grow is not sent as progress.
            out.caller().progress(step, None, None);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        out.text("behind")
    }

    async fn run(&self, wanted: Steps, out: &mut Output<'_>) -> ToolResult {
        for step in 1..=wanted.steps {
            out.caller().progress(step, None, None);
            tokio::task::yield_now().await;
        }
        out.text("there")
    }

    async fn grind(&self, wanted: Steps, out: &mut Output<'_>) -> ToolResult {
        out.caller().progress(1, None, None);
        tokio::task::yield_now().await;
        out.caller().progress(2, None, None);
        let mut text = out.stream()?;
        for step in 0..wanted.steps {
            text.piece(|piece| write!(piece, "{step},").map_err(|_| Full)).await?;
            tokio::task::yield_now().await;
        }
        text.end().await?;
        out.caller().progress(3, None, None);
        tokio::task::yield_now().await;
        out.text("behind")
    }

    async fn mutter(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("before")?;
        for level in [Level::Debug, Level::Info, Level::Error, Level::Emergency] {
            out.caller().log(level, |text| writeln!(text, "\"{}\"", level.name()).map_err(|_| Full)).await?;
        }
        out.text("behind")
    }

    async fn shout(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("before")?;
        let told = out.caller().log(Level::Alert, |text| text.push(&"A".repeat(5000))).await;
        out.text(if told.is_err() { "too loud" } else { "not heard" })
    }

    async fn rest(&self, wanted: Steps, out: &mut Output<'_>) -> ToolResult {
        self.started.fetch_add(1, Ordering::SeqCst);
        let alive = Alive(&self.dropped);
        tokio::time::sleep(Duration::from_millis(10 * u64::from(wanted.steps))).await;
        ::core::mem::forget(alive);
        self.ended.fetch_add(1, Ordering::SeqCst);
        out.text("rested")
    }

    async fn burn(&self, wanted: Steps, out: &mut Output<'_>) -> ToolResult {
        out.must_finish();
        self.rest(wanted, out).await?;
        let mut text = out.stream()?;
        text.push(&"burnt ".repeat(1000)).await?;
        text.end().await
    }

    async fn flour(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        out.caller().progress(1, Some(2), None);
        tokio::task::yield_now().await;
        let _ = out.caller().log(Level::Notice, |text| text.push("fine")).await;
        out.text("text/plain", "flour")
    }
}

const OFFERS: Tables<'static> =
    Tables::of_tools(tools::TOOLS).with_resources(resources::RESOURCES, &[]).with_logging().with_subscriptions();
/// The server of a line, which stores the log level and subscriptions of a legacy peer.
static LINE: Server<'static> = Server::new("mill", "1", &OFFERS).with_sessions();
static HTTP: Server<'static> = Server::new("mill", "1", &OFFERS);

fn line<F: Future<Output = ()>>(mill: &Mill, client: impl FnOnce(crate::device::Line) -> F) {
    line_of(8192, mill, client);
}

/// The same on a line that buffers `width` bytes before the reader takes them.
fn line_of<F: Future<Output = ()>>(width: usize, mill: &Mill, client: impl FnOnce(crate::device::Line) -> F) {
    on_a_line::<512, F>(width, &topics(), &LINE, async |call, out| mill.answer(call, out).await, client);
}

fn boot_mill() -> (Http, &'static Mill) {
    boot_mill_with(2, Deadlines::DEFAULT)
}

fn boot_mill_with(sockets: usize, deadlines: Deadlines) -> (Http, &'static Mill) {
    let topics: &'static Topics = Box::leak(Box::new(topics()));
    let mill: &'static Mill = Box::leak(Box::default());
    (boot(&HTTP, topics, sockets, deadlines, async |call, out| mill.answer(call, out).await), mill)
}

/// A call with this progress token that wants log messages from this level on.
fn call(id: u32, tool: &str, steps: u32, token: Value, level: Option<&str>) -> Value {
    let mut arguments = json!({"steps": steps});
    if ["mutter", "shout"].contains(&tool) {
        arguments = json!({});
    }
    let mut meta = json!({});
    if !token.is_null() {
        meta["progressToken"] = token;
    }
    if let Some(level) = level {
        meta["io.modelcontextprotocol/logLevel"] = json!(level);
    }
    request(id, "tools/call", json!({"name": tool, "arguments": arguments, "_meta": meta}))
}

fn legacy(id: u32, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn hello(version: &str) -> Value {
    let client = json!({"name": "t", "version": "1"});
    legacy(0, "initialize", json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client}))
}

fn progress(token: Value, rest: Value) -> Value {
    let mut params = rest;
    params["progressToken"] = token;
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
}

fn text(answer: &Value, at: usize) -> &str {
    answer["result"]["content"][at]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

/// Returns the messages of a stream of events.
fn events(came: &str) -> Vec<Value> {
    let body = came.split_once("\r\n\r\n").expect("a head").1;
    let mut whole = String::new();
    let mut rest = body;
    while let Some((size, behind)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk");
        whole += &behind[..size];
        rest = &behind[size + 2..];
    }
    let events = whole.split("\n\n").filter_map(|event| event.strip_prefix("event: message\ndata: "));
    events.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
}

/// Sends a message on a connection that closes after the answer, and returns everything received.
fn heard(http: &Http, message: &Value) -> String {
    let mut stream = TcpStream::connect(http.address()).expect("the board listens");
    stream.write_all(&wire(message, "connection: close\r\n")).expect("it is taken");
    rest(&mut stream)
}

fn wait(counter: &AtomicUsize, count: usize) {
    let started = Instant::now();
    while counter.load(Ordering::SeqCst) < count {
        assert!(started.elapsed() < PATIENCE, "it never comes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn progress_on_a_line_comes_before_the_answer_if_the_client_asked_for_it() {
    line(&Mill::default(), async |mut line| {
        line.send(&call(1, "walk", 3, json!("tök\"en"), None)).await;
        for step in 1..=3 {
            let words = json!({"progress": step, "total": 3, "message": "on the way"});
            assert_eq!(line.receive().await, progress(json!("tök\"en"), words));
        }
        let answer = line.receive().await;
        assert_eq!([text(&answer, 0), text(&answer, 1)], ["before", "behind"]);
        assert_eq!(line.ask(&call(2, "walk", 3, Value::Null, None)).await["id"], 2, "nobody asked");
        // Each revision gets only the members it knows: `message` came with 2025-03-26.
        for (version, words) in [("2024-11-05", None), ("2025-03-26", Some("on the way"))] {
            line.ask(&hello(version)).await;
            let params = json!({"name": "walk", "arguments": {"steps": 1}, "_meta": {"progressToken": 7}});
            let told = line.ask(&legacy(3, "tools/call", params)).await;
            assert_eq!((&told["params"]["progress"], told["params"]["message"].as_str()), (&json!(1), words));
            assert_eq!(line.receive().await["id"], 3);
        }
    });
}

#[test]
fn progress_faster_than_the_line_is_sent_with_its_latest_value_only() {
    line_of(64, &Mill::default(), async |mut line| {
        line.send(&call(1, "run", 5000, json!(1), None)).await;
        let (mut last, mut told) = (0, 0);
        loop {
            let message = line.receive().await;
            if message["id"] == 1 {
                break;
            }
            let step = message["params"]["progress"].as_u64().expect("a number");
            assert!(step > last, "{step} behind {last}");
            (last, told) = (step, told + 1);
        }
        assert_eq!(last, 5000, "the last of it is not lost");
        assert!((2..2500).contains(&told), "{told}");
    });
}

#[test]
fn no_message_is_sent_inside_a_streamed_result() {
    line(&Mill::default(), async |mut line| {
        line.send(&call(1, "grind", 1000, json!(1), None)).await;
        assert_eq!(line.receive().await["params"]["progress"], 1);
        let mut answer = line.receive().await;
        // The second progress may or may not be sent before the first piece; that depends on
        // timing.
        if answer["params"]["progress"] == 2 {
            answer = line.receive().await;
        }
        assert_eq!(text(&answer, 0), (0..1000).map(|step| format!("{step},")).collect::<String>());
        assert_eq!(text(&answer, 1), "behind");
    });
}

#[test]
fn log_messages_on_a_line_follow_the_level_of_the_client_in_every_revision() {
    line(&Mill::default(), async |mut line| {
        let message = |level: &str| {
            let params = json!({"level": level, "data": format!("\"{level}\"\n")});
            json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
        };
        line.send(&call(1, "mutter", 0, Value::Null, Some("error"))).await;
        assert_eq!(line.receive().await, message("error"));
        assert_eq!(line.receive().await, message("emergency"));
        let answer = line.receive().await;
        assert_eq!([text(&answer, 0), text(&answer, 1)], ["before", "behind"]);
        assert_eq!(line.ask(&call(2, "mutter", 0, Value::Null, None)).await["id"], 2, "nobody asked");
        let answer = line.ask(&call(3, "shout", 0, Value::Null, Some("debug"))).await;
        assert_eq!([text(&answer, 0), text(&answer, 1)], ["before", "too loud"]);
        // A legacy peer sets the level once for all later calls; the next peer starts without a
        // level.
        for version in ["2024-11-05", "2025-11-25"] {
            assert_eq!(line.ask(&hello(version)).await["result"]["capabilities"]["logging"], json!({}));
            let mutter = json!({"name": "mutter", "arguments": {}});
            assert_eq!(line.ask(&legacy(4, "tools/call", mutter.clone())).await["id"], 4, "nobody asked");
            assert_eq!(line.ask(&legacy(5, "logging/setLevel", json!({"level": "emergency"}))).await["id"], 5);
            assert_eq!(line.ask(&legacy(6, "tools/call", mutter)).await, message("emergency"));
            assert_eq!(line.receive().await["id"], 6);
        }
    });
}

#[test]
fn legacy_subscription_on_a_line_gets_its_changes_until_it_ends() {
    let topics = topics();
    let mill = Mill::default();
    let offers =
        Tables::of_tools(tools::TOOLS).with_resources(crate::device::resources::RESOURCES, &[]).with_subscriptions();
    let server = Server::new("mill", "1", &offers).with_sessions();
    on_a_line::<512, _>(
        64,
        &topics,
        &server,
        async |call, out| mill.answer(call, out).await,
        async |mut line| {
            line.ask(&hello("2025-11-25")).await;
            let uri = json!({"uri": "board://log"});
            let refused = line.ask(&legacy(1, "resources/subscribe", json!({"uri": "board://nothing"}))).await;
            assert_eq!(refused["error"]["code"], -32002);
            topics.updated("board://log");
            assert_eq!(line.ask(&legacy(2, "resources/subscribe", uri.clone())).await["result"], json!({}));
            topics.updated("board://led");
            topics.updated("board://log");
            assert_eq!(
                line.receive().await,
                json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": uri})
            );
            assert_eq!(line.ask(&legacy(3, "resources/unsubscribe", uri)).await["result"], json!({}));
            topics.updated("board://log");
            assert_eq!(line.ask(&legacy(4, "ping", json!({}))).await["id"], 4);
        },
    );
}

#[test]
fn ping_on_a_line_is_answered_while_a_call_runs_and_everything_else_behind_it() {
    let mill = Mill::default();
    line(&mill, async |mut line| {
        line.ask(&hello("2025-11-25")).await;
        line.send(&legacy(1, "tools/call", json!({"name": "rest", "arguments": {"steps": 100}}))).await;
        line.send(&legacy(2, "tools/list", json!({}))).await;
        line.send(&legacy(3, "ping", json!({}))).await;
        let long = "i".repeat(62);
        line.send(&json!({"jsonrpc": "2.0", "id": long, "method": "ping"})).await;
        assert_eq!(line.receive().await, json!({"jsonrpc": "2.0", "id": 3, "result": {}}));
        assert_eq!(line.receive().await, json!({"jsonrpc": "2.0", "id": long, "result": {}}));
        assert_eq!(mill.ended.load(Ordering::SeqCst), 0);
        assert_eq!(text(&line.receive().await, 0), "rested");
        assert_eq!(line.receive().await["id"], 2);
        // More than the driver reads ahead: the line applies backpressure, and nothing is lost.
        line.send(&legacy(4, "tools/call", json!({"name": "rest", "arguments": {"steps": 100}}))).await;
        for id in 5..9 {
            line.send(&legacy(id, "ping", json!({"pad": "x".repeat(30)}))).await;
            line.send(&legacy(100 + id, "tools/list", json!({}))).await;
        }
        line.send(&legacy(
            50,
            "tools/call",
            json!({"name": "walk", "arguments": {"steps": 1, "pad": "x".repeat(900)}}),
        ))
        .await;
        let mut ids: Vec<u64> = Vec::new();
        for _ in 0..10 {
            ids.push(line.receive().await["id"].as_u64().expect("a number"));
        }
        assert_eq!(ids.iter().filter(|id| **id == 4).count(), 1, "{ids:?}");
        assert_eq!(ids.last(), Some(&50), "{ids:?}");
        let lists: Vec<_> = ids.iter().copied().filter(|id| *id > 100).collect();
        assert_eq!(lists, [105, 106, 107, 108], "in their order");
    });
}

#[test]
fn call_that_is_cancelled_on_a_line_is_dropped_and_not_answered() {
    for modern in [true, false] {
        let mill = Mill::default();
        line(&mill, async |mut line| {
            if !modern {
                line.ask(&hello("2025-06-18")).await;
            }
            let call = |id: u32, tool: &str, steps: u32| match modern {
                true => call(id, tool, steps, Value::Null, None),
                false => legacy(id, "tools/call", json!({"name": tool, "arguments": {"steps": steps}})),
            };
            line.send(&call(1, "rest", 100_000)).await;
            line.send(&cancel(2)).await;
            line.send(&cancel("1")).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(mill.dropped.load(Ordering::SeqCst), 0, "another was meant");
            line.send(&cancel(1)).await;
            assert_eq!(line.ask(&call(3, "rest", 1)).await["id"], 3);
            assert_eq!(mill.dropped.load(Ordering::SeqCst), 1);
            // A call that waits for its turn is cancelled before its handler starts any work.
            line.send(&call(4, "rest", 10)).await;
            line.send(&call(5, "rest", 100_000)).await;
            line.send(&cancel(5)).await;
            assert_eq!(line.receive().await["id"], 4);
            assert_eq!(line.ask(&call(6, "rest", 1)).await["id"], 6);
            // A handler that must finish runs to its end, but its call gets no answer either.
            let ended = mill.ended.load(Ordering::SeqCst);
            line.send(&call(7, "burn", 50)).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            line.send(&cancel(7)).await;
            assert_eq!(line.ask(&call(8, "rest", 1)).await["id"], 8);
            assert_eq!(mill.ended.load(Ordering::SeqCst), ended + 2);
        });
    }
}

#[test]
fn call_that_is_cancelled_inside_its_streamed_answer_leaves_no_whole_line() {
    line(&Mill::default(), async |mut line| {
        line.send(&call(1, "grind", 100_000, Value::Null, None)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        line.send(&cancel(1)).await;
        let broken = line.raw().await;
        assert!(broken.starts_with(r#"{"jsonrpc":"2.0","id":1,"result""#), "{broken}");
        assert!(serde_json::from_str::<Value>(&broken).is_err());
        assert_eq!(line.ask(&call(2, "rest", 1, Value::Null, None)).await["id"], 2);
    });
}

#[test]
fn answer_over_http_is_a_stream_of_events_with_progress_and_plain_json_without() {
    let (board, _) = boot_mill_with(3, Deadlines::DEFAULT);
    let came = heard(&board, &call(1, "walk", 3, json!("t"), Some("debug")));
    assert!(came.contains("content-type: text/event-stream\r\n"), "{came}");
    let events = events(&came);
    let words = |step: u32| json!({"progress": step, "total": 3, "message": "on the way"});
    assert_eq!(events[..3], [1, 2, 3].map(|step| progress(json!("t"), words(step))));
    assert_eq!([text(&events[3], 0), text(&events[3], 1)], ["before", "behind"]);
    assert_eq!(events.len(), 4);
    for silent in [
        call(2, "walk", 3, Value::Null, None),
        call(2, "rest", 1, json!("t"), Some("debug")),
        call(2, "mutter", 0, json!("t"), None),
    ] {
        let came = heard(&board, &silent);
        assert!(came.contains("content-type: application/json\r\n") && came.contains("content-length"), "{came}");
    }
    // The connection stays open after a stream.
    let mut stream = TcpStream::connect(board.address()).expect("the board listens");
    for id in 0..3 {
        stream.write_all(&wire(&call(id, "walk", 1, json!(id), None), "")).expect("it is taken");
        let came = until(&mut stream, "\r\n0\r\n\r\n", 1);
        assert_eq!(crate::call_events::events(&came)[1]["id"], id);
    }
}

#[test]
fn log_messages_over_http_are_events_from_the_requested_level_on() {
    let (board, _) = boot_mill();
    let events = events(&heard(&board, &call(1, "mutter", 0, Value::Null, Some("info"))));
    let levels: Vec<_> = events.iter().filter_map(|event| event["params"]["level"].as_str()).collect();
    assert_eq!(levels, ["info", "error", "emergency"]);
    assert_eq!(text(events.last().expect("an answer"), 1), "behind");
    let meta = json!({"progressToken": 3, "io.modelcontextprotocol/logLevel": "debug"});
    let read = request(2, "resources/read", json!({"uri": "mill://flour", "_meta": meta}));
    let events = crate::call_events::events(&heard(&board, &read));
    assert_eq!((events.len(), &events[0]["params"]["total"]), (3, &json!(2)));
    assert_eq!(events[1]["params"], json!({"level": "notice", "data": "fine"}));
    assert_eq!(events[2]["result"]["contents"][0]["text"], "flour");
}

#[test]
fn result_that_is_streamed_behind_progress_is_one_event() {
    let (board, _) = boot_mill();
    let events = events(&heard(&board, &call(1, "grind", 1000, json!(1), None)));
    assert_eq!(events[0]["params"]["progress"], 1);
    let answer = events.last().expect("an answer");
    assert_eq!(text(answer, 0), (0..1000).map(|step| format!("{step},")).collect::<String>());
    assert_eq!(text(answer, 1), "behind");
}

#[test]
fn batch_over_http_and_on_a_line_gets_only_its_answers() {
    let walk = json!({"name": "walk", "arguments": {"steps": 2}, "_meta": {"progressToken": 1}});
    let batch = json!([legacy(1, "tools/call", walk.clone()), legacy(2, "tools/call", walk)]);
    let (board, _) = boot_mill();
    let came = board.post(&[("host", "localhost"), ("content-type", "application/json")], batch.to_string().as_bytes());
    let answers: Value = serde_json::from_slice(&came.body).expect("JSON");
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!(1), &json!(2)));
    line(&Mill::default(), async |mut line| {
        line.ask(&hello("2025-03-26")).await;
        assert_eq!(line.ask(&batch).await.as_array().map(Vec::len), Some(2));
    });
}

#[test]
fn call_that_must_finish_outlives_its_client_and_holds_no_socket_longer_than_its_deadline() {
    let (board, mill) = boot_mill_with(1, Deadlines::DEFAULT);
    for (tool, dropped, ended) in [("rest", 1, 0), ("burn", 1, 1)] {
        let before = mill.started.load(Ordering::SeqCst);
        let mut stream = TcpStream::connect(board.address()).expect("the board listens");
        stream.write_all(&wire(&call(1, tool, 50, Value::Null, None), "")).expect("it is taken");
        wait(&mill.started, before + 1);
        stream.shutdown(Shutdown::Both).expect("it closes");
        drop(stream);
        wait(&mill.dropped, dropped);
        wait(&mill.ended, ended);
        // The socket serves the next client.
        assert_eq!(ask(&board, &call(2, "walk", 1, Value::Null, None))["id"], 2);
        assert_eq!((mill.dropped.load(Ordering::SeqCst), mill.ended.load(Ordering::SeqCst)), (dropped, ended));
    }
    let (board, mill) = boot_mill_with(1, IMPATIENT);
    let answer = ask(&board, &call(3, "burn", 1000, Value::Null, None));
    assert_eq!(text(&answer, 0), "The call took longer than this server allows");
    wait(&mill.dropped, 1);
}
