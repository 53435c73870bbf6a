//! MCP over HTTP/1.1 on one connection: a pair of byte streams.

mod answer;
#[cfg(feature = "batches")]
mod batch;
#[cfg(feature = "subscriptions")]
mod listen;

use super::Changes;
use super::endpoint::{Deadlines, End, Endpoint, EndpointConfig, HttpBuffers};
use super::guard::Guest;
use super::outbox::{Outbox, Said, Way};
use super::room::ConnectionSlots;
use super::source::{Gone, Source};
use super::to::To;
use crate::auth::Authenticated;
use crate::exchange::{Carrier, Emission, Next, Reply, Standalone, Ticket, open};
use crate::http::{ACCEPTED, Accept, Door, HeadFacts, Method, OK, Refusal, challenge, gate, guest, metadata, sse};
use crate::http1::{After, Body, Content, Fault, Framing, Heads, Request, chunk, close_head, open_head};
use crate::json::{Full, Sink, Slice};
use crate::mcp::Server;
use crate::tool::{Call, Operation, Output, ToolError, ToolResult, scopes};
use answer::{Answer, Form, Place};
use core::future::{Future, poll_fn};
use core::net::IpAddr;
use core::pin::{Pin, pin};
use core::task::Poll;
use embassy_time::{Duration, Instant, Timer, with_deadline, with_timeout};
use embedded_io_async::{Read, Write};

/// Serves one connection until it ends. A read of `rx` must be cancel-safe: dropped before it is ready, it must lose no bytes.
///
/// `from` is the address of the client. Each address has a share of the [budget for
/// signatures](super::SignatureBudget); clients without an address have one share together.
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

/// The client of a connection, with the state that an answer needs.
struct Peer<'a, R, W, H, const URIS: usize> {
    source: Source<R>,
    to: To<'a, W>,
    from: Option<IpAddr>,
    room: &'a ConnectionSlots,
    #[cfg_attr(not(feature = "subscriptions"), expect(dead_code, reason = "only subscriptions read them"))]
    changes: &'a Changes<URIS>,
    site: &'a EndpointConfig<'a>,
    handler: H,
}

