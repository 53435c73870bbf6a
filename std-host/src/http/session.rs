//! Legacy sessions over HTTP (MCP 2025-11-25 basic/transports, "Session Management").

use super::answer::{Answered, refuse, refuse_at_door, response, short_of_memory, stream, too_often};
use super::door::{Guest, kept_out, turn_away};
use super::stream::{Source, next_until};
use crate::admission::{Place, parsed};
use crate::budget::{Account, Permit};
use crate::engine::{Engine, Running, Step, batched};
use crate::legacy::{Client, Hearing, Log, Logged, Writer, elsewhere};
use crate::observe::{Transport, Watch};
use attache_core::auth::Authenticated;
use attache_core::era::{Session, Version};
use attache_core::exchange::{Batch, Origin, Reply, open_batched};
use attache_core::http::{ACCEPTED, Facts, Field, OK, Refusal, Verb, gate_session};
use attache_core::rpc::{Error, Header, HeaderFault};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use std::sync::Arc;
use tokio::time::Instant;

/// The client whose session the request belongs to, if it belongs to one. What is of the modern era belongs to none, whatever
/// stands in its head.
/// What is remembered of it is charged to `account`.
pub(super) fn of(
    engine: &Engine,
    facts: &Facts<'_>,
    who: &Authenticated<'_>,
    account: Account,
) -> Result<Option<Client>, Error> {
    let modern = |field| matches!(field, Field::Once(date) if Version::parse(date).is_some_and(Version::is_modern));
    match facts.session {
        Field::Absent => Ok(None),
        _ if modern(facts.protocol_version) => Ok(None),
        Field::Repeated => Err(Error::Refused("Header Mcp-Session-Id is there more than once")),
        // MCP 2025-11-25 basic/transports: "MUST respond … with HTTP 404 Not Found".
        Field::Once(id) => engine.open_session(id, who, account).map(Some).ok_or(Error::UnknownSession),
    }
}

/// Gives the answer to a handshake the id of its session.
pub(super) fn name(engine: &Engine, session: &Session, who: &Authenticated<'_>, response: &mut Response<Answered>) {
    let id = engine.session_id(session, who).and_then(|id| HeaderValue::from_maybe_shared(Bytes::from(id)).ok());
    if let Some(id) = id {
        response.headers_mut().insert("mcp-session-id", id);
    }
}

/// Runs a call of a session.
pub(super) async fn call(
    engine: &Engine,
    mut running: Running,
    client: &Client,
    permit: &Permit,
) -> Response<Answered> {
    // What may have to be sent again is kept whole.
    running.whole();
    let (log, writer) = Log::begin(client.session.name, engine.logs.number(), permit.account());
    // MCP 2025-11-25 basic/transports: a disconnect is no cancellation.
    tokio::spawn(record(running, writer));
    let mut reader = log.read(0);
    let leave = leave(engine, client);
    let due = match next_until(&mut reader, leave).await {
        Some(Logged::Last(_, bytes, status)) => return response(status, bytes),
        Some(Logged::Message(number, message)) => Some((number, message)),
        // It says nothing for so long that its client is asked to come back.
        None => None,
        // MCP 2025-11-25 basic/utilities/cancellation: a cancelled request gets no answer.
        Some(Logged::Gone) => return stream(None, Source::Ended, permit),
    };
    engine.logs.keep(&log);
    // MCP 2025-11-25 basic/transports: an event with an id and no data first, so that the client can come back.
    let primed = client.session.version >= Version::V2025_11_25;
    stream(None, Source::Logged { reader, due, primed, leave }, permit)
}

/// When the client is asked to come back for the rest of a stream that begins now. Before 2025-11-25 a stream had to stay open.
fn leave(engine: &Engine, client: &Client) -> Option<Instant> {
    let can_come_back = client.session.version >= Version::V2025_11_25;
    can_come_back.then(|| Instant::now() + engine.limits().stream_time)
}

/// Runs a call whose messages come whole, whether anybody reads its log or not.
async fn record(mut running: Running, log: Writer) {
    loop {
        match running.step().await {
            Step::Told(message) => log.push(message).await,
            Step::Last(answer) => break log.finish(answer.bytes, answer.status),
            Step::Piece(_) | Step::Broken | Step::Gone => break,
        }
    }
}

