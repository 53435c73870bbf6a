//! The revisions this engine speaks.

use crate::json::Text;

/// A revision of the Model Context Protocol, in the order of their dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Version {
    /// 2025-11-25, opened by a handshake.
    V2025_11_25,
    /// 2026-07-28, stateless: each request carries its version.
    V2026_07_28,
}

impl Version {
    /// The newest revision that a handshake can agree on.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;

    /// The revisions that a request may name in `_meta`, as the inside of a JSON array.
    ///
    /// MCP 2026-07-28 server/discover. Legacy ones are left out: a modern client could otherwise claim one through
    /// `_meta`, where it has no meaning.
    pub const MODERN_LIST: &'static str = r#""2026-07-28""#;

    const ALL: [Self; 2] = [Self::V2025_11_25, Self::V2026_07_28];

    /// The date by which the protocol names the revision.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision with this date, if it is spoken here.
    pub fn parse(date: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str().as_bytes() == date)
    }

    /// The revision that a string of a message names.
    pub fn named(text: Text<'_>) -> Option<Self> {
        Self::ALL.into_iter().find(|version| text.is(version.as_str()))
    }

    /// Whether requests of this revision stand for themselves, without a handshake.
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }
}
