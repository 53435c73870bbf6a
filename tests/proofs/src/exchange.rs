//! Proofs for `exchange`: the whole path from a body to the bytes of the answer.

use crate::foreign::Foreign;
use crate::http::facts;
use crate::server::{caller, dispatch, server, version};
use crate::{keep, proofs};
use attache_core::era::{Client, Session, Version};
use attache_core::exchange::{
    Carrier, Emission, Inflight, Next, Reply, Sessions, Share, Standalone, answer, open, open_batched,
};
use attache_core::http::{Door, LOOPBACK, Policy, Refusal, gate};
use attache_core::json::{Sink, Slice, Value};
use attache_core::tool::Level;

proofs! {
    /// Any line of a connection, after any handshake or none.
    fn proof_exchange_open_line(foreign, _out) {
        let carrier = Carrier::Line(version(&mut foreign));
        keep(open(server(), &caller(), carrier, foreign.rest()));
    }

    /// Any body under any head.
    fn proof_exchange_open_http(foreign, _out) {
        let facts = facts(&mut foreign);
        keep(open(server(), &caller(), Carrier::Http(&facts), foreign.rest()));
    }

    /// A whole exchange over a line, with any tool and any buffer.
    fn proof_exchange_call_line(foreign, out) {
        let carrier = Carrier::Line(version(&mut foreign));
        exchange(carrier, &mut foreign, out);
    }

    /// A whole exchange over HTTP, with any tool and any buffer.
    fn proof_exchange_call_http(foreign, out) {
        let facts = facts(&mut foreign);
        exchange(Carrier::Http(&facts), &mut foreign, out);
    }

    /// A whole exchange in a legacy session, with any tool and any buffer.
    fn proof_exchange_call_session(foreign, out) {
        let facts = facts(&mut foreign);
        let session = session(&mut foreign);
        exchange(Carrier::Session(&facts, session), &mut foreign, out);
    }

    /// Any batch, and each of its messages.
    fn proof_exchange_batch(foreign, _out) {
        let facts = facts(&mut foreign);
        let carrier = Carrier::Session(&facts, session(&mut foreign));
        let (body, later) = (foreign.piece(), foreign.rest());
        if let Next::Batch(batch) = open(server(), &caller(), carrier, body).next {
            for message in batch.messages(later) {
                keep(open_batched(server(), &caller(), carrier, message));
            }
        }
    }

    /// Any operations on the table of calls, in any order.
    fn proof_exchange_inflight(foreign, _out) {
        let mut calls = Inflight::<2>::new();
        let mut place = None;
        while !foreign.is_empty() {
            let name = [foreign.byte(); 16];
            match foreign.byte() {
                0 => place = calls.begin(name, foreign.piece()).ok(),
                1 => place.into_iter().for_each(|place| calls.end(place)),
                2 => keep(calls.find(name, foreign.piece())),
                3 => keep(place.and_then(|place| calls.ask(place, foreign.number()))),
                _ => keep(calls.answered(name, foreign.number() as u64)),
            }
        }
        keep(calls);
    }

    /// Any operations on the table of sessions, in any order.
    fn proof_exchange_sessions(foreign, _out) {
        let mut sessions = Sessions::<2>::new();
        while !foreign.is_empty() {
            let (session, now) = (session(&mut foreign), foreign.number() as u64);
            match foreign.byte() {
                0 => keep(sessions.hold(&session, Share::ALL, now)),
                1 => sessions.release(&session),
                2 => keep(sessions.end(&session, Share::ALL, now)),
                3 => sessions.forget(&session),
                4 => keep((sessions.has_ended(&session), sessions.level(&session))),
                _ => {
                    let name = Value::parse(foreign.piece()).ok().and_then(|value| value.text());
                    if let Some(level) = name.and_then(Level::named) {
                        keep(sessions.set_level(&session, level, Share::ALL, now));
                    }
                }
            }
        }
        keep(sessions);
    }

    /// The loop for handlers that return at once.
    fn proof_exchange_answer(foreign, out) {
        let carrier = Carrier::Line(version(&mut foreign));
        let body = foreign.piece();
        let mut sink = Slice::new(out);
        if let Some(reply) = answer(server(), &caller(), carrier, body, &mut sink, dispatch) {
            let mut piece = [0; 64];
            emit(reply.emit(server(), body, sink.written()), &mut foreign, &mut piece);
        }
    }

    /// The reply to a message of any size that was too large to read.
    fn proof_exchange_too_large(foreign, out) {
        let reply = Standalone::too_large(foreign.number());
        emit(reply.emit(server()), &mut foreign, out);
    }

    /// The reply to any head that the gate refuses.
    fn proof_exchange_refused(foreign, out) {
        let facts = facts(&mut foreign);
        match gate(&facts, &Policy { hosts: LOOPBACK, origins: &[], access: attache_core::auth::Gate::Open(attache_core::auth::Access::Anonymous) }) {
            Door::In(who) => keep(who),
            Door::NeedKey(shown) => keep(shown),
            Door::Out(refusal) => refused(refusal, &mut foreign, out),
        }
    }
}

fn session(foreign: &mut Foreign<'_>) -> Session {
    Session {
        version: version(foreign).unwrap_or(Version::V2025_03_26),
        client: Client::NONE,
        name: [foreign.byte(); 16],
        home: [foreign.byte(); 4],
        ends: foreign.number() as u64,
    }
}

fn exchange(carrier: Carrier<'_>, foreign: &mut Foreign<'_>, out: &mut [u8]) {
    let body = foreign.piece();
    // A driver may pass another body in a later step than in the first: a mistake of the driver,
    // but never a panic.
    let later = foreign.piece();
    let (out, piece) = out.split_at_mut_checked(foreign.number()).unwrap_or_default();
    let mut sink = Slice::new(out);
    keep(sink.put(foreign.piece()));
    let who = caller();
    let reply = match open(server(), &who, carrier, body).next {
        Next::Call(mut ticket) => match ticket.begin(later, &mut sink) {
            Err(reply) => reply,
            Ok(mut output) => {
                let result = dispatch(ticket.call(later, &who), &mut output);
                ticket.finish(server(), output, result)
            }
        },
        Next::Reply(reply) | Next::Remember(_, reply) => reply,
        Next::Listen(_) | Next::Cancel(_) | Next::Answer(..) | Next::Batch(_) | Next::Ack => return,
    };
    replied(&reply);
    emit(reply.emit(server(), later, sink.written()), foreign, piece);
}

fn refused(refusal: Refusal, foreign: &mut Foreign<'_>, out: &mut [u8]) {
    keep((refusal.status(), refusal.error()));
    let reply = Standalone::refused(refusal);
    replied(&reply.into());
    emit(reply.emit(server()), foreign, out);
}

fn replied(reply: &Reply) {
    keep((reply.status(), reply.error_reported(), reply.agreed()));
}

/// Sends an answer through a buffer that changes its size from one piece to the next.
fn emit(mut emission: Emission<'_>, foreign: &mut Foreign<'_>, buffer: &mut [u8]) {
    keep((emission.len(), emission.is_empty()));
    while !foreign.is_empty() {
        let part = buffer.get_mut(..foreign.number()).unwrap_or_default();
        keep(emission.fill(part));
        keep((emission.len(), emission.is_empty()));
    }
    keep(emission.fill(buffer));
}
