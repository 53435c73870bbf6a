//! MCP lines over a UART, a USB serial port, or any pair of async byte streams.

use super::Changes;
use super::outbox::{Outbox, Rest, Way};
use super::subscription::Subscriptions;
use crate::auth::Authenticated;
use crate::exchange::{Batch, Next, Reply, Ticket, too_large};
use crate::json::{Sink, Slice};
use crate::line::{Connection, Cut, Lines};
use crate::mcp::Server;
use crate::tool::{Call, Output, ToolResult};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use embedded_io_async::{Read, Write};

/// The memory of one line: put it in a `static`.
///
/// `LINE` is the longest message in bytes, `OUT` the longest result that is not streamed, `LISTENS` the number of
/// subscriptions that can be open at once; what is larger or more is refused by name. Lists and errors need no room here.
#[derive(Debug)]
pub struct Buffers<const LINE: usize, const OUT: usize, const LISTENS: usize = 0> {
    line: [u8; LINE],
    out: [u8; OUT],
    subscriptions: Subscriptions<LISTENS>,
}

impl<const LINE: usize, const OUT: usize, const LISTENS: usize> Buffers<LINE, OUT, LISTENS> {
    /// Empty buffers.
    pub const fn new() -> Self {
        Self { line: [0; LINE], out: [0; OUT], subscriptions: Subscriptions::new() }
    }
}

impl<const LINE: usize, const OUT: usize, const LISTENS: usize> Default for Buffers<LINE, OUT, LISTENS> {
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

/// Serves MCP over `rx` and `tx` until `rx` ends, one message at a time; messages that come meanwhile wait in the line, and so
/// do changes.
///
/// A result that is streamed goes out as the handler writes it. If the handler fails behind that, what has gone out ends as a
/// line that is no JSON, and an error with the id of the request follows on a line of its own.
///
/// # Errors
/// What `rx` or `tx` reports.
pub async fn serve_lines<
    R: Read,
    W: Write,
    const LINE: usize,
    const OUT: usize,
    const LISTENS: usize,
    const URIS: usize,
>(
    mut rx: R,
    tx: W,
    buffers: &mut Buffers<LINE, OUT, LISTENS>,
    changes: &Changes<URIS>,
    server: &Server<'_>,
    who: &Authenticated<'_>,
    handler: impl AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult,
) -> Result<(), Error<R::Error, W::Error>> {
    let Buffers { line, out, subscriptions } = buffers;
    let mut lines = Lines::new(line);
    let connection = Connection::outlasting();
    let mut peer = Peer { connection, server, who, out, changes, subscriptions, tx, handler };
    let mut piece = [0; PIECE];
    loop {
        let limit = lines.capacity();
        let read = peer.meanwhile(rx.read(&mut piece)).await.map_err(Error::Write)?.map_err(Error::Read)?;
        if read == 0 {
            return match lines.finish() {
                Some(cut) => peer.answer(cut, limit).await.map_err(Error::Write),
                None => Ok(()),
            };
        }
        let mut input = piece.get(..read).unwrap_or_default();
        while let Some(cut) = lines.feed(&mut input) {
            peer.answer(cut, limit).await.map_err(Error::Write)?;
            // Not only when nothing comes in: a busy peer must hear of changes too.
            peer.tell().await.map_err(Error::Write)?;
        }
    }
}

/// Bytes moved at a time, on the stack of the task: as many as a UART's FIFO holds a few times over.
const PIECE: usize = 64;

/// The other end of the line, and what is needed to answer it.
struct Peer<'a, W, H, const LISTENS: usize, const URIS: usize> {
    connection: Connection,
    server: &'a Server<'a>,
    who: &'a Authenticated<'a>,
    out: &'a mut [u8],
    changes: &'a Changes<URIS>,
    subscriptions: &'a mut Subscriptions<LISTENS>,
    tx: W,
    handler: H,
}

