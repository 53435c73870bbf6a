//! Which calls may share a connection to an upstream of an older revision.
//!
//! Such a connection is a session: it has declared its capabilities once, and the server may keep state in it. So callers that the
//! gate can tell apart do not share one.

use crate::auth::Caller;
use crate::backend::Call;
use crate::client::{RawJson, Version};
use serde_json::{Map, Value, json};

/// What a client can be asked, as `ClientCapabilities` of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Profile(RawJson);

impl Profile {
    /// Everything that a bridge can carry. A server that lists some tools only to clients with a capability lists all of them.
    pub(super) fn full() -> Self {
        Self::of(&json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}))
    }

    /// What the client of a call has declared, without what a bridge cannot carry.
    // MCP 2026-07-28 basic/patterns/mrtr: a server asks only for what this request declares.
    pub(super) fn of_call(call: &Call) -> Self {
        let declared = call.client_capabilities();
        let mut carried = Map::new();
        if let Some(modes) = declared["elicitation"].as_object() {
            let mut elicitation = Map::new();
            // An empty object means forms. MCP 2025-06-18 changelog: elicitation is new; 2025-11-25: its mode `url`.
            if (modes.is_empty() || modes.contains_key("form")) && call.version() >= Version::V2025_06_18 {
                elicitation.insert("form".to_owned(), json!({}));
            }
            if modes.contains_key("url") && call.version() >= Version::V2025_11_25 {
                elicitation.insert("url".to_owned(), json!({}));
            }
            if !elicitation.is_empty() {
                carried.insert("elicitation".to_owned(), elicitation.into());
            }
        }
        if declared["sampling"].is_object() {
            carried.insert("sampling".to_owned(), declared["sampling"].clone());
        }
        // Without `listChanged`: the bridge does not forward changes of roots.
        if declared["roots"].is_object() {
            carried.insert("roots".to_owned(), json!({}));
        }
        Self::of(&carried.into())
    }

    fn of(value: &Value) -> Self {
        Self(RawJson::of(value).unwrap_or_else(|_| RawJson::empty_object()))
    }

    pub(super) fn json(&self) -> RawJson {
        self.0.clone()
    }

    /// Whether the client can be asked nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0 == RawJson::empty_object()
    }
}

/// The calls that may share a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Domain {
    /// The caller. Callers that the gate cannot tell apart are one.
    caller: Option<String>,
    pub(super) profile: Profile,
}

impl Domain {
    /// The domain of a call over HTTP, where a session costs little.
    pub(super) fn of_session(call: &Call) -> Self {
        Self { caller: identity(call.caller()), profile: Profile::of_call(call) }
    }

    /// The domain of a call to a child process; `None` if the call can share the first child with all others. A caller that can be
    /// asked has a child of its own, because on a shared pipe a late question could reach another caller.
    pub(super) fn of_process(call: &Call) -> Option<Self> {
        let caller = identity(call.caller()).filter(|_| !Profile::of_call(call).is_empty())?;
        Some(Self { caller: Some(caller), profile: Profile::full() })
    }
}

/// A name for the caller that no other caller has.
fn identity(caller: &Caller) -> Option<String> {
    if let Some(key) = caller.key_name() {
        return Some(format!("key {key}"));
    }
    let claims: Value = caller.claims()?;
    // RFC 9068 §2.2: issuer, subject and client. A token without them is a caller of its own.
    let parts = [&claims["iss"], &claims["sub"], &claims["client_id"], &claims["azp"]];
    Some(if claims["sub"].is_string() { json!(parts).to_string() } else { claims.to_string() })
}
