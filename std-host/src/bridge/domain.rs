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

/// Which calls share a child process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Per {
    /// All calls share a child, except that a known caller that can be asked questions has a child of
    /// its own if the server speaks an older revision.
    #[default]
    Auto,
    /// All calls share a child. A question of an older server reaches its caller only if one call
    /// runs; otherwise it is refused, because such a question does not name its call.
    Process,
    /// Each session of a client has a child. A client of revision 2026-07-28 has no sessions, so the
    /// calls of one caller share a child.
    Session,
    /// Each caller that the server can tell apart has a child, with the settings of
    /// [`Bridge::caller`](super::Bridge::caller).
    Caller,
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

    /// The domain of a call to a child process; `None` if the call can share the first child with all others. With [`Per::Auto`], a
    /// caller that can be asked has a child of its own, because on a shared pipe a late question could reach another caller.
    pub(super) fn of_process(per: Per, is_modern: bool, call: &Call) -> Option<Self> {
        let identity = || identity(call.caller());
        let caller = match per {
            Per::Auto if is_modern || Profile::of_call(call).is_empty() => None,
            Per::Process => None,
            Per::Auto | Per::Caller => identity(),
            Per::Session => {
                let name = |session: [u8; 16]| format!("session {:032x}", u128::from_be_bytes(session));
                call.session().map(name).or_else(identity)
            }
        };
        Some(Self { caller: Some(caller?), profile: Profile::full() })
    }
}

/// The name by which a configuration refers to a caller: the name of a key, or issuer and subject of a token with a space between
/// them. The name of a key has no space.
pub(super) fn configured_name(caller: &Caller) -> Option<String> {
    if let Some(key) = caller.key_name() {
        return Some(key.to_owned()).filter(|key| !key.contains(' '));
    }
    Some(format!("{} {}", caller.claim("iss")?.as_str()?, caller.subject()?))
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
