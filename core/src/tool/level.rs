//! The severity of a log message.

use crate::json::Text;

/// The severity of a log message (RFC 5424, MCP server/utilities/logging), least severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Level {
    /// Details for debugging.
    Debug,
    /// Normal operation.
    Info,
    /// A normal event that is worth attention.
    Notice,
    /// A condition that may lead to an error.
    Warning,
    /// A failure.
    Error,
    /// A failure that makes a part unusable.
    Critical,
    /// A condition that needs action at once.
    Alert,
    /// A failure that makes the whole system unusable.
    Emergency,
}

impl Level {
    const NAMES: [(&'static str, Self); 8] = [
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("notice", Self::Notice),
        ("warning", Self::Warning),
        ("error", Self::Error),
        ("critical", Self::Critical),
        ("alert", Self::Alert),
        ("emergency", Self::Emergency),
    ];

    /// Returns the level with this name.
    pub fn named(name: Text<'_>) -> Option<Self> {
        Self::NAMES.into_iter().find_map(|(known, level)| name.is(known).then_some(level))
    }

    /// The name of the level.
    pub fn name(self) -> &'static str {
        Self::NAMES.into_iter().find_map(|(name, level)| (level == self).then_some(name)).unwrap_or_default()
    }
}
