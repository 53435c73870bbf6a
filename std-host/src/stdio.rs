//! MCP over standard input and output (MCP basic/transports/stdio), or any pair of byte streams: one message a line.
//! Calls run side by side, each answer is one line, and nothing else is ever written.

use crate::engine::{Engine, Pending};
use crate::limits;
use attache_core::auth::{Access, Authenticated};
use attache_core::exchange::{Next, too_large};
use attache_core::line::{Connection, Cut, Lines};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Serves one connection until `input` ends; then running calls have
/// [`STDIO_GRACE`](crate::limits::STDIO_GRACE) to answer.
///
/// # Errors
/// If reading or writing fails.
pub async fn serve(
    engine: Arc<Engine>,
    mut input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> io::Result<()> {
    let (answers, outbox) = mpsc::channel(limits::LINE_CALLS);
    let writer = tokio::spawn(write_lines(output, outbox));
    let mut peer = Peer { engine, connection: Connection::new(), answers, calls: JoinSet::new() };
    let mut buffer = vec![0; limits::BODY];
    let mut lines = Lines::new(&mut buffer);
    let mut piece = vec![0; PIECE];
    loop {
        let read = input.read(&mut piece).await?;
        let mut fresh = piece.get(..read).unwrap_or_default();
        while let Some(cut) = lines.feed(&mut fresh) {
            peer.take(cut).await;
        }
        if read == 0 {
            if let Some(cut) = lines.finish() {
                peer.take(cut).await;
            }
            break;
        }
        if writer.is_finished() {
            break;
        }
    }
    let Peer { answers, mut calls, .. } = peer;
    let rest = async { while calls.join_next().await.is_some() {} };
    if timeout(limits::STDIO_GRACE, rest).await.is_err() {
        tracing::warn!(calls = calls.len(), "input has ended; calls that still ran were dropped");
        calls.shutdown().await;
    }
    drop(answers);
    writer.await.map_err(io::Error::other)?
}

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

struct Peer {
    engine: Arc<Engine>,
    connection: Connection,
    answers: mpsc::Sender<Bytes>,
    calls: JoinSet<()>,
}

impl Peer {
    async fn take(&mut self, cut: Cut<'_>) {
        // Whoever holds the other end of a pipe was let in by the operating system.
        let who = Authenticated::anonymous(&Access::Anonymous);
        let (next, line) = match cut {
            Cut::TooLong => (Next::Reply(too_large(limits::BODY)), Bytes::new()),
            Cut::Line(line) => (self.connection.open(&self.engine.view(), &who, line), Bytes::copy_from_slice(line)),
        };
        let answers = self.answers.clone();
        // A writer that is gone has told its error already, so a send that fails is no news.
        match self.engine.start(next, &who, line) {
            None => {}
            Some(Pending::Ready(answer)) => {
                let _ = answers.send(answer.bytes).await;
            }
            Some(pending) => {
                while self.calls.try_join_next().is_some() {}
                while self.calls.len() >= limits::LINE_CALLS {
                    self.calls.join_next().await;
                }
                let engine = Arc::clone(&self.engine);
                self.calls.spawn(async move {
                    let _ = answers.send(pending.answer(&engine).await.bytes).await;
                });
            }
        }
    }
}

async fn write_lines(mut output: impl AsyncWrite + Unpin, mut outbox: mpsc::Receiver<Bytes>) -> io::Result<()> {
    while let Some(answer) = outbox.recv().await {
        output.write_all(&answer).await?;
        output.write_all(b"\n").await?;
        if outbox.is_empty() {
            output.flush().await?;
        }
    }
    output.flush().await
}
