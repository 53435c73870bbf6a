//! The tower service: from an HTTP request to an HTTP response. The engine interprets both; this
//! module only moves bytes.

use super::answer::{
    AnswerBody, Answered, closing, for_people, not_found, refuse, refuse_at_door, response, short_of_memory, too_often,
};
use super::cors;
use super::form::Form;
use super::refused::{demand, kept_out, turn_away};
use super::session::{self, Named};
use super::stream::Source;
use crate::budget::{Account, Overdrawn, Permit};
use crate::door::{HeadRefusal, Peer, is_relayed, size};
use crate::engine::{Answer, Pending, Server};
use crate::limits;
use crate::observe::{Transport, Watch};
use crate::why;
use attache_core::auth::Authenticated;
use attache_core::era::Version as Revision;
use attache_core::exchange::{Carrier, Next, Standalone, open};
use attache_core::http::{ACCEPTED, HeadFacts, Method, Refusal, gate};
use bytes::{Buf, BufMut, Bytes};
use core::convert::Infallible;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::time::timeout;

/// The endpoint of one server. It does not check the path, which is the router's task.
#[derive(Clone, Debug)]
pub struct McpService {
    server: Arc<Server>,
}

impl McpService {
    /// Creates the endpoint of `engine`.
    pub const fn new(server: Arc<Server>) -> Self {
        Self { server }
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
        let server = Arc::clone(&self.server);
        Box::pin(why::scope(async move {
            let (head, body) = request.into_parts();
            let is_hidden = server.auth().is_hidden();
            // A preflight carries no credentials, so a hidden endpoint answers it like every other
            // request without credentials.
            if !is_hidden && let Some(response) = cors::preflight(&server, &head) {
                return Ok(response.map(AnswerBody));
            }
            let mut weight = Weight::of(&server, &head, &body);
            if is_hidden && !weight.is_known(&server, &head).await {
                // The caller is answered as on a path that is not served.
                watch(&server, &head).turned_away("hidden", StatusCode::NOT_FOUND.as_u16());
                return Ok(not_found(head.version).map(AnswerBody));
            }
            let mut response = answer(&server, &head, body, weight).await;
            cors::expose(&server, &head, &mut response);
            Ok(response.map(AnswerBody))
        }))
    }
}

/// Starts the record of a request.
pub(super) fn watch(server: &Server, head: &Parts) -> Watch {
    let mut watch = server.watch(Transport::Http);
    watch.peer = head.extensions.get::<Peer>().map(|Peer(address)| *address);
    watch
}

