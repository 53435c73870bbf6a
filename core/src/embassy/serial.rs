//! MCP lines over a UART, a USB serial port, or any pair of async byte streams.

use super::Changes;
use super::inbox::{Heard, Inbox, Listening};
use super::outbox::{Outbox, PIECES, PROGRESS, Rest, Said, Told, Way};
use super::subscription::Subscriptions;
use crate::auth::{Access, Authenticated};
#[cfg(feature = "batches")]
use crate::exchange::Batch;
use crate::exchange::{Batching, Next, Reply, SessionChange, Standalone, Ticket};
use crate::json::{Item, Sink, Slice};
use crate::line::{Connection, Cut, Lines};
use crate::mcp::Server;
use crate::tool::{Call, Level, Output, ToolResult, same_uri};
use core::cell::Cell;
use core::future::{Future, pending, poll_fn};
use core::pin::pin;
use core::task::Poll;
use embedded_io_async::{Read, Write};

/// The memory of one line: put it in a `static`.
///
/// `LINE` is the longest message in bytes, `OUT` the longest result that is not streamed, `LISTENS`
/// the number of subscriptions that can be open at once. The device refuses a longer message or
/// result, and a further subscription, with an error that says so. Lists and errors need no room
/// here.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LineBuffers<const LINE: usize, const OUT: usize, const LISTENS: usize = 0> {
    line: [u8; LINE],
    out: [u8; OUT],
    subscriptions: Subscriptions<LISTENS>,
}

impl<const LINE: usize, const OUT: usize, const LISTENS: usize> LineBuffers<LINE, OUT, LISTENS> {
    /// Empty buffers.
    pub const fn new() -> Self {
        Self { line: [0; LINE], out: [0; OUT], subscriptions: Subscriptions::new() }
    }
}

impl<const LINE: usize, const OUT: usize, const LISTENS: usize> Default for LineBuffers<LINE, OUT, LISTENS> {
    fn default() -> Self {
        Self::new()
    }
}

/// The reason why [`Line::serve`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error<R, W> {
    /// Reading failed.
    Read(R),
    /// Writing failed.
    Write(W),
}

/// A line, before it is served.
///
/// A serial line has no access control of its own: every caller at its other end may call every
/// tool, unless [`caller`](Line::caller) restricts it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a, const URIS: usize = 0> {
    server: &'a Server<'a>,
    changes: &'a Changes<URIS>,
    who: Authenticated<'a>,
}

impl<'a> Line<'a> {
    /// A line to this server. The server's resources do not change.
    pub fn new(server: &'a Server<'a>) -> Self {
        static NONE: Changes<0> = Changes::new([]);
        Self { server, changes: &NONE, who: Authenticated::anonymous(&Access::Anonymous) }
    }
}

