//! The log of a device: the refusals, cut connections and denials that its drivers report.

use crate::device::{Board, SERVER, Topics, call, cancel, on_a_line, read, topics};
use crate::endpoint::{IMPATIENT, boot, rest, wire};
use attache_core::tool::Operation;
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::json;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Instant;

struct Lines(Mutex<Vec<String>>);

/// The log lines of all boards in this program.
static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("attache_core")
    }
    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().expect("not poisoned").push(record.args().to_string());
        }
    }
    fn flush(&self) {}
}

fn wait_for(text: &str) {
    let started = Instant::now();
    while !LINES.0.lock().expect("not poisoned").iter().any(|line| line.contains(text)) {
        let lines = LINES.0.lock().expect("not poisoned").clone();
        assert!(started.elapsed() < crate::endpoint::PATIENCE, "nothing is told of {text:?}: {lines:?}");
        std::thread::sleep(core::time::Duration::from_millis(10));
    }
}

#[test]
fn refused_and_disconnected_callers_are_in_the_log_of_the_device() {
    log::set_logger(&LINES).expect("nobody else has set one");
    log::set_max_level(LevelFilter::Warn);
    let topics: &'static Topics = Box::leak(Box::new(topics()));
    let board = boot(&SERVER, topics, 2, IMPATIENT, async |call, out| match call.operation() {
        Operation::Tool(_) => Board.answer(call, out).await,
        _ => core::future::pending().await,
    });
    let good = wire(&call(1, "log", 1), "connection: close\r\n");
    let send = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(board.address()).expect("the board listens");
        stream.write_all(bytes).expect("it is taken");
        rest(&mut stream)
    };
    let text = String::from_utf8(good.clone()).expect("UTF-8");
    send(text.replacen("localhost", "evil.example", 1).as_bytes());
    wait_for("refused: Host is not a name of this server");
    send(text.replacen("/mcp", "/nothing", 1).as_bytes());
    wait_for("refused: There is nothing at this path");
    // The method is a name from the protocol's table, never a text from the peer.
    send(&wire(&call(1, "unknown", 1), "connection: close\r\n"));
    wait_for("refused tools/call: Unknown tool");
    send(&good[..20]);
    wait_for("a request whose head did not come in time: cut off");
    send(&good[..good.len() - 1]);
    wait_for("a request whose body did not come in time: cut off");
    send(&wire(&read(1, "board://log"), "connection: close\r\n"));
    wait_for("a call took too long: its handler is dropped");
    send(&wire(&call(1, "torn", 100), ""));
    wait_for("its connection is reset");
    on_a_line::<512, _>(
        4096,
        topics,
        &SERVER,
        async |_, _| core::future::pending().await,
        async |mut line| {
            line.send(&call(1, "log", 1)).await;
            line.send(&cancel(1)).await;
            line.ask(&json!({"jsonrpc": "2.0", "id": 2, "method": "no/such"})).await;
        },
    );
    wait_for("a call was cancelled: its handler is dropped");
    wait_for("refused unknown: ");
}
