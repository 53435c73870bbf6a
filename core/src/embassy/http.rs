//! MCP over HTTP/1.1 on one connection: a pair of byte streams.

use super::Changes;
use super::endpoint::{Deadlines, End, Endpoint, HttpBuffers, Site};
use super::guard::{Guest, Tokens};
use super::outbox::{Outbox, PIECES, Rest, Said, Told, Way};
use super::room::Room;
use super::source::{Gone, Source};
use super::subscription::Subscription;
use super::to::To;
use crate::auth::Authenticated;
use crate::exchange::{Batch, Listen, Next, Origin, Reply, Ticket, open, open_batched, too_large};
use crate::http::{ACCEPTED, Door, OK, Refusal, Verb, challenge, gate, guest, metadata, sse};
use crate::http1::{After, Body, Content, Fault, Framing, Heads};
use crate::json::{Full, Sink, Slice};
use crate::tool::{Call, Output, ToolError, ToolResult, scopes};
use core::future::{Future, poll_fn};
use core::net::IpAddr;
use core::pin::{Pin, pin};
use core::task::Poll;
use embassy_time::{Duration, Instant, Timer, with_deadline, with_timeout};
use embedded_io_async::{Read, Write};

/// Serves one connection until it ends. A read of `rx` must be cancel-safe: dropped before it is ready, it must lose no bytes.
///
/// `from` is the address of the client. Each address has a share of the [budget for signatures](super::Ration); clients without an
/// address have one share together.
///
/// A client of 2026-07-28 that closes its side while a call runs has cancelled it (basic/patterns/cancellation): the handler is
/// dropped at its next await, unless it has called [`must_finish`](Output::must_finish).
pub async fn serve_connection<
    R: Read,
    W: Write,
    const HEAD: usize,
    const BODY: usize,
    const OUT: usize,
    const URIS: usize,
>(
    (rx, tx): (R, W),
    from: Option<IpAddr>,
    buffers: &mut HttpBuffers<HEAD, BODY, OUT>,
    endpoint: &Endpoint<'_, URIS>,
    handler: impl AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult,
) -> End {
    let Endpoint { server, changes, site, room } = endpoint;
    let to = To::new(tx, server, site.deadlines.write);
    let mut peer = Peer { source: Source::new(rx), to, from, room, changes, site, handler };
    match peer.serve(&mut buffers.head, &mut buffers.body, &mut buffers.out).await {
        Ok(()) => End::Close,
        Err(Gone) => End::Abort,
    }
}