impl<'a, const URIS: usize> Line<'a, URIS> {
    /// Returns the same line; its subscriptions report these changes.
    #[must_use]
    pub fn changes<const N: usize>(self, changes: &'a Changes<N>) -> Line<'a, N> {
        let Self { server, who, .. } = self;
        Line { server, changes, who }
    }

    /// Returns the same line, for a caller with these rights.
    #[must_use]
    pub fn caller(self, who: Authenticated<'a>) -> Self {
        Self { who, ..self }
    }

    /// Serves MCP over `rx` and `tx` until `rx` ends, one message at a time. While a call runs, the
    /// driver reads its cancellation and answers pings, if they are in the next
    /// [`MEANWHILE`](crate::limits::MEANWHILE) bytes. Other messages and changes wait until the
    /// call is answered. A cancelled call is dropped at its next await and not answered, unless its
    /// handler has called [`must_finish`](Output::must_finish).
    ///
    /// A read of `rx` must be cancel-safe: dropped before it is ready, it must lose no bytes. Ports
    /// with a buffer are cancel-safe.
    ///
    /// A streamed result is sent while the handler writes it. If the handler fails after that, the
    /// line that was begun is not JSON, and an error with the id of the request follows on a line
    /// of its own.
    ///
    /// # Errors
    /// The error of `rx` or `tx`.
    pub async fn serve<R: Read, W: Write, const LINE: usize, const OUT: usize, const LISTENS: usize>(
        self,
        (rx, tx): (R, W),
        buffers: &mut LineBuffers<LINE, OUT, LISTENS>,
        handler: impl AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult,
    ) -> Result<(), Error<R::Error, W::Error>> {
        let Self { server, changes, who } = &self;
        let server = &server.for_caller(who);
        let LineBuffers { line, out, subscriptions } = buffers;
        let mut lines = Lines::new(line);
        let mut inbox = Inbox::new(rx);
        let connection = Connection::outlasting();
        let mut peer = Peer { connection, level: None, server, who, out, changes, subscriptions, tx, handler };
        loop {
            let limit = lines.capacity();
            if !peer.meanwhile(inbox.more()).await.map_err(Error::Write)?.map_err(Error::Read)? {
                return match lines.finish() {
                    Some(cut) => peer.answer(cut, limit, &mut inbox).await.map_err(Error::Write),
                    None => Ok(()),
                };
            }
            if let Some(cut) = inbox.with(|input| lines.feed(input)) {
                peer.answer(cut, limit, &mut inbox).await.map_err(Error::Write)?;
                // Also while input arrives: a busy peer must get notifications of changes too.
                peer.tell().await.map_err(Error::Write)?;
            }
        }
    }
}

/// The peer at the other end of the line, and the state that an answer needs.
struct Peer<'a, W, H, const LISTENS: usize, const URIS: usize> {
    connection: Connection,
    /// The least severe level of log messages that a legacy peer wants.
    level: Option<Level>,
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
    /// Sends notifications of changes until `reading` is ready.
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

    /// Sends the notifications that the subscriptions wait for.
    async fn tell(&mut self) -> Result<(), W::Error> {
        self.subscriptions.note(self.changes);
        let mut out = Slice::new(self.out);
        while self.subscriptions.next(self.changes, &mut out) {
            end_line(&mut self.tx, out.written(), LINE_END).await?;
            out.truncate(0);
        }
        Ok(())
    }

    async fn answer<R: Read>(&mut self, cut: Cut<'_>, limit: usize, inbox: &mut Inbox<R>) -> Result<(), W::Error> {
        let mut say = Say::Nothing;
        let line = match cut {
            Cut::Line(line) => line,
            _ => {
                say = Say::Reply(Standalone::too_large(limit).into());
                b""
            }
        };
        // `pin!`, because a future that is awaited without it is copied twice before it runs.
        if let Say::Nothing = say {
            match self.connection.open(self.server, self.who, line).next {
                Next::Call(ticket) => return pin!(self.call(ticket, line, Batching::Alone, inbox)).await,
                #[cfg(feature = "batches")]
                Next::Batch(batch) => return pin!(self.batch(batch, line, inbox)).await,
                next => self.decide(&next, line, &mut say),
            }
        }
        self.say(&say, line, LINE_END).await
    }

    /// Answers a batch. JSON-RPC 2.0 §6: one array of answers, or no answer at all if there is
    /// none.
    #[cfg(feature = "batches")]
    async fn batch<R: Read>(&mut self, batch: Batch, line: &[u8], inbox: &mut Inbox<R>) -> Result<(), W::Error> {
        let mut front: &[u8] = b"[";
        for message in batch.messages(line) {
            let mut say = Say::Nothing;
            let next = self.connection.open_batched(self.server, self.who, message).next;
            if let Next::Call(_) | Next::Reply(_) | Next::Remember(..) = next {
                self.tx.write_all(core::mem::replace(&mut front, b",")).await?;
            }
            match next {
                Next::Call(ticket) => pin!(self.call(ticket, message, Batching::Batched, inbox)).await?,
                next => self.decide(&next, message, &mut say),
            }
            self.say(&say, message, b"").await?;
        }
        if front == b"," { end_line(&mut self.tx, b"]", LINE_END).await } else { Ok(()) }
    }

