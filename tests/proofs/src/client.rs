//! Proofs for `client`: any message of a server, and any request of an application.

use crate::foreign::Foreign;
use crate::server::version;
use crate::{keep, proofs};
use attache_core::client::sse::{Field, LineEnds};
use attache_core::client::{self, Failure, Heard, Message, Meta, Negotiation, Outcome, Param, Profile, Transport};
use attache_core::era::Version;
use attache_core::json::{Slice, Value};

proofs! {
    /// Any message from a server.
    fn proof_client_read(foreign, _out) {
        let body = foreign.rest();
        if let Ok(received) = client::read(body) {
            if let Message::Answer(answer) = received.message {
                keep(answer.id.number());
                match answer.outcome {
                    Ok(result) => keep(Outcome::of(result.of(body))),
                    Err(error) => keep(Failure::of(error.of(body))),
                }
            }
            keep(received);
        }
    }

    /// The parts of any value.
    fn proof_client_parts(foreign, _out) {
        if let Ok(value) = Value::parse(foreign.rest()) {
            client::members(value).for_each(keep);
            client::elements(value).for_each(keep);
            keep(client::number(value));
        }
    }

    /// Any course of a negotiation.
    fn proof_client_negotiate(foreign, _out) {
        let transport = if foreign.byte() == 0 { Transport::Line } else { Transport::Http };
        let mut negotiation = Negotiation::new(transport);
        match foreign.byte() {
            0 => negotiation = negotiation.legacy(),
            1 => negotiation = negotiation.with_credential(),
            2 => negotiation = negotiation.pinned(version(&mut foreign).unwrap_or(Version::V2026_07_28)),
            _ => {}
        }
        keep(negotiation.start());
        while !foreign.is_empty() {
            let heard = heard(&mut foreign);
            keep(negotiation.heard(heard));
        }
    }

    /// Any request, notification and response, into any buffer.
    fn proof_client_request(foreign, out) {
        let profile =
            Profile { name: foreign.string(), version: foreign.string(), capabilities: foreign.piece() };
        let extra = [Param::text(foreign.string(), foreign.string())];
        let params = [Param::text(foreign.string(), foreign.string()), Param::json(foreign.string(), foreign.piece())];
        let version = version(&mut foreign).unwrap_or(Version::V2026_07_28);
        let meta = Meta::new(version, profile).progress(foreign.number() as u64).extra(&extra);
        let (id, method) = (foreign.number() as u64, foreign.string());
        let mut out = Slice::new(out);
        keep(client::request(&mut out, id, method, &params, &meta));
        keep(client::initialize(&mut out, id, version, &profile));
        keep(client::notification(&mut out, method, &params));
        keep(client::respond(&mut out, foreign.piece(), foreign.piece()));
        keep(client::respond_error(&mut out, foreign.piece(), foreign.number() as i64, method));
        keep(client::field_value(foreign.string(), &mut out));
        keep(client::mirrored_name(method));
    }

    /// Any event stream in any pieces.
    fn proof_client_events(foreign, _out) {
        let mut ends = LineEnds::default();
        while !foreign.is_empty() {
            let mut piece = foreign.piece();
            while let Some((part, ended)) = ends.next(&mut piece) {
                keep((Field::of(part, ended), ended));
            }
        }
    }
}

fn heard<'a>(foreign: &mut Foreign<'a>) -> Heard<'a> {
    let status = foreign.number() as u16;
    match foreign.byte() {
        0 => Heard::Message { status, body: foreign.piece() },
        1 => Heard::Status { status, body: foreign.piece() },
        2 => Heard::Opened,
        3 => Heard::Silence,
        4 => Heard::Ended,
        _ => Heard::Unreachable,
    }
}
