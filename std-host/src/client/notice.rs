//! Messages of a server that belong to no request.

use super::error::shown;
use super::raw::RawJson;

/// A message of the server that belongs to no request.
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
    /// A log message that belongs to no known request: `level`, `logger`, `data`.
    Log(RawJson),
    /// The user has finished the page of an elicitation: `elicitationId`.
    ElicitationComplete(RawJson),
    /// The session or subscription was opened again. Notifications may have been lost, so lists and
    /// resources may have changed.
    Reconnected,
    /// Another notification: its method and its parameters.
    Other(String, RawJson),
}

impl Notice {
    /// Converts a notification to a notice. `None` if a required parameter is missing.
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
