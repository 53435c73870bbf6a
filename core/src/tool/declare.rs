//! The description of a tool, as `tools/list` prints it. All of it is constant text, which lies in flash on a device.

use crate::json::{Escaped, Text};

/// One tool (MCP server/tools, "Tool").
#[derive(Clone, Copy, Debug)]
pub struct Tool<'a> {
    name: &'a str,
    description: Escaped<'a>,
    input_schema: &'a str,
    hints: Hints,
}

impl<'a> Tool<'a> {
    /// Describes a tool. `input_schema` is JSON: an object with `"type":"object"` at its root.
    ///
    /// `None` unless `name` has 1 to 128 characters of `A-Z a-z 0-9 _ - .` (MCP 2025-11-25 server/tools, "Tool Names").
    pub const fn new(name: &'a str, description: Escaped<'a>, input_schema: &'a str) -> Option<Self> {
        if is_name(name) { Some(Self { name, description, input_schema, hints: Hints::NONE }) } else { None }
    }

    /// The same tool with hints for the client.
    #[must_use]
    pub const fn with_hints(self, hints: Hints) -> Self {
        Self { hints, ..self }
    }

    /// The name that calls it.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// What it does, in words for the model, escaped.
    pub const fn description(&self) -> &'a str {
        self.description.as_str()
    }

    /// The schema of its arguments, as JSON.
    pub const fn input_schema(&self) -> &'a str {
        self.input_schema
    }

    /// What a client may assume of it.
    pub const fn hints(&self) -> Hints {
        self.hints
    }
}

const fn is_name(name: &str) -> bool {
    let mut rest = name.as_bytes();
    while let [byte, behind @ ..] = rest {
        if !matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.') {
            return false;
        }
        rest = behind;
    }
    !name.is_empty() && name.len() <= 128
}

/// The tools of a server: a table in flash on a device, a registry that may change on a host.
///
/// A tool keeps its number as long as a call of it may run, and the whole stays as it is while an answer is emitted.
pub trait Catalogue {
    /// How many tools there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tool with this number, in the order in which they are listed.
    fn tool(&self, index: usize) -> Option<Tool<'_>>;

    /// The number of the tool with this name. Names are case-sensitive (MCP server/tools).
    fn find(&self, name: Text<'_>) -> Option<usize>;
}

impl Catalogue for &[Tool<'_>] {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn tool(&self, index: usize) -> Option<Tool<'_>> {
        self.get(index).copied()
    }

    fn find(&self, name: Text<'_>) -> Option<usize> {
        self.iter().position(|tool| name.is(tool.name))
    }
}

/// What a client may assume of a tool, if it trusts the server (MCP server/tools, "ToolAnnotations"). What is not said
/// has the default of the protocol, which is the cautious one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints {
    /// `readOnlyHint`: it changes nothing. Default false.
    pub read_only: Option<bool>,
    /// `destructiveHint`: it may destroy something. Default true.
    pub destructive: Option<bool>,
    /// `idempotentHint`: calling it twice does no more than calling it once. Default false.
    pub idempotent: Option<bool>,
    /// `openWorldHint`: it deals with the world beyond the server. Default true.
    pub open_world: Option<bool>,
}

impl Hints {
    /// Nothing is said.
    pub const NONE: Self = Self { read_only: None, destructive: None, idempotent: None, open_world: None };

    /// The hints that are said, as members of a JSON object; the first without its comma.
    pub(crate) fn members(self) -> [&'static str; 4] {
        let texts = [
            (self.read_only, r#","readOnlyHint":true"#, r#","readOnlyHint":false"#),
            (self.destructive, r#","destructiveHint":true"#, r#","destructiveHint":false"#),
            (self.idempotent, r#","idempotentHint":true"#, r#","idempotentHint":false"#),
            (self.open_world, r#","openWorldHint":true"#, r#","openWorldHint":false"#),
        ];
        let mut first = true;
        texts.map(|(hint, yes, no)| {
            let member = match hint {
                Some(true) => yes,
                Some(false) => no,
                None => return "",
            };
            if core::mem::replace(&mut first, false) { member.get(1..).unwrap_or_default() } else { member }
        })
    }
}