    async fn say(&mut self, say: &Say, line: &[u8], end: &[u8]) -> Result<(), W::Error> {
        let (reply, written) = match say {
            Say::Nothing => return Ok(()),
            Say::Reply(reply) => (Some(reply), b"".as_slice()),
            Say::Written(len) => (None, self.out.get(..*len).unwrap_or_default()),
        };
        send(&mut self.tx, reply, self.server, line, written, end).await
    }

    /// Chooses the answer to every message except calls and batches. It is not async: a coroutine
    /// moves values word by word.
    #[inline(never)]
    fn decide(&mut self, next: &Next, line: &[u8], say: &mut Say) {
        match next {
            // No call sends a question to the client here, so an answer has no effect. Batches
            // are not nested, and `call` answers calls.
            Next::Answer(..) | Next::Batch(_) | Next::Ack | Next::Call(_) => {}
            // No call runs now.
            Next::Cancel(id) => self.subscriptions.cancel(id.of(line)),
            Next::Reply(reply) => {
                // Another peer has begun: the subscriptions of the previous peer end.
                if reply.agreed().is_some() {
                    self.subscriptions.clear();
                    self.level = None;
                }
                *say = Say::Reply(*reply);
            }
            Next::Remember(wish, reply) => {
                let which = |uri: Item| {
                    let uri = uri.of(line).text().unwrap_or_default();
                    self.changes.which(|known| same_uri(known, uri))
                };
                match *wish {
                    SessionChange::Level(level) => self.level = Some(level),
                    SessionChange::Subscribe(_) | SessionChange::Unsubscribe(_) if !cfg!(feature = "subscriptions") => {
                    }
                    SessionChange::Subscribe(uri) => self.subscriptions.want(which(uri), self.changes),
                    SessionChange::Unsubscribe(uri) => self.subscriptions.unwant(which(uri)),
                }
                *say = Say::Reply(*reply);
            }
            Next::Listen(listen) => {
                let mut out = Slice::new(self.out);
                *say = match self.subscriptions.open(listen, line, self.changes, &mut out) {
                    Ok(()) => Say::Written(out.len()),
                    Err(reply) => Say::Reply(reply),
                };
            }
        }
    }

