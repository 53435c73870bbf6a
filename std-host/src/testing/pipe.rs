//! The connection of a client in memory to its server.

use crate::engine::Server;
use crate::stdio::serve_visitor;
use crate::visitor::Visitor;
use core::future::pending;
use serde_json::Value;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, duplex, split};
use tokio::task::JoinHandle;

/// Both ends of a pipe in memory, with the server at the other end.
#[derive(Debug)]
pub(super) struct Pipe {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    input: WriteHalf<DuplexStream>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Pipe {
    pub(super) fn to(server: Arc<Server>, visitor: Visitor) -> Self {
        let (here, there) = duplex(CAPACITY);
        let (reading, writing) = split(there);
        let serving = tokio::spawn(serve_visitor(server, visitor, reading, writing, pending()));
        let (lines, input) = split(here);
        Self { lines: BufReader::new(lines).lines(), input, serving }
    }

    pub(super) async fn send(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.expect("the server reads its input");
    }

    pub(super) async fn receive(&mut self) -> Value {
        let line = self.lines.next_line().await.expect("the server writes UTF-8");
        serde_json::from_str(&line.expect("the server is running")).expect("the server writes JSON")
    }
}

/// The bytes that the pipe holds before its writer waits.
const CAPACITY: usize = 64 * 1024;
