//! The capabilities of a legacy client, which it declares once, in its handshake.

use crate::json::{Kind, Value};

/// The client capabilities that a server uses (MCP 2025-11-25 basic/lifecycle, "Capability
/// Negotiation").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Client(u8);

impl Client {
    /// No capability.
    pub const NONE: Self = Self(0);
    /// `roots`
    pub const ROOTS: Self = Self(1);
    /// `sampling`
    pub const SAMPLING: Self = Self(2);
    /// `elicitation` with forms.
    pub const FORMS: Self = Self(4);
    /// `elicitation` with web pages to open (`url`).
    pub const PAGES: Self = Self(8);

    /// Reads the `capabilities` of a handshake.
    pub fn declared(capabilities: Value<'_>) -> Self {
        let mut client = Self::NONE;
        if object(capabilities, "roots").is_some() {
            client = client.and(Self::ROOTS);
        }
        if object(capabilities, "sampling").is_some() {
            client = client.and(Self::SAMPLING);
        }
        if let Some(elicitation) = object(capabilities, "elicitation") {
            let pages = object(elicitation, "url").is_some();
            // MCP 2025-11-25 client/elicitation: an empty object means forms.
            if !pages || object(elicitation, "form").is_some() {
                client = client.and(Self::FORMS);
            }
            if pages {
                client = client.and(Self::PAGES);
            }
        }
        client
    }

    /// Returns the union of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the client has all capabilities in `other`.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the bits that are stored in a session id.
    #[cfg(feature = "seal")]
    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    #[cfg(feature = "seal")]
    pub(super) const fn of_bits(bits: u8) -> Self {
        Self(bits)
    }
}

fn object<'a>(of: Value<'a>, name: &str) -> Option<Value<'a>> {
    of.member(name).filter(|value| value.kind() == Kind::Object)
}