/// Serves the messages of a batch, in their order. What they hold is charged to the request of the permit.
pub(super) async fn batch(
    engine: &Arc<Engine>,
    batch: Batch,
    who: &Authenticated<'_>,
    origin: Origin<'_>,
    (body, permit): (&Bytes, &Permit),
    client: Option<&Client>,
    mut watch: Watch,
) -> Response<Answered> {
    // The first one was counted with the request.
    for _ in batch.messages(body).skip(1) {
        if let Err(wait) = engine.admission.count(watch.peer) {
            return too_often(engine, wait, watch);
        }
    }
    watch.taken();
    // They run one after the other, in one place.
    let busy = |reason| {
        let reply = Reply::refusing(Error::Busy(reason), None, Version::V2025_03_26);
        refuse(engine, &reply, engine.watch(Transport::Http))
    };
    let Some(slot) = engine.admission.call(permit.account()).await else {
        return busy("Too many calls are running: try again later");
    };
    let place = match parsed(body, permit) {
        Ok(permit) => Place { _slot: Some(slot), permit },
        Err(short) => return busy(short.reason()),
    };
    let moment = engine.now();
    let pending = batch.messages(body).filter_map(|message| {
        let (moment, next) = moment.clone().open(who, |server| open_batched(server, who, origin, message));
        let (message, mut watch) = (body.slice_ref(message), engine.watch(Transport::Http));
        moment.opened(&next, who, &message, &mut watch);
        moment.start(next, who, message, Place::of(permit.another()), client, watch)
    });
    let pending = pending.collect();
    let charge = permit.another();
    // A disconnect is no cancellation.
    let answers = tokio::spawn(async move {
        let answers = batched(pending, &charge).await;
        drop(place);
        answers
    });
    match answers.await {
        Ok(Ok(Some(bytes))) => response(OK, bytes),
        Ok(Ok(None)) => response(ACCEPTED, Bytes::new()),
        Ok(Err(short)) => busy(short.reason()),
        Err(_) => response(StatusCode::INTERNAL_SERVER_ERROR.as_u16(), Bytes::new()),
    }
}

/// Serves a request without a body: it opens or resumes a stream, or ends a session.
pub(super) async fn bodiless(
    engine: &Arc<Engine>,
    facts: &Facts<'_>,
    head: &Parts,
    permit: &mut Permit,
    mut watch: Watch,
) -> Response<Answered> {
    let guest = match Guest::at(gate_session(facts, &engine.policy()), head, engine, permit).await {
        Ok(guest) => guest,
        Err(out) => return kept_out(engine, out, head, watch),
    };
    let who = match guest.who(engine) {
        Ok(who) => who,
        Err(refusal) => return turn_away(engine, refusal, head, watch),
    };
    let own = match engine.permit_of(&who, permit) {
        Ok(own) => own,
        Err(short) => return short_of_memory(engine, short, watch),
    };
    match served(engine, facts, &who, head, &own) {
        Ok(Some(response)) => {
            watch.status(response.status().as_u16());
            watch.taken();
            response
        }
        Ok(None) => refuse_at_door(engine, Refusal::Verb, watch),
        Err(error) => refuse(engine, &Reply::refusing(error, None, Version::NEWEST_LEGACY), watch),
    }
}

fn served(
    engine: &Arc<Engine>,
    facts: &Facts<'_>,
    who: &Authenticated<'_>,
    head: &Parts,
    permit: &Permit,
) -> Result<Option<Response<Answered>>, Error> {
    // MCP 2026-07-28 streamable-http: the modern era knows no other method than POST.
    if matches!(facts.protocol_version, Field::Once(date) if Version::parse(date).is_some_and(Version::is_modern)) {
        return Ok(None);
    }
    let client = match (of(engine, facts, who, permit.account())?, facts.protocol_version) {
        (Some(client), _) => client,
        // Nothing says that it is of a legacy client.
        (None, Field::Absent) => return Ok(None),
        (None, _) => return Err(Error::NoSession),
    };
    match facts.protocol_version {
        Field::Absent => {}
        Field::Once(date) if date == client.session.version.as_str().as_bytes() => {}
        _ => return Err(Error::Header(Header::ProtocolVersion, HeaderFault::Session)),
    }
    if facts.verb == Verb::Delete {
        client.end()?;
        return Ok(Some(response(StatusCode::NO_CONTENT.as_u16(), Bytes::new())));
    }
    let accepts = head.headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut accepts = accepts.peekable();
    if accepts.peek().is_some() && !accepts.any(|value| value.contains("text/event-stream") || value.contains("*/*")) {
        return Ok(Some(response(StatusCode::NOT_ACCEPTABLE.as_u16(), Bytes::new())));
    }
    match facts.last_event {
        Field::Absent => match Hearing::open(client, &engine.changes, permit)? {
            Some(hearing) => Ok(Some(stream(None, Source::Hearing(hearing), permit))),
            // Customary.
            None => Ok(Some(response(StatusCode::CONFLICT.as_u16(), Bytes::new()))),
        },
        Field::Once(id) => {
            let id = str::from_utf8(id).unwrap_or_default();
            let reader = engine.logs.resume(client.session.name, id);
            let unknown = || if client.is_at_home() { UNKNOWN_EVENT } else { elsewhere("event") };
            let reader = reader.ok_or_else(unknown)?;
            let leave = leave(engine, &client);
            Ok(Some(stream(None, Source::Logged { reader, due: None, primed: false, leave }, permit)))
        }
        Field::Repeated => Err(UNKNOWN_EVENT),
    }
}

const UNKNOWN_EVENT: Error = Error::Refused("Last-Event-ID names no event of this session that is still kept");
