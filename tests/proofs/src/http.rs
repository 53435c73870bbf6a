//! Proofs for `http`: header fields, gate, agreement of headers and body, status.

use crate::foreign::Foreign;
use crate::{keep, proofs};
use attache_core::auth::{Access, Gate};
use attache_core::http::{HeadFacts, Policy, agree, fields, gate, gate_session, status};
use attache_core::json::Value;
use attache_core::rpc::Envelope;

proofs! {
    /// Any head.
    fn proof_http_facts(foreign, _out) {
        let mut facts = facts(&mut foreign);
        facts.target(foreign.piece());
        keep((facts, facts.accept.json(), facts.accept.events()));
    }

    /// Any head at the gate of any server.
    fn proof_http_gate(foreign, _out) {
        let facts = facts(&mut foreign);
        let hosts = [foreign.string(), foreign.string()];
        let origins = [foreign.string(), foreign.string()];
        let count = foreign.number();
        let policy = Policy {
            hosts: hosts.get(..count).unwrap_or(&hosts),
            origins: origins.get(..count).unwrap_or(&origins),
            access: Gate::Open(Access::Anonymous),
        };
        keep(gate(&facts, &policy));
        keep(gate_session(&facts, &policy));
    }

    /// Any head against any method and name.
    fn proof_http_agree(foreign, _out) {
        let facts = facts(&mut foreign);
        let mut text = || Value::parse(foreign.piece()).ok().and_then(|value| value.text());
        let method = text().unwrap_or_default();
        keep(agree(&facts, method, text()));
    }

    /// The status for any error of a message.
    fn proof_http_status(foreign, _out) {
        let body = foreign.piece();
        if let Ok(envelope) = Envelope::read(body, |_| Ok(None))
            && let Err(refused) = envelope.message(body)
        {
            let status = status(refused.error, crate::server::version(&mut foreign));
            keep((status, fields(status)));
        }
        keep(fields(foreign.number() as u16));
    }
}

/// Reads a head whose fields end at an empty name.
pub(crate) fn facts<'a>(foreign: &mut Foreign<'a>) -> HeadFacts<'a> {
    let mut facts = HeadFacts::new(foreign.piece());
    loop {
        let name = foreign.piece();
        if name.is_empty() {
            return facts;
        }
        facts.note(name, foreign.piece());
    }
}
