//! The methods of the protocol, and the revisions that have them.

use super::Server;
use crate::era::Version;
use crate::json::Text;
use crate::tool::{Kind, Operation};

/// A method that clients send, in any revision, whether the engine serves it or not.
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
    /// `initialize`
    Initialize,
    /// `notifications/initialized`
    Initialized,
    /// `notifications/cancelled`
    Cancelled,
    /// `notifications/progress`
    Progress,
    /// `notifications/roots/list_changed`
    RootsChanged,
    /// `notifications/elicitation/complete`
    ElicitationComplete,
}

/// Makes the table of names, and its inverse: a method without a name does not compile.
macro_rules! methods {
    ($( $name:literal => ($($method:tt)+), )+) => {
        /// The most frequent method is first.
        const METHODS: &[(&str, Method)] = &[$( ($name, $($method)+), )+];

        impl Method {
            /// Returns the name of the method in the protocol.
            pub const fn name(self) -> &'static str {
                match self {
                    $( $($method)+ => $name, )+
                }
            }
        }
    };
}

methods! {
    "tools/call" => (Method::CallTool),
    "tools/list" => (Method::List(Kind::Tool)),
    "resources/read" => (Method::ReadResource),
    "resources/list" => (Method::List(Kind::Resource)),
    "resources/templates/list" => (Method::List(Kind::Template)),
    "prompts/get" => (Method::GetPrompt),
    "prompts/list" => (Method::List(Kind::Prompt)),
    "completion/complete" => (Method::Complete),
    "server/discover" => (Method::Discover),
    "ping" => (Method::Ping),
    "subscriptions/listen" => (Method::Listen),
    "logging/setLevel" => (Method::SetLevel),
    "resources/subscribe" => (Method::Subscribe),
    "resources/unsubscribe" => (Method::Unsubscribe),
    "initialize" => (Method::Initialize),
    "notifications/initialized" => (Method::Initialized),
    "notifications/cancelled" => (Method::Cancelled),
    "notifications/progress" => (Method::Progress),
    "notifications/roots/list_changed" => (Method::RootsChanged),
    "notifications/elicitation/complete" => (Method::ElicitationComplete),
}

impl Method {
    /// Finds the method with this name.
    pub fn named(name: Text<'_>) -> Option<Self> {
        METHODS.iter().find(|(known, _)| name.is(known)).map(|&(_, method)| method)
    }

    /// Returns the method that requests this operation.
    pub const fn of(operation: Operation) -> Self {
        match operation {
            Operation::Tool(_) => Self::CallTool,
            Operation::Prompt(_) => Self::GetPrompt,
            Operation::Resource(_) | Operation::Template(_) => Self::ReadResource,
            Operation::Complete(..) => Self::Complete,
        }
    }

    /// Whether `version` has the method as a request, and `server` has declared its capability. The
    /// handshake is not among these requests: it precedes them.
    // MCP 2026-07-28 basic/index: a method behind a capability that is not advertised counts as
    // unknown.
    pub fn is_served(self, version: Version, server: &Server<'_>) -> bool {
        let features = match self {
            // The most frequent request. Every revision has tools.
            Self::CallTool => server.offers().features(),
            _ => server.features(version),
        };
        match self {
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
            Self::Initialize
            | Self::Initialized
            | Self::Cancelled
            | Self::Progress
            | Self::RootsChanged
            | Self::ElicitationComplete => false,
        }
    }
}

/// The name of a message in logs and metrics: its method, or why it has none. It never contains a
/// text of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MessageLabel {
    /// The message could not be read as far as its method.
    Unreadable,
    /// The message is a response, which has no method.
    Response,
    /// The method is not of the protocol.
    Unknown,
    /// The message has this method.
    Method(Method),
}

impl MessageLabel {
    /// Returns the label of a message with a named method; `None` if the protocol does not know the
    /// name.
    pub const fn of(method: Option<Method>) -> Self {
        match method {
            Some(method) => Self::Method(method),
            None => Self::Unknown,
        }
    }

    /// Returns the label as logs and metrics show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "none",
            Self::Response => "response",
            Self::Unknown => "unknown",
            Self::Method(method) => method.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Value;

    #[test]
    fn methods_are_found_by_their_names_and_a_label_takes_one_byte() {
        for &(name, method) in METHODS {
            let mut quoted = [b'"'; 64];
            quoted[1..=name.len()].copy_from_slice(name.as_bytes());
            let text = Value::parse(&quoted[..name.len() + 2]).unwrap().text().unwrap();
            assert_eq!((Method::named(text), method.name()), (Some(method), name));
        }
        let text = Value::parse(br#""tools/Call""#).unwrap().text().unwrap();
        assert_eq!(MessageLabel::of(Method::named(text)), MessageLabel::Unknown);
        assert_eq!(size_of::<MessageLabel>(), 1);
    }
}