/// The client of a connection, with everything that an answer needs.
struct Peer<'a, R, W, H, const URIS: usize> {
    source: Source<R>,
    to: To<'a, W>,
    from: Option<IpAddr>,
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
                let leaving = self.room.crowded().await;
                // A client that is opening connections uses those that it has, too: it would lose what it has just sent.
                Timer::after(GRACE).await;
                leaving.goes();
            });
            match first(more, crowded).await {
                Some(Ok(Ok(true))) => {}
                Some(Ok(Err(Gone))) => return Err(Gone),
                Some(Ok(Ok(false))) => return Ok(false),
                Some(Err(_)) => {
                    if !idle {
                        told!("a request whose head did not come in time: cut off");
                    }
                    return Ok(false);
                }
                None => {
                    told!("an idle connection makes room for the next client");
                    return Ok(false);
                }
            }
        }
    }

    async fn request(&mut self, heads: &Heads<'_>, body: &mut [u8], out: &mut [u8]) -> Result<After, Gone> {
        let request = match heads.request() {
            Ok(request) => request,
            Err(fault) => return self.fault(fault).await,
        };
        self.to.renew();
        // RFC 9112 §9.3: after `close` a client does not send its next request into a connection that is about to end.
        let after = if request.keep_alive && !self.room.is_full() { After::KeepAlive } else { After::Close };
        if let Some(tokens) = self.site.guard.tokens()
            && (request.facts.verb, request.framing) == (Verb::Get, Framing::Length(0))
            && tokens.has_metadata_at(request.path)
        {
            return self.metadata(tokens, after, out).await;
        }
        let refused = |refusal| (Reply::refused(refusal), Some(refusal));
        let door = match gate(&request.facts, &self.site.policy) {
            _ if request.path != self.site.path => Err((Reply::unreadable(404, "There is nothing at this path"), None)),
            Door::In(who) => Ok(Guest::Known(who)),
            // Nothing is in the buffer for the body yet.
            Door::NeedKey(came) => {
                let checked = self.site.guard.check(&came, self.from, body);
                let as_guest =
                    |refusal| guest(self.site.policy.access, refusal).map(Guest::Known).ok_or(refused(refusal));
                checked.or_else(as_guest)
            }
            Door::Out(refusal) => Err(refused(refusal)),
        };
        let guest = match door {
            Ok(guest) => guest,
            // A caller who is refused must not hold the connection with a slow body, so the answer does not wait for it. The next
            // request would begin behind that body, so the connection ends.
            Err((reply, refusal)) => {
                let after = if request.framing == Framing::Length(0) { after } else { After::Close };
                return self.turn_away(&reply, refusal, after, out).await;
            }
        };
        let limit = body.len();
        if request.expects_continue {
            // RFC 9110 §10.1.1: a final status tells the client not to send its body. Some send it all the same, so the connection
            // ends.
            if let Framing::Length(length) = request.framing
                && length > limit
            {
                return self.to.reply(&too_large(limit), After::Close, b"", b"").await;
            }
            self.to.put(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            self.to.flush().await?;
        }
        let mut body = Slice::new(body);
        let fits = match self.body(request.framing, &mut body).await? {
            Ok(fits) => fits,
            Err(fault) => return self.fault(fault).await,
        };
        self.to.renew();
        if !fits {
            return self.to.reply(&too_large(limit), after, b"", b"").await;
        }
        let who = guest.who();
        let body = body.written();
        let origin = Origin::Http(&request.facts);
        match open(self.to.server, &who, origin, body) {
            // Nothing is asked here.
            Next::Ack | Next::Cancel(_) | Next::Answer(..) => self.accepted(after).await?,
            Next::Batch(batch) => self.batch(batch, &who, origin, after, body, out).await?,
            Next::Reply(reply) if reply.denied().is_some() => return self.forbid(&reply, after, body, out).await,
            Next::Reply(reply) | Next::Remember(_, reply) => return self.to.reply(&reply, after, body, b"").await,
            Next::Listen(listen) => return self.listen(&listen, after, body, out).await,
            Next::Call(ticket) => self.call(ticket, &who, Place::Alone(after), body, out).await?,
        }
        Ok(after)
    }

    /// Refuses a request for what came, or did not come, in its head.
    async fn turn_away(
        &mut self,
        reply: &Reply,
        refusal: Option<Refusal>,
        after: After,
        out: &mut [u8],
    ) -> Result<After, Gone> {
        let Some(refusal) = refusal else {
            return self.to.reply(reply, after, b"", b"").await;
        };
        let tokens = self.site.guard.tokens();
        let scopes = tokens.map_or(&[] as &[&str], |tokens| tokens.scopes).iter().copied();
        let resource = tokens.map(|tokens| &tokens.resource);
        self.to.refuse(reply, after, b"", out, |to| challenge(refusal, resource, scopes, to)).await
    }

    /// Refuses a caller who may not do what he asks for.
    async fn forbid(&mut self, reply: &Reply, after: After, body: &[u8], out: &mut [u8]) -> Result<After, Gone> {
        let Some((refusal, operation)) = reply.denied() else {
            return Ok(after);
        };
        let scopes = scopes(self.to.server.offers(), operation);
        let resource = self.site.guard.tokens().map(|tokens| &tokens.resource);
        self.to.refuse(reply, after, body, out, |to| challenge(refusal, resource, scopes, to)).await
    }

    /// Says where callers get their tokens (RFC 9728).
    async fn metadata(&mut self, tokens: &Tokens<'_>, after: After, out: &mut [u8]) -> Result<After, Gone> {
        let mut out = Slice::new(out);
        let issuer = tokens.rules.issuers.iter().take(1).copied();
        let fits = metadata(&tokens.resource, issuer, tokens.scopes.iter().copied(), &mut out);
        fits.map_err(|Full| Gone)?;
        self.to.head(OK, Content::Message(out.len()), after).await?;
        self.to.put(out.written()).await?;
        self.to.flush().await?;
        Ok(after)
    }

    /// There is nothing to answer.
    async fn accepted(&mut self, after: After) -> Result<(), Gone> {
        self.to.head(ACCEPTED, Content::Nothing, after).await?;
        self.to.flush().await
    }

    /// JSON-RPC 2.0 §6: one array of answers, and nothing at all if there is none.
    async fn batch(
        &mut self,
        batch: Batch,
        who: &Authenticated<'_>,
        origin: Origin<'_>,
        after: After,
        body: &[u8],
        out: &mut [u8],
    ) -> Result<(), Gone> {
        let mut begun = false;
        for message in batch.messages(body) {
            let next = open_batched(self.to.server, who, origin, message);
            let (Next::Call(_) | Next::Reply(_) | Next::Remember(..)) = next else {
                continue;
            };
            if begun {
                self.to.chunk(&[b","]).await?;
            } else {
                self.to.head(OK, Content::Chunks, after).await?;
                self.to.chunk(&[b"["]).await?;
                begun = true;
            }
            match next {
                Next::Call(ticket) => self.call(ticket, who, Place::Batched, message, out).await?,
                Next::Reply(reply) | Next::Remember(_, reply) => self.to.part(&reply, [b""; 2], message, b"").await?,
                _ => {}
            }
        }
        if !begun {
            return self.accepted(after).await;
        }
        self.to.chunk(&[b"]"]).await?;
        self.to.end().await
    }

    /// Reads a body; whether it fits.
    async fn body(&mut self, framing: Framing, into: &mut Slice<'_>) -> Result<Result<bool, Fault>, Gone> {
        let mut body = Body::new(framing);
        let by = Instant::now() + self.site.deadlines.body;
        while !body.is_done() {
            if let Err(fault) = self.source.with(|input| body.feed(input, into)) {
                return Ok(Err(fault));
            }
            if body.is_done() {
                break;
            }
            let Ok(more) = with_deadline(by, self.source.more()).await else {
                told!("a request whose body did not come in time: cut off");
                return Err(Gone);
            };
            if !more? {
                return Err(Gone);
            }
        }
        Ok(Ok(!body.is_too_large()))
    }

    /// Answers bytes that are not understood, and ends the connection: where the next request would begin is not known.
    async fn fault(&mut self, fault: Fault) -> Result<After, Gone> {
        self.to.renew();
        self.to.reply(&Reply::unreadable(fault.status(), fault.reason()), After::Close, b"", b"").await
    }

    async fn call(
        &mut self,
        mut ticket: Ticket,
        who: &Authenticated<'_>,
        place: Place,
        body: &[u8],
        out: &mut [u8],
    ) -> Result<(), Gone> {
        let version = ticket.version();
        let call = ticket.call(body, who);
        let Self { source, to, site, handler, .. } = self;
        // Asked for last, since the request is searched for it.
        let logs = version.is_modern() && to.server.offers().features().logging;
        let way = Way::new(if logs { call.asides().log_level } else { None });
        let mut outbox = Outbox::new(out, &way);
        let (by, since) = (to.by, Instant::now());
        let mut answer = Answer { to, place, form: Form::Whole, heard: true };
        let reply = match ticket.begin(body, &mut outbox) {
            Err(reply) => reply,
            Ok(output) => {
                let mut output = output.run_by(&way);
                let ended = {
                    let handling = pin!(handler(call, &mut output));
                    // A legacy client may read on, and another of its connections may cancel.
                    let mut awaited = version.is_modern();
                    let hear = async || {
                        if !core::mem::replace(&mut awaited, false) {
                            core::future::pending::<()>().await;
                        }
                        source.gone().await;
                    };
                    let send = async |said: Said<'_, ()>| {
                        let sent = answer.say(said, &call).await;
                        match sent {
                            // Nobody hears the rest.
                            Err(Gone) if way.must_finish() || !version.is_modern() => {
                                answer.heard = false;
                                Ok(())
                            }
                            sent => sent,
                        }
                    };
                    with_timeout(site.deadlines.call, way.run(handling, hear, send)).await
                };
                let late = Err(ToolError::Failed("The call took longer than this server allows"));
                if ended.is_err() {
                    told!("a call took too long: its handler is dropped");
                }
                if let Ok(Err(Gone)) = ended {
                    told!("a client went while its call ran: the handler is dropped");
                }
                let result = ended.unwrap_or(Ok(late))?;
                ticket.finish(answer.to.server, output, result)
            }
        };
        // The time of the handler does not count for the client.
        answer.to.by = by.saturating_add(since.elapsed());
        answer.end(&reply, body, outbox.rest()).await
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
            self.to.renew();
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

/// The answer of a call while it is sent.
struct Answer<'t, 'a, W> {
    to: &'t mut To<'a, W>,
    place: Place,
    form: Form,
    /// The client is there to hear it.
    heard: bool,
}

/// What of an answer has gone out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing.
    Whole,
    /// A part of it, in chunks.
    Chunks,
    /// Events that stand before it.
    Events,
    /// A part of it, in an event.
    LastEvent,
}

