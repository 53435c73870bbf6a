//! The revisions of MCP that this engine supports.

use crate::json::Text;

/// A revision of the Model Context Protocol, in the order of their dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Version {
    /// 2024-11-05, the first one. Like all revisions before 2026-07-28 it begins with a handshake.
    V2024_11_05,
    /// 2025-03-26: batches, tool annotations, audio. The only revision with batches.
    V2025_03_26,
    /// 2025-06-18: structured results, titles, resource links, elicitation.
    V2025_06_18,
    /// 2025-11-25: icons, elicitation by web page, resumable streams by design.
    V2025_11_25,
    /// 2026-07-28, stateless: each request carries its version.
    V2026_07_28,
}

impl Version {
    /// The newest revision that a handshake can agree on.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;

    /// The revisions that a request may name in `_meta`, as the inside of a JSON array.
    ///
    /// MCP 2026-07-28 server/discover. Legacy revisions are left out: otherwise a modern client
    /// could name one in `_meta`, where it has no meaning.
    pub const MODERN_LIST: &'static str = r#""2026-07-28""#;

    /// The newest revision is first, because it is looked up most often.
    const ALL: [Self; 5] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];

    /// Returns the date that names the revision in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Parses a date; `None` if the engine does not support that revision.
    pub fn parse(date: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str().as_bytes() == date)
    }

    /// Returns the revision that a string of a message names.
    pub fn named(text: Text<'_>) -> Option<Self> {
        Self::ALL.into_iter().find(|version| text.is(version.as_str()))
    }

    /// Whether an array may hold several messages (MCP 2025-03-26 basic/index, "Batching"; removed
    /// in 2025-06-18).
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }

    /// Whether requests of this revision are complete in themselves, without a handshake.
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }
}
