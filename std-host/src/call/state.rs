//! The sealed request state: a modern client carries it from one request of a call to the next (MCP
//! 2026-07-28 basic/patterns/mrtr).

use crate::budget::{Permit, weight};
use crate::clock::now;
use crate::sink::Growing;
use attache_core::json::Text;
use attache_core::seal::Key;
use attache_core::tool::{Call, Kind};
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The content of a sealed state.
#[derive(Deserialize)]
pub(super) struct State {
    /// The answers so far.
    #[serde(rename = "a")]
    pub(super) answers: Map<String, Value>,
    /// The value that the handler saved.
    #[serde(rename = "s")]
    pub(super) saved: Option<Value>,
    /// The parked call that the state leads back to.
    #[serde(rename = "p")]
    pub(super) parked: Option<ParkedCall>,
}

/// Where a call is parked: the process, and the number of the call there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ParkedCall {
    #[serde(rename = "h")]
    pub(crate) home: [u8; 4],
    #[serde(rename = "n")]
    pub(crate) call: u64,
}

/// Seals the state of a call, which is valid for the time `life`.
pub(super) fn seal(binding: &Binding, key: &Key, state: &Value, life: Duration) -> Option<String> {
    let value = state.to_string();
    let expires = now() + life.as_secs();
    let mut scratch = vec![0; value.len() + 64];
    let mut sealed = Growing::unlimited();
    key.seal(&binding.parts(), expires, value.as_bytes(), &mut scratch, &mut sealed).ok()?;
    String::from_utf8(sealed.bytes).ok()
}

/// Opens a state that was sealed for the same call. The memory of its parsed value, which can
/// exceed its text, is reserved from `permit`.
pub(super) fn open(binding: &Binding, key: &Key, sealed: Text<'_>, permit: &mut Permit) -> Option<State> {
    let mut scratch = vec![0; sealed.raw().len()];
    let value = key.open(&binding.parts(), now(), sealed, &mut scratch)?;
    permit.more(weight(value)).ok()?;
    serde_json::from_slice(value).ok()
}

/// The request that a state is bound to, so that no other call can use the state.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    kind: Kind,
    /// The name of the called item. Not its index, which may belong to another item when the client
    /// returns.
    key: Arc<str>,
    /// The arguments or the URI, as a slice of the body.
    subject: Bytes,
    /// The caller's identity; empty for an anonymous caller.
    caller: Bytes,
}

impl Binding {
    /// Returns the binding for `call`, which was read from `body` and calls the item named `key`.
    pub(crate) fn of(body: &Bytes, call: &Call<'_>, kind: Kind, key: &Arc<str>) -> Self {
        let subject = match (call.read().uri().raw(), call.arguments().value()) {
            ([], Some(arguments)) => body.slice_ref(arguments.raw()),
            ([], None) => Bytes::from_static(b"{}"),
            (uri, _) => body.slice_ref(uri),
        };
        Self { kind, key: Arc::clone(key), subject, caller: Bytes::copy_from_slice(call.who().identity()) }
    }

    /// Returns the arguments or the URI as they were written.
    pub(crate) const fn subject(&self) -> &Bytes {
        &self.subject
    }

    // MCP 2026-07-28 basic/patterns/mrtr: bound to the principal and to the request.
    fn parts(&self) -> [&[u8]; 4] {
        let kind: &[u8] = match self.kind {
            Kind::Tool => b"tool",
            Kind::Prompt => b"prompt",
            Kind::Resource => b"resource",
            Kind::Template => b"template",
        };
        [kind, self.key.as_bytes(), &self.subject, &self.caller]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ctx, NoArgs, Server};
    use attache_core::auth::{Access, ApiKey, Authenticated, Shown, digest};
    use attache_core::exchange::{Carrier, Next, open};
    use serde_json::json;

    #[test]
    fn state_expires_at_the_end_of_its_life() {
        let binding =
            Binding { kind: Kind::Tool, key: Arc::from("t"), subject: Bytes::from_static(b"{}"), caller: Bytes::new() };
        let key = Key::new([7; 32]);
        for life in [crate::limits::PARKED_TIME, crate::limits::ANSWERS] {
            let begun = now();
            let sealed = Value::from(seal(&binding, &key, &json!({ "a": {} }), life).expect("a state")).to_string();
            let opens = |time: u64| {
                let state = attache_core::json::Value::parse(sealed.as_bytes()).expect("JSON");
                let mut scratch = vec![0; sealed.len()];
                key.open(&binding.parts(), time, state.text().expect("a text"), &mut scratch).is_some()
            };
            assert!(opens(begun + life.as_secs() - 1) && !opens(now() + life.as_secs() + 1), "{life:?}");
        }
    }

    // MRTR-07
    #[test]
    fn state_of_one_caller_is_void_for_another() {
        let server = Server::new("s", "1").tool("t", "d", |_: NoArgs, _: Ctx| async {}).build();
        let (moment, name) = (server.now(), Arc::from("t"));
        let body = Bytes::from_static(
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        );
        let bound = |who: &Authenticated<'_>| match open(&moment.server(), who, Carrier::Line(None), &body).next {
            Next::Call(ticket) => Binding::of(&body, &ticket.call(&body, who), Kind::Tool, &name),
            other => panic!("{other:?}"),
        };
        let keys = [ApiKey::new("a", digest(b"first")), ApiKey::new("b", digest(b"second"))];
        let shown = |secret| Shown::new(secret).check(&keys).expect("a known key");
        let callers = [Authenticated::anonymous(&Access::Anonymous), shown(b"first"), shown(b"second")];
        let key = Key::new([7; 32]);
        for (of, giver) in callers.iter().enumerate() {
            let sealed =
                seal(&bound(giver), &key, &json!({ "a": {}, "s": 1 }), Duration::from_secs(60)).expect("a state");
            let quoted = Value::from(sealed).to_string();
            let state = attache_core::json::Value::parse(quoted.as_bytes()).expect("JSON");
            for (by, taker) in callers.iter().enumerate() {
                let opened = super::open(&bound(taker), &key, state.text().expect("a text"), &mut Permit::uncounted());
                assert_eq!(opened.is_some(), of == by, "of caller {of}, by caller {by}");
            }
        }
    }
}
