//! The device driver over a line: results longer than any buffer, and subscriptions.

use crate::modern::request;
use attache_core::embassy::{self, Changes, LineBuffers};
use attache_core::json::Full;
use attache_core::mcp::Server;
use attache_core::tool::{Call, Contents, Nothing, Operation, Output, Read, Tables, ToolError, ToolResult};
use core::future::Future;
use embedded_io_adapters::tokio_1::FromTokio;
use serde_json::{Value, json};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf, duplex, split};

attache_core::args! { pub struct Lines { /** how many */ lines: u32 } }
attache_core::tools! { pub mod tools for Board {
    /// A log of so many lines
    #[read_only] async fn log(Lines);
    /// A log, and blocks around it
    #[read_only] async fn report(Lines);
    /// A log that cannot be read to its end
    async fn torn(Lines);
    /// A log that fails and says so in its result
    async fn marked(Lines);
    /// A log without an end
    async fn endless(Lines);
    /// A log, then a failure in place of it
    async fn regretted(Lines);
    /// A log, then a protocol error in place of it, which the handler ignores
    async fn rejected(Lines);
    /// One piece larger than the buffer
    async fn lump(Nothing);
} }

attache_core::resources! { pub(crate) mod resources for Board {
    /// What has happened since the start
    "board://log" as "text/plain" => async fn whole_log;
} templates {
} }

/// Returns a log entry that needs every kind of escape; each entry is different.
fn entry(number: u32) -> String {
    format!("{number}: \"quoted\" and \\ back and \ttab and \u{1} and é and 😀\n")
}

pub(crate) fn entries(lines: u32) -> String {
    (0..lines).map(entry).collect()
}

pub(crate) struct Board;

impl Board {
    pub(crate) async fn answer(&self, call: Call<'_>, out: &mut Output<'_>) -> ToolResult {
        match call.operation() {
            Operation::Tool(_) => tools::dispatch(self, call, out).await,
            _ => resources::dispatch(self, call, out).await,
        }
    }

    async fn log(&self, wanted: Lines, out: &mut Output<'_>) -> ToolResult {
        let mut text = out.stream()?;
        for number in 0..wanted.lines {
            text.push(&entry(number)).await?;
        }
        text.end().await
    }

    async fn report(&self, wanted: Lines, out: &mut Output<'_>) -> ToolResult {
        out.text("before")?;
        let mut text = out.stream()?;
        for number in 0..wanted.lines {
            text.piece(|piece| write!(piece, "{number},").map_err(|_| Full)).await?;
            tokio::task::yield_now().await;
        }
        text.end().await?;
        out.text("behind")
    }

    async fn torn(&self, wanted: Lines, out: &mut Output<'_>) -> ToolResult {
        let mut text = out.stream()?;
        for number in 0..wanted.lines {
            text.push(&entry(number)).await?;
        }
        Err(ToolError::Failed("the flash is worn out"))
    }

    async fn marked(&self, wanted: Lines, out: &mut Output<'_>) -> ToolResult {
        self.log(wanted, out).await?;
        out.mark_failed();
        Ok(())
    }

    async fn endless(&self, wanted: Lines, out: &mut Output<'_>) -> ToolResult {
        let mut text = out.stream()?;
        Ok(text.push(&entries(wanted.lines)).await?)
    }

    async fn regretted(&self, wanted: Lines, out: &mut Output<'_>) -> ToolResult {
        self.log(wanted, out).await?;
        out.fail("never mind")
    }

    async fn rejected(&self, wanted: Lines, out: &mut Output<'_>) -> ToolResult {
        self.log(wanted, out).await?;
        let _ = out.reject(attache_core::rpc::Code::InvalidParams, "never mind", None);
        Ok(())
    }

    async fn lump(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        let mut text = out.stream()?;
        text.push("front").await?;
        text.piece(|piece| piece.push(&"x".repeat(3000))).await?;
        text.end().await
    }

    async fn whole_log(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        let mut text = out.stream("text/plain")?;
        text.push(&entries(400)).await?;
        text.end().await
    }
}

