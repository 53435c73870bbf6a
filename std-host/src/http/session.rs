//! Legacy sessions over HTTP (MCP 2025-11-25 basic/transports, "Session Management").

use super::answer::{Answered, refuse, refuse_at_door, response, short_of_memory, stream, too_often};
use super::form::Form;
use super::refused::{kept_out, turn_away};
use super::stream::{Source, Stream, next_until};
use crate::admission::{Place, parsed};
use crate::budget::{Account, Permit};
use crate::door::is_relayed;
use crate::engine::{Answer, Moment, Running, Server, Step, Stop, batched};
use crate::observe::{Transport, Watch};
use crate::session::{Client, Reader, ReplayBuffer, Replayed, SessionStream, Writer};
use attache_core::auth::Authenticated;
use attache_core::era::{Session, Version};
use attache_core::exchange::{Batch, Carrier, Standalone, open_batched};
use attache_core::http::{ACCEPTED, Field, HeadFacts, Method, OK, Refusal, gate_session};
use attache_core::rpc::{Error, Header, HeaderFault};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use std::sync::Arc;
use tokio::time::Instant;

/// The session that a request names.
pub(super) enum Named {
    /// The request names no session.
    Nothing,
    /// The session of this client.
    Of(Client),
    /// The session was never opened, belongs to another caller, or has ended.
    Unknown,
}

/// Finds the session that a request names. A request of the modern era has no session, even if its
/// head contains a session id. The state of the session is charged to `account`.
pub(super) fn named(
    server: &Server,
    facts: &HeadFacts<'_>,
    who: &Authenticated<'_>,
    account: Account,
) -> Result<Named, Error> {
    let modern = |field| matches!(field, Field::Once(date) if Version::parse(date).is_some_and(Version::is_modern));
    match facts.session {
        Field::Absent => Ok(Named::Nothing),
        _ if modern(facts.protocol_version) => Ok(Named::Nothing),
        Field::Repeated => Err(Error::Refused("Header Mcp-Session-Id is there more than once")),
        Field::Once(id) => Ok(match server.open_session(id, who, account) {
            Some(client) => Named::Of(client.hearing(facts.accept.events())),
            None => Named::Unknown,
        }),
    }
}