impl<W: Write> Answer<'_, '_, W> {
    /// Sends what is said. A message before the answer has no place in an array, nor in an answer that has begun.
    async fn say(&mut self, said: Said<'_, ()>, call: &Call<'_>) -> Result<(), Gone> {
        let is_piece = matches!(said, Said::Piece(_));
        let (content, form) = match (self.form, self.place, is_piece) {
            _ if !self.heard => return Ok(()),
            (Form::Whole, Place::Alone(after), true) => (Some((Content::Chunks, after)), Form::Chunks),
            (Form::Whole, Place::Alone(after), false) => (Some((Content::Events, after)), Form::Events),
            (Form::Events, _, true) => (None, Form::LastEvent),
            (form @ Form::Events, _, false) | (form, _, true) => (None, form),
            _ => return Ok(()),
        };
        let told;
        let mut parts = [b"".as_slice(); 2 + PIECES];
        let [front, message @ .., back] = &mut parts;
        if form == Form::Events || (form == Form::LastEvent && self.form == Form::Events) {
            *front = sse::FRONT;
        }
        if form == Form::Events {
            *back = sse::BACK;
        }
        match said {
            Said::Heard(_) => return Err(Gone),
            Said::Piece(text) | Said::Message(text) => *message = [text, b"", b"", b"", b"", b"", b"", b"", b"", b""],
            Said::Progress(progress) => {
                let Some(token) = call.asides().progress_token else {
                    return Ok(());
                };
                told = Told::new(progress, call.version());
                *message = told.pieces(token);
            }
        }
        self.to.renew();
        if let Some((content, after)) = content {
            self.to.head(OK, content, after).await?;
        }
        self.form = form;
        self.to.chunk(&parts).await?;
        if is_piece { Ok(()) } else { self.to.flush().await }
    }