static OFFERS: Tables<'static> =
    Tables::of_tools(tools::TOOLS).with_resources(resources::RESOURCES, resources::TEMPLATES).with_subscriptions();
pub(crate) static SERVER: Server<'static> = Server::new("board", "1", &OFFERS);

/// The topics of the board that can change.
pub(crate) type Topics = Changes<2>;

pub(crate) fn topics() -> Topics {
    Changes::new(["board://log", "board://led"])
}

/// The client's end of the board's line.
pub(crate) struct Line {
    input: WriteHalf<DuplexStream>,
    output: BufReader<ReadHalf<DuplexStream>>,
}

impl Line {
    pub(crate) async fn send(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.expect("the line is taken");
    }

    pub(crate) async fn raw(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).await.expect("UTF-8");
        assert_eq!(line.pop(), Some('\n'), "a whole line");
        line
    }

    pub(crate) async fn receive(&mut self) -> Value {
        let line = self.raw().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    pub(crate) async fn ask(&mut self, message: &Value) -> Value {
        self.send(message).await;
        self.receive().await
    }
}

/// Boots a board with result buffers of `OUT` bytes and a line that takes `width` bytes at a time,
/// and runs `client` against it.
fn with_board<const OUT: usize, F: Future<Output = ()>>(width: usize, topics: &Topics, client: impl FnOnce(Line) -> F) {
    on_a_line::<OUT, F>(width, topics, &SERVER, async |call, out| Board.answer(call, out).await, client);
}

/// The same with any tools.
pub(crate) fn on_a_line<const OUT: usize, F: Future<Output = ()>>(
    width: usize,
    topics: &Topics,
    server: &Server<'_>,
    handler: impl AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult,
    client: impl FnOnce(Line) -> F,
) {
    on::<OUT, 2, F>(width, embassy::Line::new(server).changes(topics), handler, client);
}

/// The same on any line.
pub(crate) fn on<const OUT: usize, const URIS: usize, F: Future<Output = ()>>(
    width: usize,
    line: embassy::Line<'_, URIS>,
    handler: impl AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult,
    client: impl FnOnce(Line) -> F,
) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let (near, far) = duplex(width);
        let (output, input) = split(near);
        let (rx, tx) = split(far);
        let mut buffers = LineBuffers::<2048, OUT, 2>::new();
        let io = (FromTokio::new(rx), FromTokio::new(tx));
        let board = line.serve(io, &mut buffers, handler);
        let client = client(Line { input, output: BufReader::new(output) });
        tokio::select! {
            served = board => panic!("the board has stopped: {served:?}"),
            () = client => {}
            () = tokio::time::sleep(core::time::Duration::from_secs(60)) => panic!("both wait for the other"),
        }
    });
}

pub(crate) fn call(id: u32, tool: &str, lines: u32) -> Value {
    let arguments = if tool == "lump" { json!({}) } else { json!({"lines": lines}) };
    request(id, "tools/call", json!({"name": tool, "arguments": arguments}))
}

pub(crate) fn read(id: u32, uri: &str) -> Value {
    request(id, "resources/read", json!({"uri": uri}))
}

pub(crate) fn listen(id: impl Into<Value>, uris: &[&str]) -> Value {
    request(id, "subscriptions/listen", json!({"notifications": {"resourceSubscriptions": uris}}))
}

pub(crate) fn cancel(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id.into()}})
}

#[test]
fn result_of_any_length_through_a_small_buffer_arrives_whole() {
    // Around every boundary: results that fit, that fit except for the tail, that do not fit, and
    // that are many times longer than the buffer.
    for lines in (0..60).chain([400]) {
        for width in [1, 7, 4096] {
            with_board::<512, _>(width, &topics(), async |mut line| {
                let answer = line.ask(&call(1, "log", lines)).await;
                assert_eq!(
                    answer["result"]["content"],
                    json!([{"type": "text", "text": entries(lines)}]),
                    "{lines} lines"
                );
                assert_eq!(answer["result"]["resultType"], "complete");
                assert_eq!(answer["id"], 1);
                let answer = line.ask(&call(2, "marked", lines)).await;
                assert_eq!(answer["result"]["isError"], true);
                assert_eq!(answer["result"]["content"][0]["text"], entries(lines));
            });
        }
    }
}

