//! What a server is: constants, which lie in flash on a device.

use crate::json::{Escaped, Text};
use crate::tool::Tool;

/// A server as its application declares it.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    name: Escaped<'a>,
    version: Escaped<'a>,
    instructions: Option<Escaped<'a>>,
    tools: &'a [Tool<'a>],
}

impl<'a> Server<'a> {
    /// A server with a name, a version of its own, and tools.
    pub const fn new(name: Escaped<'a>, version: Escaped<'a>, tools: &'a [Tool<'a>]) -> Self {
        Self { name, version, instructions: None, tools }
    }

    /// The same server with words for the model on how to use it (MCP server/discover, `instructions`).
    #[must_use]
    pub const fn with_instructions(self, instructions: Escaped<'a>) -> Self {
        Self { instructions: Some(instructions), ..self }
    }

    /// The tools, in the order in which they are listed.
    pub const fn tools(&self) -> &'a [Tool<'a>] {
        self.tools
    }

    /// The number of the tool with this name. Names are case-sensitive (MCP server/tools).
    pub(crate) fn find_tool(&self, name: Text<'_>) -> Option<usize> {
        self.tools.iter().position(|tool| name.is(tool.name()))
    }

    /// `serverInfo` as JSON, in pieces.
    pub(crate) const fn info(&self) -> [&'a [u8]; 5] {
        let [name, version] = [self.name.as_str().as_bytes(), self.version.as_str().as_bytes()];
        [br#"{"name":""#, name, br#"","version":""#, version, br#""}"#]
    }

    /// The capabilities as JSON: what is declared is what is served.
    pub(crate) const fn capabilities(&self) -> &'static [u8] {
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
