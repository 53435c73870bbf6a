//! From an HTTP request to an HTTP response. What the parts mean is decided by the engine; here they are only carried.

use super::answer::{AnswerBody, Answered, closing, refuse, refuse_at_door, response, stream, too_often};
use super::cors;
use super::door::{Guest, demand, turn_away};
use super::facts::facts;
use super::form::Form;
use super::session::{self, Named};
use super::stream::{Source, Stream};
use crate::engine::{Answer, Engine, Pending};
use crate::observe::{Transport, Watch};
use attache_core::auth::Authenticated;
use attache_core::era::Version as Revision;
use attache_core::exchange::{Next, Origin, Standalone, open, open_in_unknown_session};
use attache_core::http::{ACCEPTED, Facts, Refusal, Verb, gate};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use core::convert::Infallible;
use core::net::IpAddr;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::time::timeout;

/// The address that a request came from. Whoever accepts the connection puts it into the request's extensions; the limit of
/// requests ([`Limits::rate`](crate::Limits)) tells callers apart by it, and counts all as one that come without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// The endpoint of one server. It looks at no path: whoever mounts it has done so.
#[derive(Clone, Debug)]
pub struct McpService {
    engine: Arc<Engine>,
}

impl McpService {
    /// The endpoint of `engine`.
    pub const fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl<B> tower_service::Service<Request<B>> for McpService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let engine = Arc::clone(&self.engine);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            if let Some(response) = cors::preflight(&engine, &head) {
                return Ok(response.map(AnswerBody));
            }
            let mut response = answer(&engine, &head, body).await;
            cors::expose(&engine, &head, &mut response);
            Ok(response.map(AnswerBody))
        })
    }
}

async fn answer<B>(engine: &Arc<Engine>, head: &Parts, body: B) -> Response<Answered>
where
    B: Body + Send,
    B::Data: Send,
{
    let mut watch = engine.watch(Transport::Http);
    watch.peer = head.extensions.get::<Peer>().map(|Peer(address)| *address);
    let unread = |response| closing(response, head.version);
    if let Some((refusal, wait)) = refused(engine, head) {
        return unread(match wait {
            Some(wait) => too_often(engine, wait, watch),
            None => refuse_at_door(engine, refusal, watch),
        });
    }
    let mut facts = facts(head);
    // More than one, or one beside that of the header, are too many.
    for key in engine.auth().keys_of(head.uri.query()) {
        facts.note(b"x-functions-key", key.as_bytes());
    }
    if let Verb::Get | Verb::Delete = facts.verb {
        let response = session::bodiless(engine, &facts, head, watch).await;
        return if response.status().is_success() { response } else { unread(response) };
    }
    let guest = match Guest::at(gate(&facts, &engine.policy()), head, engine).await {
        Ok(guest) => guest,
        Err(refusal) => return unread(turn_away(engine, refusal, head, watch)),
    };
    let who = match guest.who(engine) {
        Ok(who) => who,
        Err(refusal) => return unread(turn_away(engine, refusal, head, watch)),
    };
    let limits = engine.limits();
    let body = match timeout(limits.body_time, read(body, limits.body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(Unread::TooLarge)) => return unread(refuse(engine, Standalone::too_large(limits.body), watch)),
        // What is not whole is not looked at: its beginning may be a message by chance. No body is no JSON either, and
        // that is what the peer is told.
        Ok(Err(Unread::BrokenOff)) => {
            watch.refused("broken_off");
            return unread(serve(engine, head, &facts, &who, Bytes::new(), watch).await);
        }
        Err(_) => {
            watch.refused("too_slow");
            let mut response = serve(engine, head, &facts, &who, Bytes::new(), watch).await;
            *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
            return unread(response);
        }
    };
    serve(engine, head, &facts, &who, body, watch).await
}

