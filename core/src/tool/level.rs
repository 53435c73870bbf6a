//! How grave a log message is.

use crate::json::Text;

/// How grave a log message is (RFC 5424, MCP server/utilities/logging), least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Level {
    /// For finding faults.
    Debug,
    /// What goes on.
    Info,
    /// What is normal but worth a word.
    Notice,
    /// What may become a fault.
    Warning,
    /// What went wrong.
    Error,
    /// What makes a part unusable.
    Critical,
    /// What has to be seen to at once.
    Alert,
    /// What makes the whole unusable.
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

    /// The level with this name.
    pub fn named(name: Text<'_>) -> Option<Self> {
        Self::NAMES.into_iter().find_map(|(known, level)| name.is(known).then_some(level))
    }

    /// The name of the level.
    pub fn name(self) -> &'static str {
        Self::NAMES.into_iter().find_map(|(name, level)| (level == self).then_some(name)).unwrap_or_default()
    }
}