impl<W: Write, H: AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult, const LISTENS: usize, const URIS: usize>
    Peer<'_, W, H, LISTENS, URIS>
{
    /// Tells of changes until `reading` is ready. It is never dropped before, since it might have taken bytes.
    async fn meanwhile<T>(&mut self, reading: impl Future<Output = T>) -> Result<T, W::Error> {
        let mut reading = pin!(reading);
        loop {
            let read = poll_fn(|context| match reading.as_mut().poll(context) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => self.subscriptions.poll(self.changes, context).map(|()| None),
            });
            match read.await {
                Some(read) => return Ok(read),
                None => self.tell().await?,
            }
        }
    }

    /// Sends what the subscriptions want to hear.
    async fn tell(&mut self) -> Result<(), W::Error> {
        self.subscriptions.note(self.changes);
        let mut out = Slice::new(self.out);
        while self.subscriptions.next(self.changes, &mut out) {
            end_line(&mut self.tx, out.written(), LINE_END).await?;
            out.truncate(0);
        }
        Ok(())
    }

    async fn answer(&mut self, cut: Cut<'_>, limit: usize) -> Result<(), W::Error> {
        let Cut::Line(line) = cut else {
            return send(&mut self.tx, &too_large(limit), self.server, b"", b"", LINE_END).await;
        };
        match self.connection.open(self.server, self.who, line) {
            Next::Batch(batch) => self.batch(batch, line).await,
            next => self.serve(next, line, LINE_END).await,
        }
    }

    /// JSON-RPC 2.0 §6: one array of answers, and nothing at all if there is none.
    async fn batch(&mut self, batch: Batch, line: &[u8]) -> Result<(), W::Error> {
        let mut front: &[u8] = b"[";
        for message in batch.messages(line) {
            let next = self.connection.open_batched(self.server, self.who, message);
            if let Next::Call(_) | Next::Reply(_) | Next::Remember(..) = next {
                self.tx.write_all(core::mem::replace(&mut front, b",")).await?;
            }
            self.serve(next, message, b"").await?;
        }
        if front == b"," { end_line(&mut self.tx, b"]", LINE_END).await } else { Ok(()) }
    }

    /// Serves one message; `end` stands behind its answer.
    async fn serve(&mut self, next: Next, line: &[u8], end: &[u8]) -> Result<(), W::Error> {
        match next {
            // Nothing is asked here, and no batch stands in another.
            Next::Answer(..) | Next::Batch(_) | Next::Ack => Ok(()),
            // One call at a time: when its cancellation is read it has been answered.
            Next::Cancel(id) => {
                self.subscriptions.cancel(id.of(line));
                Ok(())
            }
            Next::Reply(reply) | Next::Remember(_, reply) => {
                // Another peer has come: what its predecessor wanted to hear is nothing to it.
                if reply.agreed().is_some() {
                    self.subscriptions.clear();
                }
                send(&mut self.tx, &reply, self.server, line, b"", end).await
            }
            Next::Listen(listen) => {
                let mut out = Slice::new(self.out);
                match self.subscriptions.open(&listen, line, self.changes, &mut out) {
                    Ok(()) => end_line(&mut self.tx, out.written(), end).await,
                    Err(reply) => send(&mut self.tx, &reply, self.server, line, b"", end).await,
                }
            }
            Next::Call(ticket) => self.call(ticket, line, end).await,
        }
    }

    async fn call(&mut self, mut ticket: Ticket, line: &[u8], end: &[u8]) -> Result<(), W::Error> {
        let way = Way::new();
        let mut outbox = Outbox::new(self.out, &way);
        let reply = match ticket.begin(line, &mut outbox) {
            Err(reply) => reply,
            Ok(mut output) => {
                let result = {
                    let handling = pin!((self.handler)(ticket.call(line, self.who), &mut output));
                    way.run(handling, async |bytes| self.tx.write_all(bytes).await).await?
                };
                ticket.finish(self.server, output, result)
            }
        };
        match outbox.rest() {
            Rest::Whole(written) => send(&mut self.tx, &reply, self.server, line, written, end).await,
            Rest::Tail(written) => end_line(&mut self.tx, written, end).await,
            Rest::Broken => {
                // What has gone out lacks its closing braces at least, so no reader takes this line for an answer.
                end_line(&mut self.tx, b"", LINE_END).await?;
                send(&mut self.tx, &reply, self.server, line, b"", end).await
            }
        }
    }
}

const LINE_END: &[u8] = b"\n";

/// Sends `rest` and the end of a line, or of a message in a batch.
async fn end_line<W: Write>(tx: &mut W, rest: &[u8], end: &[u8]) -> Result<(), W::Error> {
    tx.write_all(rest).await?;
    tx.write_all(end).await?;
    tx.flush().await
}

async fn send<W: Write>(
    tx: &mut W,
    reply: &Reply,
    server: &Server<'_>,
    line: &[u8],
    written: &[u8],
    end: &[u8],
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
    end_line(tx, b"", end).await
}