    async fn call<R: Read>(
        &mut self,
        mut ticket: Ticket,
        line: &[u8],
        place: Batching,
        inbox: &mut Inbox<R>,
    ) -> Result<(), W::Error> {
        let call = ticket.call(line, self.who);
        let level = match place {
            // This comes last, since it searches the whole request.
            Batching::Alone if call.version().is_modern() && self.server.offers().features().logging => {
                call.log_level()
            }
            Batching::Alone => self.level.filter(|_| !call.version().is_modern()),
            Batching::Batched => None,
        };
        let way = Way::new(level);
        let mut outbox = Outbox::new(self.out, &way);
        // A piece of the answer was sent: no other message may come between it and the next.
        let begun = Cell::new(false);
        let cancelled = Cell::new(false);
        let reply = match ticket.begin(line, &mut outbox) {
            Err(reply) => reply,
            Ok(output) => {
                let mut output = output.run_by(&way);
                let ended = {
                    let handling = pin!((self.handler)(call, &mut output));
                    let id = ticket.id(line);
                    let agreed = self.connection.agreed().map(|(version, _)| version);
                    let hear = async || {
                        if place == Batching::Batched || cancelled.get() {
                            pending::<()>().await;
                        }
                        let answers = !begun.get();
                        inbox.hear(id, &Listening { server: self.server, who: self.who, agreed, answers }).await
                    };
                    let say = async |said: Said<'_, Heard>| {
                        let told;
                        let mut message = [b"".as_slice(); PIECES];
                        let [first, ..] = &mut message;
                        let mut end = LINE_END;
                        match said {
                            Said::Heard(Heard::Cancelled) => {
                                cancelled.set(true);
                                return if way.must_finish() { Ok(()) } else { Err(Dropped::Cancelled) };
                            }
                            _ if cancelled.get() => return Ok(()),
                            Said::Piece(piece) => {
                                begun.set(true);
                                (*first, end) = (piece, b"");
                            }
                            _ if begun.get() || place == Batching::Batched => return Ok(()),
                            Said::Message(_) | Said::Progress(_) if !PROGRESS => return Ok(()),
                            Said::Message(message) => *first = message,
                            Said::Heard(Heard::Pong(pong, len)) => *first = pong.get(..*len).unwrap_or_default(),
                            Said::Progress(progress) => {
                                let Some(token) = call.progress_token() else {
                                    return Ok(());
                                };
                                told = Told::new(progress, call.version());
                                message = told.pieces(token);
                            }
                        }
                        for piece in message.into_iter().chain([end]).filter(|piece| !piece.is_empty()) {
                            self.tx.write_all(piece).await?;
                        }
                        if !begun.get() {
                            self.tx.flush().await?;
                        }
                        Ok(())
                    };
                    way.run(handling, hear, say).await
                };
                match ended {
                    Ok(result) => ticket.finish(self.server, output, result),
                    Err(Dropped::Failed(error)) => return Err(error),
                    Err(Dropped::Cancelled) => {
                        warning!("a call was cancelled: its handler is dropped");
                        ticket.finish(self.server, output, Ok(()))
                    }
                }
            }
        };
        let (reply, written) = match outbox.rest() {
            // MCP basic/patterns/cancellation: a cancelled call is not answered. The part that was
            // sent is not a whole line.
            _ if cancelled.get() && !begun.get() => return Ok(()),
            _ if cancelled.get() => (None, b"".as_slice()),
            Rest::Whole(written) => (Some(&reply), written),
            Rest::Tail(written) => (None, written),
            Rest::Broken => {
                warning!("a result failed after a part of it was sent: its line is broken off");
                // The part that was sent lacks at least its closing braces, so no reader takes this
                // line for an answer.
                self.tx.write_all(LINE_END).await?;
                (Some(&reply), b"".as_slice())
            }
        };
        send(&mut self.tx, reply, self.server, line, written, place.end()).await
    }
}

/// The answer to a message.
enum Say {
    Nothing,
    Reply(Reply),
    /// This number of bytes in the buffer for results.
    Written(usize),
}

impl Batching {
    /// Returns the bytes that follow an answer on a line.
    const fn end(self) -> &'static [u8] {
        match self {
            Self::Alone => LINE_END,
            Self::Batched => b"",
        }
    }
}

/// The reasons why a handler is dropped.
enum Dropped<E> {
    Cancelled,
    Failed(E),
}

impl<E> From<E> for Dropped<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

const LINE_END: &[u8] = b"\n";

/// Bytes of an answer moved at a time, on the stack of the task: a few times the FIFO of a UART.
const PIECE: usize = 64;

/// Sends `rest` and the end of a line, or of a message in a batch.
async fn end_line<W: Write>(tx: &mut W, rest: &[u8], end: &[u8]) -> Result<(), W::Error> {
    tx.write_all(rest).await?;
    tx.write_all(end).await?;
    tx.flush().await
}

/// Sends an answer and the end of its line: `reply` around the text that its call has `written`, or
/// `written` alone.
async fn send<W: Write>(
    tx: &mut W,
    reply: Option<&Reply>,
    server: &Server<'_>,
    line: &[u8],
    mut written: &[u8],
    end: &[u8],
) -> Result<(), W::Error> {
    if let Some(reply) = reply {
        reply.tell();
        let mut emission = reply.emit(server, line, core::mem::take(&mut written));
        let mut piece = [0; PIECE];
        loop {
            let len = emission.fill(&mut piece);
            if len == 0 {
                break;
            }
            tx.write_all(piece.get(..len).unwrap_or_default()).await?;
        }
    }
    end_line(tx, written, end).await
}
