//! Writes answers, chunks and events to the client of an HTTP connection, within a deadline.

use super::source::Gone;
use crate::exchange::{Emission, Reply};
use crate::http1::{After, Content, chunk, head};
use crate::json::{Sink, Slice};
use crate::mcp::Server;
use embassy_time::{Duration, Instant, with_deadline};
use embedded_io_async::Write;

/// The writing half of a connection.
pub(super) struct To<'a, W> {
    tx: W,
    pub(super) server: &'a Server<'a>,
    /// The time that the client may take for one answer: `Deadlines::write`.
    limit: Duration,
    /// The time by which the client must have received the answer that is being sent.
    pub(super) by: Instant,
}

impl<'a, W: Write> To<'a, W> {
    pub(super) fn new(tx: W, server: &'a Server<'a>, limit: Duration) -> Self {
        Self { tx, server, limit, by: Instant::MIN }
    }

    /// Starts the deadline for an answer, or for one piece of a stream. Without it a client that takes a few bytes at a time
    /// could hold its connection for hours.
    #[inline(never)]
    pub(super) fn renew(&mut self) {
        self.by = Instant::now().saturating_add(self.limit);
    }

    pub(super) async fn put(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let put = with_deadline(self.by, self.tx.write_all(bytes)).await;
        put.map_err(|_| too_slow())?.map_err(|_| Gone)
    }

    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        with_deadline(self.by, self.tx.flush()).await.map_err(|_| too_slow())?.map_err(|_| Gone)
    }

    pub(super) async fn head(&mut self, status: u16, content: Content, after: After) -> Result<(), Gone> {
        let mut buffer = [0; HEAD];
        let len = written_head(status, content, after, &mut buffer);
        self.put(buffer.get(..len).unwrap_or_default()).await
    }

    /// Sends a whole answer. It always has a reply, because no part of it was sent before.
    pub(super) async fn reply(
        &mut self,
        reply: Option<&Reply>,
        after: After,
        body: &[u8],
        written: &[u8],
    ) -> Result<(), Gone> {
        let reply = reply.ok_or(Gone)?;
        reply.tell();
        let emission = reply.emit(self.server, body, written);
        self.head(reply.status(), Content::Message(emission.len()), after).await?;
        self.emission(emission).await?;
        self.flush().await
    }

    /// Sends an answer as one chunk, between `front` and `back`: `reply` around the text that its
    /// call has `written`, or `written` alone.
    pub(super) async fn part(
        &mut self,
        reply: Option<Emission<'_>>,
        [front, back]: [&[u8]; 2],
        written: &[u8],
    ) -> Result<(), Gone> {
        let Some(emission) = reply else {
            return self.chunk(&[front, written, back]).await;
        };
        self.put(&chunk(front.len() + emission.len() + back.len())).await?;
        self.put(front).await?;
        self.emission(emission).await?;
        self.put(back).await?;
        self.put(b"\r\n").await
    }

    pub(super) async fn emission(&mut self, mut emission: Emission<'_>) -> Result<(), Gone> {
        let mut piece = [0; PIECE];
        loop {
            let len = emission.fill(&mut piece);
            if len == 0 {
                return Ok(());
            }
            self.put(piece.get(..len).unwrap_or_default()).await?;
        }
    }

    /// Ends an answer in chunks.
    pub(super) async fn end(&mut self) -> Result<(), Gone> {
        self.put(LAST_CHUNK).await?;
        self.flush().await
    }

    /// Sends one chunk of these parts, or nothing if they are empty: an empty chunk would end the
    /// answer.
    pub(super) async fn chunk(&mut self, parts: &[&[u8]]) -> Result<(), Gone> {
        let len = parts.iter().map(|part| part.len()).sum();
        if len == 0 {
            return Ok(());
        }
        self.put(&chunk(len)).await?;
        for part in parts {
            self.put(part).await?;
        }
        self.put(b"\r\n").await
    }
}

fn too_slow() -> Gone {
    warning!("write timeout: the client did not take its answer in time, so its connection is reset");
    Gone
}

/// Writes a head, and returns its length. It always fits.
#[inline(never)]
fn written_head(status: u16, content: Content, after: After, buffer: &mut [u8; HEAD]) -> usize {
    let mut out = Slice::new(buffer);
    let fits = head(status, content, after, &mut out);
    if fits.is_ok() { out.len() } else { 0 }
}

/// RFC 9112 §7.1: without a trailer.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Bytes of an answer moved at a time, on the stack of the task.
const PIECE: usize = 64;

/// The size of a buffer that the head of every answer fits into.
const HEAD: usize = 192;