    async fn end(self, reply: &Reply, body: &[u8], rest: Rest<'_>) -> Result<(), Gone> {
        let Self { to, place, form, heard } = self;
        if !heard {
            return Err(Gone);
        }
        match (rest, place) {
            // The last chunk is missing, so no client takes this for an answer.
            (Rest::Broken, _) => {
                told!("a result failed behind what had gone out of it: its connection is reset");
                Err(Gone)
            }
            (Rest::Whole(written), Place::Batched) => to.part(reply, [b""; 2], body, written).await,
            (Rest::Whole(written), Place::Alone(_)) if form == Form::Events => {
                to.part(reply, [sse::FRONT, sse::BACK], body, written).await?;
                to.end().await
            }
            (Rest::Whole(written), Place::Alone(after)) => to.reply(reply, after, body, written).await.map(|_| ()),
            (Rest::Tail(written), Place::Batched) => to.chunk(&[written]).await,
            (Rest::Tail(written), Place::Alone(_)) => {
                let back = if form == Form::LastEvent { sse::BACK } else { b"" };
                to.chunk(&[written, back]).await?;
                to.end().await
            }
        }
    }
}

/// Where an answer stands.
#[derive(Clone, Copy)]
enum Place {
    /// It is what the request is answered with.
    Alone(After),
    /// In an array that has begun.
    Batched,
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

/// How long an idle connection stays that makes room: a client's next request may be on its way.
const GRACE: Duration = Duration::from_millis(100);
