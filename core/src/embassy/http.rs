//! MCP over HTTP/1.1, on one connection of any kind.

use super::Changes;
use super::outbox::{Outbox, Rest, Way};
use super::room::Room;
use super::source::{Gone, Source};
use super::subscription::Subscription;
use crate::auth::Authenticated;
use crate::exchange::{Listen, Next, Origin, Reply, Ticket, open, too_large};
use crate::http::{ACCEPTED, Door, OK, Policy, gate, sse};
use crate::http1::{After, Body, Content, Fault, Framing, Heads, chunk, head};
use crate::json::{Sink, Slice};
use crate::mcp::Server;
use crate::tool::{Call, Output, ToolError, ToolResult};
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;
use embassy_time::{Duration, Instant, with_deadline, with_timeout};
use embedded_io_async::{Read, Write};

/// Where an endpoint answers, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Where requests go, such as `/mcp`. What comes elsewhere is answered with 404.
    pub path: &'a str,
    /// Who is let in. Name the hosts by which the board is reached: its address, its mDNS name, a forwarded `localhost`.
    pub policy: Policy<'a>,
    /// How long a client may keep a connection waiting.
    pub deadlines: Deadlines,
}

/// An endpoint: one for all its connections, which run on one executor.
#[derive(Debug)]
pub struct Endpoint<'a, const URIS: usize> {
    /// What answers.
    pub server: &'a Server<'a>,
    /// What its subscriptions hear of.
    pub changes: &'a Changes<URIS>,
    /// Where and for whom it answers.
    pub site: Site<'a>,
    /// How many at once.
    pub room: Room,
}

/// How long things may take. What takes longer costs the client its connection, and nobody else anything.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From the first byte of a head to its last; for the first head from the beginning of the connection.
    pub head: Duration,
    /// For a whole body.
    pub body: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For a handler. The client gets an error then.
    pub call: Duration,
    /// For the client to take what is sent, each time the buffer towards it is full.
    pub write: Duration,
    /// Between two comments on a stream that is silent otherwise.
    pub comment: Duration,
}

impl Deadlines {
    /// For people's clients in a local network.
    pub const DEFAULT: Self = Self {
        head: Duration::from_secs(5),
        body: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        call: Duration::from_secs(60),
        write: Duration::from_secs(10),
        comment: Duration::from_secs(15),
    };
}

/// The memory of one connection.
///
/// `HEAD` is the longest head of a request in bytes, `BODY` the longest body, `OUT` the longest result that is not streamed.
#[derive(Debug)]
pub struct HttpBuffers<const HEAD: usize, const BODY: usize, const OUT: usize> {
    head: [u8; HEAD],
    body: [u8; BODY],
    out: [u8; OUT],
}

impl<const HEAD: usize, const BODY: usize, const OUT: usize> HttpBuffers<HEAD, BODY, OUT> {
    /// Empty buffers.
    pub const fn new() -> Self {
        Self { head: [0; HEAD], body: [0; BODY], out: [0; OUT] }
    }
}

impl<const HEAD: usize, const BODY: usize, const OUT: usize> Default for HttpBuffers<HEAD, BODY, OUT> {
    fn default() -> Self {
        Self::new()
    }
}

/// What is to be done with a connection that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Close it, so that what was sent still arrives.
    Close,
    /// Reset it: the last answer is not whole, and the client must not take it for one.
    Abort,
}

/// Serves one connection until it ends. `rx` must lose nothing when a read is dropped before it is ready, as sockets do not.
///
/// A client of 2026-07-28 that closes its side while a call runs has cancelled it (basic/patterns/cancellation): the handler is
/// dropped at its next await.
pub async fn serve_connection<
    R: Read,
    W: Write,
    const HEAD: usize,
    const BODY: usize,
    const OUT: usize,
    const URIS: usize,
>(
    (rx, tx): (R, W),
    buffers: &mut HttpBuffers<HEAD, BODY, OUT>,
    endpoint: &Endpoint<'_, URIS>,
    handler: impl AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult,
) -> End {
    let Endpoint { server, changes, site, room } = endpoint;
    let to = To { tx, server, deadline: site.deadlines.write };
    let mut peer = Peer { source: Source::new(rx), to, room, changes, site, handler };
    match peer.serve(&mut buffers.head, &mut buffers.body, &mut buffers.out).await {
        Ok(()) => End::Close,
        Err(Gone) => End::Abort,
    }
}

/// The client, and what is needed to answer it.
struct Peer<'a, R, W, H, const URIS: usize> {
    source: Source<R>,
    to: To<'a, W>,
    room: &'a Room,
    changes: &'a Changes<URIS>,
    site: &'a Site<'a>,
    handler: H,
}