async fn answer<B>(
    server: &Arc<Server>,
    head: &Parts,
    body: B,
    Weight { refused, permit, ahead }: Weight,
) -> Response<Answered>
where
    B: Body + Send,
    B::Data: Send,
{
    let mut watch = watch(server, head);
    let unread = |response| closing(response, head.version);
    if let Some((refusal, wait)) = refused {
        return unread(match wait {
            Some(wait) => too_often(server, wait, watch),
            None => refuse_at_door(server, refusal, watch),
        });
    }
    let mut permit = match permit {
        Ok(permit) => permit,
        Err(short) => return unread(short_of_memory(server, short, watch)),
    };
    let checks = &server.checks;
    let facts = checks.facts(head);
    if let Method::Get | Method::Delete = facts.verb {
        let response = Box::pin(session::bodiless(server, &facts, head, &mut permit, watch)).await;
        return if response.status().is_success() { response } else { unread(for_people(head, response)) };
    }
    let guest = match checks.admit(gate(&facts, &checks.policy()), head, &mut permit).await {
        Ok(guest) => guest,
        Err(out) => return unread(kept_out(server, out, head, watch)),
    };
    let who = match guest.who() {
        Ok(who) => who,
        Err(refusal) => return unread(turn_away(server, refusal, head, watch)),
    };
    if !is_relayed(head)
        && let Err(wait) = checks.count_identity(&who)
    {
        return unread(too_often(server, wait, watch));
    }
    let own = match server.permit_of(&who, &permit) {
        Ok(own) => own,
        Err(short) => return unread(short_of_memory(server, short, watch)),
    };
    let limits = server.limits();
    let is_same = own.account() == permit.account();
    let reading = if is_same { permit.split(ahead) } else { own.another() };
    let read = timeout(limits.body_time, read(body, limits.body, reading)).await;
    if !is_same {
        permit.keep(permit.bytes() - ahead);
    }
    // A future is as large as its largest path, and it is moved as a whole several times before it
    // is polled. So the large parts are in boxes of their own.
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(Unread::Short(short))) => return unread(short_of_memory(server, short, watch)),
        Ok(Err(Unread::TooLarge)) => return unread(refuse(server, Standalone::too_large(limits.body), watch)),
        // An incomplete body is not parsed, because its beginning may be a valid message by chance.
        // An empty body takes its place, and so the peer is told that the body is not JSON.
        Ok(Err(Unread::BrokenOff)) => {
            watch.refused("broken_off");
            return unread(Box::pin(serve(server, head, &facts, &who, Bytes::new(), own, watch)).await);
        }
        Err(_) => {
            watch.refused("too_slow");
            let mut response = Box::pin(serve(server, head, &facts, &who, Bytes::new(), own, watch)).await;
            *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
            return unread(response);
        }
    };
    Box::pin(serve(server, head, &facts, &who, body, own, watch)).await
}

/// The number of body bytes that may have arrived and are not read yet.
fn ahead<B: Body>(body: &B) -> usize {
    if body.is_end_stream() {
        return 0;
    }
    let most = body.size_hint().upper().and_then(|most| usize::try_from(most).ok());
    most.map_or(limits::STREAM_WINDOW, |most| most.min(limits::STREAM_WINDOW))
}

/// The cost of a request and the checks of the transport, from the head alone.
struct Weight {
    /// Why the transport refuses the request, and the time after which the client may retry.
    refused: Option<HeadRefusal>,
    /// The memory of the head and of the body bytes that have arrived.
    permit: Result<Permit, Overdrawn>,
    /// The number of body bytes that were reserved in advance.
    ahead: usize,
}

impl Weight {
    fn of(server: &Server, head: &Parts, body: &impl Body) -> Self {
        let size = size(head);
        let ahead = ahead(body);
        let memory = limits::REQUEST_MEMORY + size + head.headers.len() * limits::FIELD_MEMORY + ahead;
        let address = Account::address(head.extensions.get::<Peer>().map(|Peer(address)| *address));
        let refused = server.checks.refused(head, size);
        let permit = match refused {
            // The answer to a refused request is small and is sent at once.
            Some(_) => Ok(Permit::uncounted()),
            None => server.budget().reserve(address, memory),
        };
        Self { refused, permit, ahead }
    }

    /// Whether the caller of a hidden endpoint may learn that the endpoint exists. While memory is short, and for a caller that comes too
    /// often, no signature is verified.
    async fn is_known(&mut self, server: &Server, head: &Parts) -> bool {
        match &mut self.permit {
            Ok(permit) if !matches!(self.refused, Some((Refusal::Rate, _))) => {
                Box::pin(server.checks.is_known(head, permit)).await
            }
            _ => server.checks.is_remembered(head),
        }
    }
}

/// Why a body was not read to its end.
pub(super) enum Unread {
    /// The body exceeds the limit.
    TooLarge,
    /// The peer closed the connection early, or broke the framing.
    BrokenOff,
    /// The memory budget has no room for the body.
    Short(Overdrawn),
}