/// What the transport asks of a head, before anybody looks at what it means: why it does not fit, and how long to wait until it
/// will.
fn refused(engine: &Engine, head: &Parts) -> Option<(Refusal, Option<Duration>)> {
    // RFC 9112 §6.1: codings before `chunked`, and several fields, are ways to have two readers see two messages.
    let mut codings = head.headers.get_all(http::header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_some_and(|first| !is_chunked(first) || codings.next().is_some()) {
        return Some((Refusal::Framing, None));
    }
    // RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host
    // header field and to any request message that contains more than one".
    let hosts = head.headers.get_all(http::header::HOST).iter().count();
    if hosts > 1 || hosts == 0 && head.version == http::Version::HTTP_11 {
        return Some((Refusal::Authority, None));
    }
    let limits = engine.limits();
    // As it stands on a wire of HTTP/1: a name, a colon, a space, a value, the end of the line.
    let sizes = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    if head.headers.len() > limits.fields || sizes.sum::<usize>() > limits.head {
        return Some((Refusal::Fields, None));
    }
    let caller = head.extensions.get::<Peer>().map(|Peer(address)| *address);
    let wait = engine.admission.count(caller).err()?;
    Some((Refusal::Rate, Some(wait)))
}

/// Why a body was not read to its end.
enum Unread {
    /// There is more than the limit.
    TooLarge,
    /// The peer broke off, or broke the framing.
    BrokenOff,
}

/// Reads a body whole. Its pieces are copied together: each may hold a buffer many times its size.
async fn read<B: Body>(body: B, limit: usize) -> Result<Bytes, Unread> {
    let mut body = pin!(body);
    let mut bytes = BytesMut::new();
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLarge);
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::BrokenOff)?;
        // Trailers say nothing that is asked for here.
        let Ok(data) = frame.into_data() else { continue };
        if data.remaining() > limit - bytes.len() {
            return Err(Unread::TooLarge);
        }
        bytes.put(data);
    }
    Ok(bytes.freeze())
}

/// Answers a body that has come in.
async fn serve(
    engine: &Arc<Engine>,
    head: &Parts,
    facts: &Facts<'_>,
    who: &Authenticated<'_>,
    body: Bytes,
    mut watch: Watch,
) -> Response<Answered> {
    let form = Form::of(facts);
    let (client, is_unknown) = match session::named(engine, facts, who) {
        Ok(Named::Of(client)) => (Some(client), false),
        Ok(Named::Nothing) => (None, false),
        Ok(Named::Unknown) => (None, true),
        Err(error) => return refuse(engine, Standalone::error(error, Revision::NEWEST_LEGACY), watch),
    };
    let origin = match &client {
        Some(client) => Origin::Session(facts, client.session),
        None => Origin::Http(facts),
    };
    let (moment, next) = engine.now().open(who, |server| match is_unknown {
        false => open(server, who, origin, &body),
        true => open_in_unknown_session(server, who, facts, &body),
    });
    moment.opened(&next, who, &body, &mut watch);
    if let Next::Batch(batch) = next {
        return session::batch(engine, batch, who, origin, &body, client.as_ref(), (&form, watch)).await;
    }
    if let Next::Reply(reply) = &next
        && let Some((refusal, operation)) = reply.denied()
    {
        let Answer { status, bytes, .. } = moment.replied(reply, &body, &mut watch);
        let mut response = response(status, bytes);
        demand(engine, refusal, head, moment.scopes_of(operation), &mut response);
        return response;
    }
    let agreed = match &next {
        Next::Reply(reply) => reply.agreed().map(|version| engine.session(version, reply.client())),
        _ => None,
    };
    let (next, place) = engine.admission.place(next).await;
    let source = match moment.start(next, who, body, place, client.as_ref(), watch) {
        None => return response(ACCEPTED, Bytes::new()),
        Some(Pending::Ready(Answer { status, bytes, .. })) => {
            let mut response = form.whole(status, bytes);
            if let Some(session) = agreed {
                session::name(engine, &session, who, &mut response);
            }
            return response;
        }
        // A subscription is a stream whatever it says first.
        Some(Pending::Listening(listening)) => return stream(Stream::events(None, Source::Listening(listening))),
        // Since 2026-07-28 a disconnect is a cancellation: the future of the request is dropped with its connection, and the
        // call with it.
        Some(Pending::Running(running)) if running.version().is_some_and(Revision::is_modern) => {
            Source::Running(running)
        }
        Some(Pending::Running(running)) => match &client {
            None => Source::detached(running),
            Some(client) => return session::call(engine, running, client, &form).await,
        },
    };
    form.answer(source).await
}