impl<R: Read, W: Write, H: AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult, const URIS: usize>
    Peer<'_, R, W, H, URIS>
{
    async fn serve(&mut self, head: &mut [u8], body: &mut [u8], out: &mut [u8]) -> Result<(), Gone> {
        let mut heads = Heads::new(head);
        let mut served = false;
        while self.head(&mut heads, served).await? {
            if self.request(&heads, body, out).await? == After::Close {
                break;
            }
            heads.clear();
            served = true;
        }
        Ok(())
    }

    /// Waits for a head; `false` if none comes.
    async fn head(&mut self, heads: &mut Heads<'_>, served: bool) -> Result<bool, Gone> {
        let Deadlines { head, idle, .. } = self.site.deadlines;
        let mut by = Instant::now() + if served { idle } else { head };
        loop {
            let begun = !heads.is_empty();
            match self.source.with(|input| heads.feed(input)) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(fault) => {
                    self.fault(fault).await?;
                    return Ok(false);
                }
            }
            if !begun && !heads.is_empty() && served {
                by = Instant::now() + head;
            }
            let idle = served && heads.is_empty();
            let more = pin!(with_deadline(by, self.source.more()));
            let crowded = pin!(async {
                if !idle {
                    core::future::pending::<()>().await;
                }
                self.room.crowded().await;
            });
            match first(more, crowded).await {
                Some(Ok(Ok(true))) => {}
                Some(Ok(Err(Gone))) => return Err(Gone),
                // The end of the stream, a deadline, or another client that waits for this place.
                Some(Ok(Ok(false)) | Err(_)) | None => return Ok(false),
            }
        }
    }

    async fn request(&mut self, heads: &Heads<'_>, body: &mut [u8], out: &mut [u8]) -> Result<After, Gone> {
        let request = match heads.request() {
            Ok(request) => request,
            Err(fault) => return self.fault(fault).await,
        };
        let after = if request.keep_alive { After::KeepAlive } else { After::Close };
        let door = match gate(&request.facts, &self.site.policy) {
            _ if request.path != self.site.path => Err(Reply::unreadable(404, "There is nothing at this path")),
            Door::In(who) => Ok(who),
            Door::Out(refusal) => Err(Reply::refused(refusal)),
        };
        let limit = body.len();
        if request.expects_continue {
            // RFC 9110 §10.1.1: a final status tells the client to keep its body. Whether it does is its own affair, so what comes
            // next cannot be told from a request.
            let refusal = match (&door, request.framing) {
                (Err(refusal), _) => Some(*refusal),
                (Ok(_), Framing::Length(length)) if length > limit => Some(too_large(limit)),
                _ => None,
            };
            if let Some(refusal) = refusal {
                return self.to.reply(&refusal, After::Close, b"", b"").await;
            }
            self.to.put(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            self.to.flush().await?;
        }
        let mut body = Slice::new(body);
        let fits = match self.body(request.framing, &mut body).await? {
            Ok(fits) => fits,
            Err(fault) => return self.fault(fault).await,
        };
        let who = match door {
            Ok(who) if fits => who,
            Ok(_) => return self.to.reply(&too_large(limit), after, b"", b"").await,
            Err(refusal) => return self.to.reply(&refusal, after, b"", b"").await,
        };
        let body = body.written();
        match open(self.to.server, &who, Origin::Http(&request.facts), body) {
            Next::Ack | Next::Cancel(_) => self.to.head(ACCEPTED, Content::Nothing, after).await?,
            Next::Reply(reply) => return self.to.reply(&reply, after, body, b"").await,
            Next::Listen(listen) => return self.listen(&listen, after, body, out).await,
            Next::Call(ticket) => return self.call(ticket, &who, after, body, out).await,
        }
        self.to.flush().await?;
        Ok(after)
    }

    /// Reads a body; whether it fits.
    async fn body(&mut self, framing: Framing, into: &mut Slice<'_>) -> Result<Result<bool, Fault>, Gone> {
        let mut body = Body::new(framing);
        let by = Instant::now() + self.site.deadlines.body;
        while !body.is_done() {
            if let Err(fault) = self.source.with(|input| body.feed(input, into)) {
                return Ok(Err(fault));
            }
            if !body.is_done() && !with_deadline(by, self.source.more()).await.map_err(|_| Gone)?? {
                return Err(Gone);
            }
        }
        Ok(Ok(!body.is_too_large()))
    }

    /// Answers what is not understood. Where the next request would begin is not known.
    async fn fault(&mut self, fault: Fault) -> Result<After, Gone> {
        self.to.reply(&Reply::unreadable(fault.status(), fault.reason()), After::Close, b"", b"").await
    }

    async fn call(
        &mut self,
        mut ticket: Ticket,
        who: &Authenticated<'_>,
        after: After,
        body: &[u8],
        out: &mut [u8],
    ) -> Result<After, Gone> {
        let way = Way::new();
        let mut outbox = Outbox::new(out, &way);
        let modern = ticket.version().is_modern();
        let Self { source, to, site, handler, .. } = self;
        let mut begun = false;
        let reply = match ticket.begin(body, &mut outbox) {
            Err(reply) => reply,
            Ok(mut output) => {
                let ended = {
                    let handling = pin!(handler(ticket.call(body, who), &mut output));
                    let running = pin!(with_timeout(
                        site.deadlines.call,
                        way.run(handling, async |piece| {
                            if !core::mem::replace(&mut begun, true) {
                                to.head(OK, Content::Chunks, after).await?;
                            }
                            to.chunk(&[piece]).await
                        }),
                    ));
                    let gone = pin!(async {
                        source.gone().await;
                        // A legacy client may read on, and another of its connections may cancel.
                        if !modern {
                            core::future::pending::<()>().await;
                        }
                    });
                    first(running, gone).await.ok_or(Gone)?
                };
                let late = Err(ToolError::Failed("The call took longer than this server allows"));
                let result = ended.unwrap_or(Ok(late))?;
                ticket.finish(to.server, output, result)
            }
        };
        match outbox.rest() {
            Rest::Whole(written) => to.reply(&reply, after, body, written).await,
            Rest::Tail(written) => {
                to.chunk(&[written]).await?;
                to.put(LAST_CHUNK).await?;
                to.flush().await?;
                Ok(after)
            }
            // The last chunk is missing, so no client takes this for an answer.
            Rest::Broken => Err(Gone),
        }
    }

    /// Keeps a stream open until the client goes.
    async fn listen(&mut self, listen: &Listen, after: After, body: &[u8], out: &mut [u8]) -> Result<After, Gone> {
        let Some(_place) = self.room.listen() else {
            return self.to.reply(&listen.refuse(), after, body, b"").await;
        };
        let mut out = Slice::new(out);
        let mut subscription = match Subscription::open(listen, body, self.changes, &mut out) {
            Ok(subscription) => subscription,
            Err(reply) => return self.to.reply(&reply, after, body, b"").await,
        };
        self.to.head(OK, Content::Events, After::Close).await?;
        self.to.event(out.written()).await?;
        loop {
            let heard = {
                let changed = pin!(with_timeout(
                    self.site.deadlines.comment,
                    poll_fn(|context| subscription.poll(self.changes, context))
                ));
                first(changed, pin!(self.source.gone())).await
            };
            match heard {
                None => return Ok(After::Close),
                Some(Err(_)) => self.to.chunk(&[sse::KEEP_ALIVE]).await?,
                Some(Ok(())) => {
                    subscription.note(self.changes);
                    out.truncate(0);
                    while subscription.next(self.changes, &mut out) {
                        self.to.event(out.written()).await?;
                        out.truncate(0);
                    }
                }
            }
            self.to.flush().await?;
        }
    }
}