#[test]
fn log_of_20_kilobytes_is_read_through_a_buffer_of_2() {
    with_board::<2048, _>(64, &topics(), async |mut line| {
        let log = entries(400);
        assert!(log.len() > 20_000);
        let answer = line.ask(&read(1, "board://log")).await;
        let contents = json!([{"uri": "board://log", "mimeType": "text/plain", "text": log}]);
        assert_eq!(answer["result"]["contents"], contents);
        assert_eq!(answer["result"]["cacheScope"], "private");
        // A legacy peer gets the same text in its revision's result.
        let hello = json!({"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        line.ask(&hello).await;
        let read = json!({"jsonrpc": "2.0", "id": 3, "method": "resources/read", "params": {"uri": "board://log"}});
        assert_eq!(line.ask(&read).await, json!({"jsonrpc": "2.0", "id": 3, "result": {"contents": contents}}));
    });
}

#[test]
fn blocks_before_and_after_a_streamed_text_keep_their_order() {
    with_board::<512, _>(64, &topics(), async |mut line| {
        let answer = line.ask(&call(1, "report", 2000)).await;
        let content = &answer["result"]["content"];
        let text: String = (0..2000).map(|number| format!("{number},")).collect();
        assert_eq!([&content[0]["text"], &content[1]["text"], &content[2]["text"]], ["before", &text, "behind"]);
    });
}

#[test]
fn failure_before_a_piece_has_gone_out_is_a_whole_answer() {
    with_board::<2048, _>(64, &topics(), async |mut line| {
        let answer = line.ask(&call(1, "torn", 3)).await;
        assert_eq!(answer["result"]["isError"], true);
        assert_eq!(answer["result"]["content"], json!([{"type": "text", "text": "the flash is worn out"}]));
        let answer = line.ask(&call(2, "regretted", 3)).await;
        assert_eq!(answer["result"]["content"], json!([{"type": "text", "text": "never mind"}]));
        let answer = line.ask(&call(3, "rejected", 3)).await;
        assert_eq!(answer["error"], json!({"code": -32602, "message": "never mind"}));
        let answer = line.ask(&call(4, "endless", 3)).await;
        assert_eq!(answer["error"], json!({"code": -32603, "message": "a text that was streamed has no end"}));
    });
}

#[test]
fn failure_behind_a_piece_that_has_gone_out_breaks_the_line_and_an_error_follows() {
    for (tool, reason) in [
        ("torn", "the flash is worn out"),
        ("endless", "a text that was streamed has no end"),
        ("regretted", "larger than this server's buffer"),
        ("rejected", "larger than this server's buffer"),
        ("lump", "larger than this server's buffer"),
    ] {
        with_board::<512, _>(64, &topics(), async |mut line| {
            line.send(&call(7, tool, 100)).await;
            let broken = line.raw().await;
            assert!(broken.starts_with(r#"{"jsonrpc":"2.0","id":7,"result":{"content":["#), "{tool}: {broken}");
            let read: Result<Value, _> = serde_json::from_str(&broken);
            assert!(read.expect_err("no answer").is_eof(), "{tool}");
            let answer = line.receive().await;
            assert_eq!(answer["id"], 7, "{tool}");
            assert!(answer["error"]["message"].as_str().is_some_and(|said| said.contains(reason)), "{tool}: {answer}");
            assert_eq!(line.ask(&call(8, "log", 1)).await["result"]["content"][0]["text"], entries(1), "{tool}");
        });
    }
}

#[test]
fn subscription_on_a_line_gets_its_changes_under_its_id() {
    let topics = topics();
    with_board::<512, _>(4096, &topics, async |mut line| {
        for (id, uris) in
            [(json!(5), vec!["board://led", "board://nothing"]), (json!("é"), vec!["board://log", "board://led"])]
        {
            let tag = json!({"io.modelcontextprotocol/subscriptionId": id});
            let honoured = json!({"notifications": {"resourceSubscriptions": uris}, "_meta": tag});
            let acknowledged =
                json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": honoured});
            assert_eq!(line.ask(&listen(id, &uris)).await, acknowledged);
        }
        let updated = |id: &str, uri: &str| {
            let id: Value = serde_json::from_str(id).expect("JSON");
            let tag = json!({"io.modelcontextprotocol/subscriptionId": id});
            json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri, "_meta": tag}})
        };
        assert!(topics.updated("board://led"));
        assert!(!topics.updated("board://nothing"), "not declared");
        assert_eq!(line.receive().await, updated("5", "board://led"));
        assert_eq!(line.receive().await, updated(r#""é""#, "board://led"));
        // Many changes before a message is sent are reported once, for each of the resources.
        for _ in 0..100 {
            topics.updated("board://log");
            topics.updated("board://led");
        }
        assert_eq!(line.receive().await, updated("5", "board://led"));
        assert_eq!(line.receive().await, updated(r#""é""#, "board://log"));
        assert_eq!(line.receive().await, updated(r#""é""#, "board://led"));
        // A cancelled subscription hears nothing more, not even of earlier changes.
        topics.updated("board://led");
        line.send(&cancel("é")).await;
        line.send(&cancel("unknown")).await;
        line.send(&cancel(5)).await;
        // Messages that were sent before the cancellation arrived may still come.
        let mut answer = line.ask(&call(9, "log", 1)).await;
        while answer["id"] != 9 {
            assert_eq!(answer["params"]["uri"], "board://led");
            answer = line.receive().await;
        }
        topics.updated("board://led");
        assert_eq!(line.ask(&call(10, "log", 1)).await["id"], 10);
    });
}

#[test]
fn change_during_a_call_is_sent_after_its_answer() {
    let topics = topics();
    with_board::<512, _>(64, &topics, async |mut line| {
        line.ask(&listen(1, &["board://log"])).await;
        line.send(&call(2, "report", 500)).await;
        tokio::task::yield_now().await;
        topics.updated("board://log");
        assert_eq!(line.receive().await["id"], 2);
        assert_eq!(line.receive().await["params"]["uri"], "board://log");
    });
}

#[test]
fn subscription_that_cannot_be_kept_is_refused_by_name() {
    let refused = |answer: &Value, word: &str| {
        let said = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(said.contains(word), "{said}");
        assert_eq!(answer["error"]["code"], -32603);
    };
    with_board::<512, _>(64, &topics(), async |mut line| {
        let longest = "x".repeat(62);
        assert_eq!(
            line.ask(&listen(longest.as_str(), &["board://log"])).await["params"]["_meta"]
                .as_object()
                .map(|tag| tag.len()),
            Some(1)
        );
        refused(&line.ask(&listen("x".repeat(63), &["board://log"])).await, "64 bytes");
        refused(&line.ask(&listen(1, &["board://log", &"y".repeat(600)])).await, "buffer");
        line.ask(&listen(2, &[])).await;
        let answer = line.ask(&listen(3, &["board://log"])).await;
        refused(&answer, "Too many");
        assert_eq!(answer["id"], 3);
        // The same id again takes the same slot.
        assert_eq!(line.ask(&listen(2, &["board://led"])).await["method"], "notifications/subscriptions/acknowledged");
        line.send(&cancel(longest.as_str())).await;
        assert_eq!(line.ask(&listen(3, &[])).await["method"], "notifications/subscriptions/acknowledged");
    });
}

#[test]
fn peer_that_begins_with_a_handshake_gets_nothing_of_the_previous_peers_subscriptions() {
    let topics = topics();
    with_board::<512, _>(64, &topics, async |mut line| {
        line.ask(&listen(1, &["board://log"])).await;
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        assert_eq!(line.ask(&hello).await["result"]["protocolVersion"], "2025-11-25");
        topics.updated("board://log");
        let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
        assert_eq!(line.ask(&ping).await, json!({"jsonrpc": "2.0", "id": 2, "result": {}}));
    });
}
