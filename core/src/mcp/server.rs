//! What a server is: constants, which lie in flash on a device.

use crate::json::Escaped;
use crate::tool::Catalogue;
use core::fmt;

/// A server as its application declares it.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    name: Escaped<'a>,
    version: Escaped<'a>,
    instructions: Option<Escaped<'a>>,
    tools: &'a (dyn Catalogue + Sync),
}

impl<'a> Server<'a> {
    /// A server with a name, a version of its own, and tools.
    pub const fn new(name: Escaped<'a>, version: Escaped<'a>, tools: &'a (dyn Catalogue + Sync)) -> Self {
        Self { name, version, instructions: None, tools }
    }

    /// The same server with words for the model on how to use it (MCP server/discover, `instructions`).
    #[must_use]
    pub const fn with_instructions(self, instructions: Escaped<'a>) -> Self {
        Self { instructions: Some(instructions), ..self }
    }

    /// The tools.
    pub const fn tools(&self) -> &'a (dyn Catalogue + Sync) {
        self.tools
    }

    /// `serverInfo` as JSON, in pieces.
    pub(crate) const fn info(&self) -> [&'a [u8]; 5] {
        let [name, version] = [self.name.as_str().as_bytes(), self.version.as_str().as_bytes()];
        [br#"{"name":""#, name, br#"","version":""#, version, br#""}"#]
    }

    /// The capabilities as JSON: what is declared is what is served.
    pub(crate) fn capabilities(&self) -> &'static [u8] {
        if self.tools.is_empty() { b"{}" } else { br#"{"tools":{}}"# }
    }

    /// `instructions` as a member with its comma, in pieces.
    pub(crate) const fn instructions(&self) -> [&'a [u8]; 3] {
        match self.instructions {
            Some(text) => [br#","instructions":""#, text.as_str().as_bytes(), b"\""],
            None => [b""; 3],
        }
    }
}

impl fmt::Debug for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}
