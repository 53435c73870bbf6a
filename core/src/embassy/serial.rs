//! MCP lines over a UART, a USB serial port, or any pair of async byte streams.

use crate::auth::Authenticated;
use crate::exchange::{Next, Reply, too_large};
use crate::json::Slice;
use crate::line::{Connection, Cut, Lines};
use crate::mcp::Server;
use crate::tool::{Call, Output, ToolResult};
use embedded_io_async::{Read, Write};

/// The memory of one line: put it in a `static`.
///
/// `LINE` is the longest message in bytes, `OUT` the longest tool result; both are refused by name when they do not
/// suffice. Lists and errors need no room here.
#[derive(Debug)]
pub struct Buffers<const LINE: usize, const OUT: usize> {
    line: [u8; LINE],
    out: [u8; OUT],
}

impl<const LINE: usize, const OUT: usize> Buffers<LINE, OUT> {
    /// Empty buffers.
    pub const fn new() -> Self {
        Self { line: [0; LINE], out: [0; OUT] }
    }
}

impl<const LINE: usize, const OUT: usize> Default for Buffers<LINE, OUT> {
    fn default() -> Self {
        Self::new()
    }
}

/// Why [`serve_lines`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<R, W> {
    /// Reading failed.
    Read(R),
    /// Writing failed.
    Write(W),
}

/// Serves MCP over `rx` and `tx` until `rx` ends, one message at a time; messages that come meanwhile wait in the line.
///
/// # Errors
/// What `rx` or `tx` reports.
pub async fn serve_lines<R: Read, W: Write, const LINE: usize, const OUT: usize>(
    mut rx: R,
    tx: W,
    buffers: &mut Buffers<LINE, OUT>,
    server: &Server<'_>,
    who: &Authenticated<'_>,
    handler: impl AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult,
) -> Result<(), Error<R::Error, W::Error>> {
    let mut lines = Lines::new(&mut buffers.line);
    let mut peer = Peer { connection: Connection::outlasting(), server, who, out: &mut buffers.out, tx, handler };
    let mut piece = [0; PIECE];
    loop {
        let limit = lines.capacity();
        let read = rx.read(&mut piece).await.map_err(Error::Read)?;
        if read == 0 {
            return match lines.finish() {
                Some(cut) => peer.answer(cut, limit).await.map_err(Error::Write),
                None => Ok(()),
            };
        }
        let mut input = piece.get(..read).unwrap_or_default();
        while let Some(cut) = lines.feed(&mut input) {
            peer.answer(cut, limit).await.map_err(Error::Write)?;
        }
    }
}

/// Bytes moved at a time, on the stack of the task: as many as a UART's FIFO holds a few times over.
const PIECE: usize = 64;

/// The other end of the line, and what is needed to answer it.
struct Peer<'a, W, H> {
    connection: Connection,
    server: &'a Server<'a>,
    who: &'a Authenticated<'a>,
    out: &'a mut [u8],
    tx: W,
    handler: H,
}

impl<W: Write, H: AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult> Peer<'_, W, H> {
    async fn answer(&mut self, cut: Cut<'_>, limit: usize) -> Result<(), W::Error> {
        let Cut::Line(line) = cut else {
            return send(&mut self.tx, &too_large(limit), self.server, b"", b"").await;
        };
        match self.connection.open(self.server, self.who, line) {
            // One call at a time: when its cancellation is read it has been answered.
            Next::Listen(_) | Next::Cancel(_) | Next::Ack => Ok(()),
            Next::Reply(reply) => send(&mut self.tx, &reply, self.server, line, b"").await,
            Next::Call(mut ticket) => {
                let mut out = Slice::new(self.out);
                let reply = match ticket.begin(line, &mut out) {
                    Err(reply) => reply,
                    Ok(mut output) => {
                        let result = (self.handler)(ticket.call(line, self.who), &mut output).await;
                        ticket.finish(self.server, output, result)
                    }
                };
                send(&mut self.tx, &reply, self.server, line, out.written()).await
            }
        }
    }
}

async fn send<W: Write>(
    tx: &mut W,
    reply: &Reply,
    server: &Server<'_>,
    line: &[u8],
    written: &[u8],
) -> Result<(), W::Error> {
    let mut emission = reply.emit(server, line, written);
    let mut piece = [0; PIECE];
    loop {
        let len = emission.fill(&mut piece);
        if len == 0 {
            break;
        }
        tx.write_all(piece.get(..len).unwrap_or_default()).await?;
    }
    tx.write_all(b"\n").await?;
    tx.flush().await
}