impl<'a, R: Read, W: Write, H: AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult, const URIS: usize>
    Peer<'a, R, W, H, URIS>
{
    async fn serve(&mut self, head: &mut [u8], body: &mut [u8], out: &mut [u8]) -> Result<(), Gone> {
        let mut heads = Heads::new(head);
        let mut served = false;
        while let Some(whole) = self.head(&mut heads, served).await? {
            let request = whole.and_then(|()| heads.request());
            if self.request(&request, body, out).await? == After::Close {
                break;
            }
            heads.clear();
            served = true;
        }
        Ok(())
    }

    /// Waits for a head; `None` if the client sends none.
    async fn head(&mut self, heads: &mut Heads<'_>, served: bool) -> Result<Option<Result<(), Fault>>, Gone> {
        let Deadlines { head, idle, .. } = self.site.deadlines;
        let mut by = Instant::now() + if served { idle } else { head };
        loop {
            let begun = !heads.is_empty();
            match self.source.with(|input| heads.feed(input)) {
                Ok(true) => return Ok(Some(Ok(()))),
                Ok(false) => {}
                Err(fault) => return Ok(Some(Err(fault))),
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
                // A client that opens new connections also uses its old ones: it would lose a
                // request that it has just sent.
                Timer::after(GRACE).await;
                leaving.goes();
            });
            match first(more, crowded).await {
                Some(Ok(Ok(true))) => {}
                Some(Ok(Err(Gone))) => return Err(Gone),
                Some(Ok(Ok(false))) => return Ok(None),
                Some(Err(_)) => {
                    if !idle {
                        warning!("a request whose head did not come in time: cut off");
                    }
                    return Ok(None);
                }
                None => {
                    warning!("an idle connection makes room for the next client");
                    return Ok(None);
                }
            }
        }
    }

    /// Answers one request. The decisions are in functions that are not async: a coroutine moves
    /// their return values from slot to slot, word by word, and embeds each await.
    async fn request(
        &mut self,
        request: &Result<Request<'_>, Fault>,
        body: &mut [u8],
        out: &mut [u8],
    ) -> Result<After, Gone> {
        let mut say = Say::NOTHING;
        self.to.renew();
        let Some((request, guest)) = self.enter(request, body, &mut say) else {
            return self.say(&say, self.to.server, body, out).await;
        };
        if request.expects_continue {
            self.to.put(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            self.to.flush().await?;
        }
        let mut into = Slice::new(body);
        let came = self.body(request.framing, &mut into).await?;
        let len = into.len();
        self.to.renew();
        let who = guest.who();
        let server = self.to.server.for_caller(&who);
        let facts = &request.facts;
        let (limit, after) = (body.len(), say.after);
        let body = body.get(..len).unwrap_or_default();
        match self.open(came, (&server, &who), facts, (body, limit), &mut say) {
            #[cfg(feature = "batches")]
            Some(Next::Batch(batch)) if pin!(self.batch(batch, (&server, &who), facts, after, body, out)).await? => {
                return Ok(after);
            }
            Some(Next::Call(ticket)) => {
                pin!(self.call(ticket, &who, Place::Alone(facts.accept, after), body, out)).await?;
                return Ok(after);
            }
            #[cfg(feature = "subscriptions")]
            Some(Next::Listen(listen)) => match pin!(self.listen(&listen, body, out)).await? {
                None => return Ok(After::Close),
                Some(reply) => say.answer = Answers::Reply(reply),
            },
            _ => {}
        }
        self.say(&say, &server, body, out).await
    }

    /// Accepts a request up to its body, or returns the reason for a refusal. `scratch` is a buffer
    /// for tokens and for metadata.
    #[inline(never)]
    fn enter<'r, 'h>(
        &self,
        request: &'r Result<Request<'h>, Fault>,
        scratch: &mut [u8],
        say: &mut Say,
    ) -> Option<(&'r Request<'h>, Guest<'r>)>
    where
        'a: 'r,
    {
        let request = match request {
            Ok(request) => request,
            Err(fault) => {
                say.fault(*fault);
                return None;
            }
        };
        // RFC 9112 §9.3: after `close` a client does not send its next request on a connection that
        // is about to end.
        if request.keep_alive && !self.room.is_full() {
            say.after = After::KeepAlive;
        }
        let refusal = match gate(&request.facts, &self.site.policy) {
            _ if self.metadata(request, scratch, say) => return None,
            _ if !self.site.is_at(request.path) => {
                say.answer = Answers::alone(Standalone::unreadable(404, "There is nothing at this path"));
                None
            }
            Door::In(who) => return self.fits(request, scratch.len(), say).map(|request| (request, Guest::Known(who))),
            // The buffer for the body is still empty.
            Door::NeedKey(came) => {
                let checked = self.site.guard.check(&came, self.from, scratch);
                let as_guest = |refusal| guest(self.site.policy.access, refusal).map(Guest::Known).ok_or(refusal);
                match checked.or_else(as_guest) {
                    Ok(guest) => return self.fits(request, scratch.len(), say).map(|request| (request, guest)),
                    Err(refusal) => Some(refusal),
                }
            }
            Door::Out(refusal) => Some(refusal),
        };
        if let Some(refusal) = refusal {
            say.answer = Answers::alone(Standalone::refused(refusal));
            say.refusal = Some((refusal, None));
        }
        // A refused caller must not hold the connection with a slow body, so the answer does not
        // wait for the body. The next request would begin behind that body, so the connection ends.
        if request.framing != Framing::Length(0) {
            say.after = After::Close;
        }
        None
    }

    /// Refuses a body that is announced as too large before the client sends it.
    // RFC 9110 §10.1.1: a final status tells the client not to send its body. Some send it all the same, so the connection ends.
    fn fits<'r, 'h>(&self, request: &'r Request<'h>, limit: usize, say: &mut Say) -> Option<&'r Request<'h>> {
        match request.framing {
            Framing::Length(length) if request.expects_continue && length > limit => {
                *say = Say { answer: Answers::alone(Standalone::too_large(limit)), ..Say::NOTHING };
                None
            }
            _ => Some(request),
        }
    }

    /// Answers with the metadata that names the authorization server (RFC 9728), if the request is
    /// for it.
    fn metadata(&self, request: &Request<'_>, out: &mut [u8], say: &mut Say) -> bool {
        let Some(tokens) = self.site.guard.tokens() else { return false };
        let asks = (request.facts.verb, request.framing) == (Method::Get, Framing::Length(0));
        if !asks || !tokens.has_metadata_at(request.path) {
            return false;
        }
        let mut out = Slice::new(out);
        let issuer = tokens.rules.issuers.iter().take(1).copied();
        say.answer = match metadata(&tokens.resource, issuer, tokens.scopes.iter().copied(), &mut out) {
            Ok(()) => Answers::Written(out.len()),
            Err(Full) => Answers::alone(Standalone::unreadable(500, "The metadata does not fit into the buffer")),
        };
        true
    }

    /// Opens a message; `None` if the answer is already in `say`.
    #[inline(never)]
    fn open(
        &self,
        came: Result<bool, Fault>,
        (server, who): (&Server<'_>, &Authenticated<'_>),
        facts: &HeadFacts<'_>,
        (body, limit): (&[u8], usize),
        say: &mut Say,
    ) -> Option<Next> {
        match came {
            Ok(true) => {}
            Ok(false) => {
                say.answer = Answers::alone(Standalone::too_large(limit));
                return None;
            }
            Err(fault) => {
                say.fault(fault);
                return None;
            }
        }
        say.accept = facts.accept;
        match open(server, who, Carrier::Http(facts), body).next {
            // No call asks anything here.
            Next::Ack | Next::Cancel(_) | Next::Answer(..) => None,
            Next::Reply(reply) | Next::Remember(_, reply) => {
                say.refusal = reply.denied().map(|(refusal, operation)| (refusal, Some(operation)));
                say.answer = Answers::Reply(reply);
                None
            }
            next => Some(next),
        }
    }

    /// Sends the answer that was decided. `out` is for its head.
    async fn say(&mut self, say: &Say, server: &Server<'_>, body: &[u8], out: &mut [u8]) -> Result<After, Gone> {
        let mut head = Slice::new(out);
        let (emission, end) = self.answer(say, server, body, &mut head).map_err(|Full| Gone)?;
        self.to.put(head.written()).await?;
        if let Some(emission) = emission {
            self.to.emission(emission).await?;
        }
        self.to.put(end).await?;
        self.to.flush().await?;
        Ok(say.after)
    }

    /// Writes the head of an answer, with a challenge that says which credentials the caller needs. Returns the rest of the
    /// answer: a reply, and the bytes behind it.
    #[inline(never)]
    fn answer<'s>(
        &self,
        say: &'s Say,
        server: &'s Server<'s>,
        body: &'s [u8],
        out: &mut Slice<'_>,
    ) -> Result<(Option<Emission<'s>>, &'s [u8]), Full> {
        let mut event = None;
        let rest: (_, &[u8]) = match &say.answer {
            Answers::Reply(reply) => {
                reply.tell();
                let emission = reply.emit(server, body, b"");
                let len = emission.len();
                event = is_event(reply, say.accept).then_some(sse::FRONT.len() + len + sse::BACK.len());
                let content = if event.is_some() { Content::Events } else { Content::Message(len) };
                open_head(reply.status(), content, out)?;
                (Some(emission), if event.is_some() { LAST_EVENT_END } else { b"" })
            }
            Answers::Nothing => {
                open_head(ACCEPTED, Content::Nothing, out)?;
                (None, b"")
            }
            Answers::Written(len) => {
                open_head(OK, Content::Message(*len), out)?;
                (None, body.get(..*len).unwrap_or_default())
            }
        };
        if let Some((refusal, operation)) = say.refusal {
            let without = out.len();
            out.put(b"www-authenticate: ")?;
            let before = out.len();
            let tokens = self.site.guard.tokens();
            // All scopes that a client needs, or those of the operation for which the caller lacks
            // a right.
            let all = tokens.filter(|_| operation.is_none()).map_or(&[] as &[&str], |tokens| tokens.scopes);
            let some = operation.map(|operation| scopes(self.to.server.offers(), operation)).into_iter().flatten();
            challenge(refusal, tokens.map(|tokens| &tokens.resource), all.iter().copied().chain(some), out)?;
            // Not every refusal has a challenge.
            if out.len() == before {
                out.truncate(without);
            } else {
                out.put(b"\r\n")?;
            }
        }
        close_head(say.after, out)?;
        if let Some(len) = event {
            out.put(&chunk(len))?;
            out.put(sse::FRONT)?;
        }
        Ok(rest)
    }

    /// Reads a body, and returns whether it fits.
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
                warning!("a request whose body did not come in time: cut off");
                return Err(Gone);
            };
            if !more? {
                return Err(Gone);
            }
        }
        Ok(Ok(!body.is_too_large()))
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
        // This comes last, since it searches the whole request.
        let logs = version.is_modern() && to.server.offers().features().logging;
        let way = Way::new(if logs { call.log_level() } else { None });
        let comment = site.deadlines.comment;
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
                        let listens = awaited;
                        let gone = pin!(async {
                            if !listens {
                                core::future::pending::<()>().await;
                            }
                            source.gone().await;
                        });
                        let silence = pin!(async {
                            Timer::after(comment).await;
                            Heard::Silence
                        });
                        let heard = first(silence, gone).await.unwrap_or(Heard::Gone);
                        // A client can disconnect only once.
                        awaited &= heard != Heard::Gone;
                        heard
                    };
                    let send = async |said: Said<'_, Heard>| {
                        let sent = answer.say(said, &call).await;
                        match sent {
                            // No client receives the rest.
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
                    warning!("a call took too long: its handler is dropped");
                }
                if let Ok(Err(Gone)) = ended {
                    warning!("a client went while its call ran: the handler is dropped");
                }
                let result = ended.unwrap_or(Ok(late))?;
                ticket.finish(answer.to.server, output, result)
            }
        };
        // The time that the handler takes does not count against the client.
        answer.to.by = by.saturating_add(since.elapsed());
        answer.end(&reply, body, outbox.rest()).await
    }
}