/// Adds the session id to the answer to a handshake.
pub(super) fn name(server: &Server, session: &Session, who: &Authenticated<'_>, response: &mut Response<Answered>) {
    let id = server.session_id(session, who).and_then(|id| HeaderValue::from_maybe_shared(Bytes::from(id)).ok());
    if let Some(id) = id {
        response.headers_mut().insert("mcp-session-id", id);
        // RFC 9111 §5.2.2.5: the id opens the session of its caller, so no cache may store it.
        response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Runs a call of a session. `can_resume` is whether the client may be asked to resume its stream.
pub(super) async fn call(
    server: &Server,
    mut running: Box<Running>,
    client: &Client,
    form: &Form,
    can_resume: bool,
) -> Response<Answered> {
    // A message that may have to be sent again is buffered whole.
    running.whole();
    let (log, writer) = ReplayBuffer::begin(client.session.name, server.logs.number(), client.account());
    // MCP 2025-11-25 basic/transports: a disconnect is not a cancellation.
    tokio::spawn(record(running, writer));
    let mut reader = log.read(0);
    let leave = if can_resume { leave(server, client) } else { None };
    let Some(begins_by) = form.begins_by() else {
        return answer_alone(reader, form).await;
    };
    let by = leave.map_or(begins_by, |leave| leave.min(begins_by));
    // MCP 2025-11-25 basic/transports: the first event has an id and no data, so that the client
    // can resume the stream.
    let primed = can_resume && client.session.version >= Version::V2025_11_25;
    let answer = match next_until(&mut reader, Some(by)).await {
        Some(Replayed::Last(_, bytes, status)) => return form.whole(status, bytes),
        // MCP 2025-11-25 basic/utilities/cancellation: a cancelled request gets no answer.
        Some(Replayed::Gone) => return form.stream(Source::Ended),
        Some(Replayed::Message(number, message)) => {
            form.stream(Source::Replayed { reader, due: Some((number, message)), primed, leave })
        }
        None => form.silent(Source::Replayed { reader, due: None, primed, leave }),
    };
    server.logs.keep(&log);
    answer
}

/// The answer of a call to a client that does not accept streams. The messages before the answer
/// are dropped.
async fn answer_alone(mut reader: Reader, form: &Form) -> Response<Answered> {
    loop {
        match reader.next().await {
            Replayed::Message(..) => {}
            Replayed::Last(_, bytes, status) => return form.whole(status, bytes),
            // The call was cancelled.
            Replayed::Gone => return response(ACCEPTED, Bytes::new()),
        }
    }
}

/// The time at which the client is asked to reconnect for the rest of a stream that begins now.
/// Before 2025-11-25, a stream had to stay open.
fn leave(server: &Server, client: &Client) -> Option<Instant> {
    let can_come_back = client.session.version >= Version::V2025_11_25;
    can_come_back.then(|| Instant::now() + server.limits().stream_time)
}

/// Runs a call and logs its messages, even if no client reads the log.
async fn record(mut running: Box<Running>, log: Writer) {
    loop {
        match running.step().await {
            Step::Told(message) => log.push(message).await,
            Step::Last(answer) => break log.finish(answer.bytes, answer.status),
            Step::Piece(_) | Step::Broken | Step::Gone => break,
        }
    }
}

/// Serves the messages of a batch in order. Their memory is charged to the request of the permit.
pub(super) async fn batch(
    server: &Arc<Server>,
    (moment, batch): (Moment, Batch),
    who: &Authenticated<'_>,
    carrier: Carrier<'_>,
    (body, permit): (&Bytes, &Permit),
    client: Option<&Client>,
    (form, mut watch): (&Form, Watch),
) -> Response<Answered> {
    // The first message was counted with the request.
    for _ in batch.messages(body).skip(1) {
        if let Err(wait) = server.checks.count(watch.peer).and_then(|()| server.checks.count_identity(who)) {
            return too_often(server, wait, watch);
        }
    }
    watch.taken();
    let peer = watch.peer;
    // The calls run one after the other, in one slot.
    let busy = |reason| {
        refuse(server, Standalone::error(Error::Busy(reason), Version::V2025_03_26), server.watch(Transport::Http))
    };
    let Some(slot) = server.admission.call(permit.account()).await else {
        return busy("Too many calls are running: try again later");
    };
    let place = match parsed(body, permit) {
        Ok(permit) => Place { _slot: Some(slot), permit },
        Err(short) => return busy(short.reason()),
    };
    // The array has no place for questions.
    let client = client.map(|client| client.clone().hearing(false));
    let mut pending = Vec::new();
    for message in batch.messages(body) {
        let moment = moment.clone();
        let opened = open_batched(&moment.server_for(who), who, carrier, message);
        let (message, mut watch) = (body.slice_ref(message), server.watch(Transport::Http));
        watch.peer = peer;
        moment.opened(&opened, who, &message, &mut watch);
        let next = match &client {
            Some(client) => client.forward(opened.next, &message, permit, server.neighbours()).await,
            None => opened.next,
        };
        pending.extend(moment.start(next, who, message, Place::of(permit.another()), client.as_ref(), watch));
    }
    let charge = permit.another();
    // A disconnect does not cancel the batch.
    let source = Source::batch(async move {
        let answers = batched(pending, &charge, Stop::default()).await;
        drop(place);
        match answers {
            Ok(Some(bytes)) => Answer::of(OK, bytes),
            Ok(None) => Answer::of(ACCEPTED, Bytes::new()),
            Err(short) => {
                moment.refused(Standalone::error(Error::Busy(short.reason()), Version::V2025_03_26), &mut watch)
            }
        }
    });
    form.answer(source).await
}

/// Serves a request without a body, which opens or resumes a stream, or ends a session.
pub(super) async fn bodiless(
    server: &Arc<Server>,
    facts: &HeadFacts<'_>,
    head: &Parts,
    permit: &mut Permit,
    mut watch: Watch,
) -> Response<Answered> {
    let checks = &server.checks;
    let guest = match checks.admit(gate_session(facts, &checks.policy()), head, permit).await {
        Ok(guest) => guest,
        Err(out) => return kept_out(server, out, head, watch),
    };
    let who = match guest.who() {
        Ok(who) => who,
        Err(refusal) => return turn_away(server, refusal, head, watch),
    };
    watch.called_by(&who);
    if !is_relayed(head)
        && let Err(wait) = checks.count_identity(&who)
    {
        return too_often(server, wait, watch);
    }
    let own = match server.permit_of(&who, permit) {
        Ok(own) => own,
        Err(short) => return short_of_memory(server, short, watch),
    };
    match served(server, facts, &who, &own).await {
        Ok(response) => {
            watch.status(response.status().as_u16());
            watch.taken();
            response
        }
        Err(Unserved::Head(refusal)) => refuse_at_door(server, refusal, watch),
        Err(Unserved::Session(error)) => refuse(server, Standalone::error(error, Version::NEWEST_LEGACY), watch),
    }
}

/// Why a request without a body is not served.
enum Unserved {
    /// Because of its head.
    Head(Refusal),
    /// Because of the session that it names, or because it names none.
    Session(Error),
}

impl From<Error> for Unserved {
    fn from(error: Error) -> Self {
        Self::Session(error)
    }
}

async fn served(
    server: &Arc<Server>,
    facts: &HeadFacts<'_>,
    who: &Authenticated<'_>,
    permit: &Permit,
) -> Result<Response<Answered>, Unserved> {
    // MCP 2026-07-28 streamable-http: POST is the only method of the modern era.
    if matches!(facts.protocol_version, Field::Once(date) if Version::parse(date).is_some_and(Version::is_modern)) {
        return Err(Unserved::Head(Refusal::Method));
    }
    let client = match (named(server, facts, who, permit.account())?, facts.protocol_version) {
        (Named::Of(client), _) => client,
        // MCP 2025-11-25 basic/transports: "MUST respond … with HTTP 404 Not Found".
        (Named::Unknown, _) => return Err(Error::UnknownSession.into()),
        // Nothing in the request says that a legacy client has sent it.
        (Named::Nothing, Field::Absent) => return Err(Unserved::Head(Refusal::Method)),
        (Named::Nothing, _) => return Err(Error::NoSession.into()),
    };
    match facts.protocol_version {
        Field::Absent => {}
        Field::Once(date) if date == client.session.version.as_str().as_bytes() => {}
        _ => return Err(Error::Header(Header::ProtocolVersion, HeaderFault::Session).into()),
    }
    if facts.verb == Method::Delete {
        client.end()?;
        server.backends.session_ended(client.session.name);
        return Ok(response(StatusCode::NO_CONTENT.as_u16(), Bytes::new()));
    }
    if !facts.accept.events() {
        return Err(Unserved::Head(Refusal::NotAcceptable));
    }
    match facts.last_event {
        Field::Absent => {
            let hearing = SessionStream::open(client, &server.changes, permit)?;
            Ok(stream(Stream::events(None, Source::SessionStream(hearing), permit)))
        }
        Field::Once(id) => {
            let id = str::from_utf8(id).unwrap_or_default();
            let reader = match server.logs.resume(client.session.name, id) {
                Some(reader) => reader,
                None => client.replayed(id, UNKNOWN_EVENT, server.neighbours()).await?,
            };
            let leave = leave(server, &client);
            let source = Source::Replayed { reader, due: None, primed: false, leave };
            Ok(stream(Stream::events(None, source, permit)))
        }
        Field::Repeated => Err(UNKNOWN_EVENT.into()),
    }
}

const UNKNOWN_EVENT: Error = Error::Refused("Last-Event-ID names no event of this session that is still kept");