/// The result of `one`, unless `other` is ready before.
async fn first<T>(
    mut one: Pin<&mut impl Future<Output = T>>,
    mut other: Pin<&mut impl Future<Output = ()>>,
) -> Option<T> {
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => other.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// The way to the client.
struct To<'a, W> {
    tx: W,
    server: &'a Server<'a>,
    deadline: Duration,
}

impl<W: Write> To<'_, W> {
    async fn put(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let put = with_timeout(self.deadline, self.tx.write_all(bytes)).await;
        put.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        with_timeout(self.deadline, self.tx.flush()).await.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    async fn head(&mut self, status: u16, content: Content, after: After) -> Result<(), Gone> {
        let mut buffer = [0; HEAD];
        let mut out = Slice::new(&mut buffer);
        head(status, content, after, &mut out).map_err(|_| Gone)?;
        self.put(out.written()).await
    }

    /// Sends a whole answer.
    async fn reply(&mut self, reply: &Reply, after: After, body: &[u8], written: &[u8]) -> Result<After, Gone> {
        let mut emission = reply.emit(self.server, body, written);
        self.head(reply.status(), Content::Message(emission.len()), after).await?;
        let mut piece = [0; PIECE];
        loop {
            let len = emission.fill(&mut piece);
            if len == 0 {
                break;
            }
            self.put(piece.get(..len).unwrap_or_default()).await?;
        }
        self.flush().await?;
        Ok(after)
    }

    /// Sends one chunk of these parts; nothing if they are empty, for that would be the last.
    async fn chunk(&mut self, parts: &[&[u8]]) -> Result<(), Gone> {
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

    async fn event(&mut self, message: &[u8]) -> Result<(), Gone> {
        self.chunk(&[sse::FRONT, message, sse::BACK]).await?;
        self.flush().await
    }
}

/// RFC 9112 §7.1: without a trailer.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Bytes of an answer moved at a time, on the stack of the task.
const PIECE: usize = 64;

/// What the head of every answer fits into.
const HEAD: usize = 192;