/// Whether this reply is sent as the only event of a stream, to a client that does not accept JSON.
// RFC 9110 §12.5.1. A refusal is JSON in any case, which RFC 9110 §15.5.7 leaves to the server.
fn is_event(reply: &Reply, accept: Accept) -> bool {
    reply.status() == OK && !accept.json()
}

/// The bytes after the message in the only chunk of an answer that is one event, and the end of the answer.
const LAST_EVENT_END: &[u8] = b"\n\n\r\n0\r\n\r\n";

/// The answer to a request, as it was chosen.
struct Say {
    answer: Answers,
    /// The forms that the client accepts.
    accept: Accept,
    /// The refusal that the challenge explains; the operation is the one for which the caller lacks
    /// a right.
    refusal: Option<(Refusal, Option<Operation>)>,
    after: After,
}

enum Answers {
    /// There is nothing to answer.
    Nothing,
    Reply(Reply),
    /// This number of bytes in the buffer for the body.
    Written(usize),
}

impl Answers {
    fn alone(reply: Standalone) -> Self {
        Self::Reply(reply.into())
    }
}

impl Say {
    const NOTHING: Self = Self { answer: Answers::Nothing, accept: Accept::ANY, refusal: None, after: After::Close };

    /// Bytes that are not valid HTTP. The connection ends, because the beginning of the next
    /// request is unknown.
    fn fault(&mut self, fault: Fault) {
        *self =
            Self { answer: Answers::alone(Standalone::unreadable(fault.status(), fault.reason())), ..Self::NOTHING };
    }
}

/// The events on a connection while its call runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// The client has disconnected.
    Gone,
    /// The stream was silent for as long as it may be.
    Silence,
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

/// The time for which an idle connection stays open before it makes room for another: the client's
/// next request may be on its way.
const GRACE: Duration = Duration::from_millis(100);
