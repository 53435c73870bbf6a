//! The methods of the protocol, and the revisions that have them.

use super::Server;
use crate::era::Version;
use crate::json::Text;
use crate::tool::Kind;

/// A method that the engine serves, except the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Method {
    /// `server/discover`
    Discover,
    /// `ping`
    Ping,
    /// The list of one kind of entries.
    List(Kind),
    /// `tools/call`
    CallTool,
    /// `prompts/get`
    GetPrompt,
    /// `resources/read`
    ReadResource,
    /// `completion/complete`
    Complete,
    /// `subscriptions/listen`
    Listen,
    /// `logging/setLevel`
    SetLevel,
    /// `resources/subscribe`
    Subscribe,
    /// `resources/unsubscribe`
    Unsubscribe,
}

impl Method {
    /// Finds the method with this name, if `version` has it and `server` has declared its
    /// capability.
    // MCP 2026-07-28 basic/index: a method behind a capability that is not advertised counts as
    // unknown.
    pub fn find(name: Text<'_>, version: Version, server: &Server<'_>) -> Option<Self> {
        let &(_, method) = METHODS.iter().find(|(known, _)| name.is(known))?;
        let features = server.features(version);
        let served = match method {
            Self::Discover => version.is_modern(),
            // MCP 2026-07-28 changelog: removed.
            Self::Ping => !version.is_modern(),
            Self::List(Kind::Tool) | Self::CallTool => features.tools,
            Self::List(Kind::Prompt) | Self::GetPrompt => features.prompts,
            Self::List(Kind::Resource | Kind::Template) | Self::ReadResource => features.resources,
            Self::Complete => features.completions,
            // MCP 2026-07-28 basic/patterns/subscriptions: if nothing could ever be delivered, the
            // method is unknown.
            Self::Listen => version.is_modern() && (features.list_changed || features.subscribe),
            // MCP 2026-07-28 changelog: replaced by `subscriptions/listen` and a key of `_meta`.
            Self::SetLevel => !version.is_modern() && features.logging,
            Self::Subscribe | Self::Unsubscribe => !version.is_modern() && features.resources && features.subscribe,
        };
        served.then_some(method)
    }
}

const METHODS: [(&str, Method); 14] = [
    ("tools/call", Method::CallTool),
    ("tools/list", Method::List(Kind::Tool)),
    ("resources/read", Method::ReadResource),
    ("resources/list", Method::List(Kind::Resource)),
    ("resources/templates/list", Method::List(Kind::Template)),
    ("prompts/get", Method::GetPrompt),
    ("prompts/list", Method::List(Kind::Prompt)),
    ("completion/complete", Method::Complete),
    ("server/discover", Method::Discover),
    ("ping", Method::Ping),
    ("subscriptions/listen", Method::Listen),
    ("logging/setLevel", Method::SetLevel),
    ("resources/subscribe", Method::Subscribe),
    ("resources/unsubscribe", Method::Unsubscribe),
];
