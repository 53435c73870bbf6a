//! Which calls may share a connection to an upstream of an older revision.
//!
//! Such a connection is a session: it has declared its capabilities once, and the server may keep
//! state in it. A question of the server may not say which call asks, and may come late. So two
//! users do not share a session in which the server can ask.

use crate::auth::Caller;
use crate::backend::Call;
use crate::client::{RawJson, Version};
use serde_json::{Map, Value, json};

/// The questions that a client supports, as `ClientCapabilities` of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Profile(RawJson);

impl Profile {
    /// Everything that a bridge can carry. A server that lists some tools only to clients with a capability lists all of them.
    pub(super) fn full() -> Self {
        Self::of(&json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}))
    }

    /// The capabilities that the client of a call has declared, without those that a bridge cannot
    /// carry.
    // MCP 2026-07-28 basic/patterns/mrtr: a server asks only for what this request declares.
    pub(super) fn of_call(call: &Call) -> Self {
        if call.declares_nothing() {
            return Self(RawJson::empty_object());
        }
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

    /// Whether the client cannot be asked anything.
    pub(super) fn is_empty(&self) -> bool {
        self.0 == RawJson::empty_object()
    }
}

/// Which calls share a child process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Per {
    /// All calls share a child if the server speaks revision 2026-07-28. If it speaks an older one, each
    /// session of a client that can be asked questions has a child, and so has each known caller
    /// without a session. Other calls that can be asked use a child one at a time.
    #[default]
    Auto,
    /// All calls share a child. A question of an older server reaches its caller only if one call runs
    /// that can be asked, and no such call was given up before; otherwise it is refused, because such a
    /// question does not name its call.
    Process,
    /// Each session of a client has a child. A client of revision 2026-07-28 has no sessions, so the
    /// calls of one caller share a child.
    Session,
    /// Each caller that the server can tell apart has a child, with the settings of
    /// [`Bridge::caller`](super::Bridge::caller).
    Caller,
}

/// Which connection to an upstream of an older revision a call may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// The first connection, with all calls that cannot be asked.
    First,
    /// A connection for all calls of one user.
    User(User),
    /// A connection that no other call that can be asked uses at the same time. Nothing tells the
    /// callers of these calls apart, so a question could otherwise reach the wrong one.
    Alone(Profile),
}

/// The calls of one user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct User {
    /// The caller. Callers that the gate cannot tell apart are one.
    caller: Option<String>,
    /// The session of a legacy client.
    pub(super) session: Option<[u8; 16]>,
    pub(super) profile: Profile,
}

impl Domain {
    /// The domain of a call over HTTP, where a session costs little.
    pub(super) fn of_session(call: &Call) -> Self {
        let profile = Profile::of_call(call);
        Self::of(call, profile.is_empty(), profile)
    }

    /// The domain of a call to a child process, which costs more than a session. With [`Per::Auto`],
    /// calls that cannot be asked share the first child. The others declare what the first child was
    /// told, so that they can use it.
    pub(super) fn of_process(per: Per, call: &Call) -> Self {
        match per {
            Per::Process => Self::First,
            Per::Session => Self::of(call, false, Profile::full()),
            Per::Caller if let Some(caller) = call.caller().identity() => {
                Self::User(User { caller: Some(caller), session: None, profile: Profile::full() })
            }
            Per::Auto | Per::Caller if Profile::of_call(call).is_empty() => Self::First,
            Per::Auto | Per::Caller => Self::of(call, false, Profile::full()),
        }
    }

    fn of(call: &Call, is_silent: bool, profile: Profile) -> Self {
        let (caller, session) = (call.caller().identity(), call.session());
        match (&caller, session) {
            (None, None) if !is_silent => Self::Alone(profile),
            _ => Self::User(User { caller, session, profile }),
        }
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

/// Whether a client can be asked to send its user to a page.
pub(super) fn can_visit(call: &Call) -> bool {
    call.version() >= Version::V2025_11_25 && call.client_capabilities()["elicitation"]["url"].is_object()
}
