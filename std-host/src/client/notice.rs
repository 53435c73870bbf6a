//! What a server tells of itself, and not of one request.

use super::error::shown;
use super::raw::RawJson;

/// Something that a server tells of itself, and not of one request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The list of tools has changed.
    ToolsChanged,
    /// The list of prompts has changed.
    PromptsChanged,
    /// The list of resources has changed.
    ResourcesChanged,
    /// The resource with this URI has changed.
    ResourceUpdated(String),
    /// A log message that belongs to no request that is known: `level`, `logger`, `data`.
    Log(RawJson),
    /// The page of an elicitation was visited: `elicitationId`.
    ElicitationComplete(RawJson),
    /// The session was opened again: notifications may have been lost, so lists and resources may have changed.
    Reconnected,
    /// Another notification: its method and its parameters.
    Other(String, RawJson),
}

impl Notice {
    /// The notice that a notification is; `None` if it lacks what it should say.
    pub(super) fn of(method: &str, params: RawJson) -> Option<Self> {
        Some(match method {
            "notifications/tools/list_changed" => Self::ToolsChanged,
            "notifications/prompts/list_changed" => Self::PromptsChanged,
            "notifications/resources/list_changed" => Self::ResourcesChanged,
            "notifications/resources/updated" => Self::ResourceUpdated(params.member("uri")?.string()?),
            "notifications/message" => Self::Log(params),
            "notifications/elicitation/complete" => Self::ElicitationComplete(params),
            _ => Self::Other(shown(method), params),
        })
    }
}
