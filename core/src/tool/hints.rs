//! Hints about a tool's behaviour.

/// Hints about a tool's behaviour, for clients that trust the server (MCP server/tools,
/// "ToolAnnotations"). A missing hint has the default of the protocol, which is the cautious one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hints {
    /// `readOnlyHint`: the tool changes nothing. Default false.
    pub read_only: Option<bool>,
    /// `destructiveHint`: the tool may destroy something. Default true.
    pub destructive: Option<bool>,
    /// `idempotentHint`: a repeated call has no further effect. Default false.
    pub idempotent: Option<bool>,
    /// `openWorldHint`: the tool interacts with systems outside of the server. Default true.
    pub open_world: Option<bool>,
}

impl Hints {
    /// No hints.
    pub const NONE: Self = Self { read_only: None, destructive: None, idempotent: None, open_world: None };

    /// Returns the declared hints as one member of a JSON object, in pieces; empty if none is
    /// declared.
    pub const fn member(self) -> [&'static str; 6] {
        if matches!(self, Self { read_only: None, destructive: None, idempotent: None, open_world: None }) {
            return [""; 6];
        }
        let [a, b, c, d] = [self.read_only, self.destructive, self.idempotent, self.open_world];
        [
            r#""annotations":{"#,
            said(a, true, r#""readOnlyHint":true"#, r#""readOnlyHint":false"#),
            said(b, a.is_none(), r#","destructiveHint":true"#, r#","destructiveHint":false"#),
            said(c, a.is_none() && b.is_none(), r#","idempotentHint":true"#, r#","idempotentHint":false"#),
            said(d, a.is_none() && b.is_none() && c.is_none(), r#","openWorldHint":true"#, r#","openWorldHint":false"#),
            "}",
        ]
    }
}

/// Returns the member for a hint; the first one has no comma.
const fn said(hint: Option<bool>, first: bool, yes: &'static str, no: &'static str) -> &'static str {
    let member = match hint {
        Some(true) => yes,
        Some(false) => no,
        None => return "",
    };
    match member.as_bytes() {
        [b',', ..] if first => member.split_at(1).1,
        _ => member,
    }
}