/// Reads a body whole. Copies its pieces into one buffer, because each piece may hold a buffer many
/// times its size. Each growth of the buffer is reserved from the budget before more is read.
pub(super) async fn read<B: Body>(body: B, limit: usize, mut permit: Permit) -> Result<Bytes, Unread> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Err(Unread::TooLarge);
    }
    let most = hint.upper().and_then(|most| usize::try_from(most).ok()).map_or(limit, |most| most.min(limit));
    // If the reservation for unread bytes covers the whole body, it covers the buffer, too.
    let covered = if most <= permit.bytes() { most } else { 0 };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::BrokenOff)?;
        // No trailer field has a meaning here.
        let Ok(data) = frame.into_data() else { continue };
        if data.remaining() > limit - bytes.len() {
            return Err(Unread::TooLarge);
        }
        let (capacity, needed) = (bytes.capacity(), bytes.len() + data.remaining());
        if needed > capacity {
            let wanted = needed.max((2 * capacity).min(most));
            permit.more(wanted.saturating_sub(capacity.max(covered))).map_err(Unread::Short)?;
            bytes.reserve_exact(wanted - bytes.len());
        }
        bytes.put(data);
    }
    permit.keep(bytes.capacity());
    Ok(permit.into_bytes(bytes))
}

/// Answers a body that has arrived. Its memory is charged to the request of `permit`.
async fn serve(
    server: &Arc<Server>,
    head: &Parts,
    facts: &HeadFacts<'_>,
    who: &Authenticated<'_>,
    body: Bytes,
    permit: Permit,
    mut watch: Watch,
) -> Response<Answered> {
    let form = Form::of(facts, &permit);
    let (client, carrier) = match session::named(server, facts, who, permit.account()) {
        Ok(Named::Of(client)) => {
            let session = client.session;
            (Some(client), Carrier::Session(facts, session))
        }
        Ok(Named::Nothing) => (None, Carrier::Http(facts)),
        Ok(Named::Unknown) => (None, Carrier::UnknownSession(facts)),
        Err(error) => return refuse(server, Standalone::error(error, Revision::NEWEST_LEGACY), watch),
    };
    let moment = server.now_for(head, who);
    let opened = open(&moment.server_for(who), who, carrier, &body);
    moment.opened(&opened, who, &body, &mut watch);
    let next = opened.next;
    if let Next::Batch(batch) = next {
        let batch =
            session::batch(server, (moment, batch), who, carrier, (&body, &permit), client.as_ref(), (&form, watch));
        return Box::pin(batch).await;
    }
    if let Next::Reply(reply) = &next
        && let Some((refusal, operation)) = reply.denied()
    {
        let Answer { status, bytes, .. } = moment.replied(reply, &body, &permit, &mut watch);
        let mut response = response(status, bytes);
        demand(server, refusal, head, moment.scopes_of(operation), &mut response);
        return response;
    }
    let agreed = match &next {
        Next::Reply(reply) => reply.agreed().map(|version| server.session(version, reply.client())),
        _ => None,
    };
    let next = match &client {
        Some(client) => Box::pin(client.forward(next, &body, &permit, server.neighbours())).await,
        None => next,
    };
    let (next, place) = server.admission.place(next, &body, &permit).await;
    let source = match moment.start(next, who, body, place, client.as_ref(), watch) {
        None => return response(ACCEPTED, Bytes::new()),
        Some(Pending::Ready(Answer { status, bytes, .. })) => {
            let mut response = form.whole(status, bytes);
            if let Some(session) = agreed {
                session::name(server, &session, who, &mut response);
            }
            return response;
        }
        // A subscription is always a stream.
        Some(Pending::Listening(listening)) => return form.stream(Source::Listening(listening)),
        // Since 2026-07-28, a disconnect is a cancellation: the future of the request is dropped
        // with its connection, and the call with it.
        Some(Pending::Running(running)) if running.version().is_modern() => Source::Running(running),
        Some(Pending::Running(running)) => match &client {
            None => Source::detached(running),
            Some(client) => return Box::pin(session::call(server, running, client, &form, !is_relayed(head))).await,
        },
    };
    form.answer(source).await
}
