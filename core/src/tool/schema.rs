//! JSON Schemas of declared arguments, put together at compile time.

use crate::json::{Part, join, joined_len};

/// One declared argument.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The lines of its doc comment.
    pub doc: &'static [&'static str],
    /// What its value must be.
    pub expected: Expected,
    /// Whether it may be left out, or `null`.
    pub optional: bool,
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Expected {
    /// The `type` of JSON Schema.
    pub json_type: &'static str,
    /// Further members of the schema, each with a comma in front.
    pub bounds: &'static str,
    /// The same in words.
    pub words: &'static str,
}

/// Length in bytes of the schema of `fields`.
pub const fn schema_len(fields: &[Field]) -> usize {
    let mut len = 0;
    let mut at = 0;
    while let Some(parts) = chunk(fields, at) {
        len += joined_len(&parts);
        at += 1;
    }
    len
}

/// The schema of `fields`; `N` is its [`schema_len`].
pub const fn schema<const N: usize>(fields: &[Field]) -> [u8; N] {
    let mut text = [0; N];
    let mut used = 0;
    let mut at = 0;
    while let Some(parts) = chunk(fields, at) {
        used = copy(&mut text, used, &join::<N>(&parts), joined_len(&parts));
        at += 1;
    }
    text
}

/// Length in bytes of what [`prompt`] makes.
pub const fn prompt_len(fields: &[Field]) -> usize {
    let mut len = "[]".len();
    let mut at = 0;
    while at < fields.len() {
        len += joined_len(&prompt_argument(fields, at));
        at += 1;
    }
    len
}

/// `fields` as the arguments of a prompt (MCP server/prompts, "PromptArgument"); `N` is its [`prompt_len`].
pub const fn prompt<const N: usize>(fields: &[Field]) -> [u8; N] {
    let mut text = [0; N];
    text[0] = b'[';
    let mut used = 1;
    let mut at = 0;
    while at < fields.len() {
        let parts = prompt_argument(fields, at);
        used = copy(&mut text, used, &join::<N>(&parts), joined_len(&parts));
        at += 1;
    }
    text[used] = b']';
    text
}

const fn prompt_argument(fields: &[Field], at: usize) -> [Part<'static>; 6] {
    let field = &fields[at];
    let described = !field.doc.is_empty();
    [
        Part::Json(if at == 0 { "{\"name\":\"" } else { ",{\"name\":\"" }),
        Part::Text(field.name),
        Part::Json(if described { "\",\"description\":\"" } else { "" }),
        Part::Doc(field.doc),
        Part::Json("\",\"required\":"),
        Part::Json(if field.optional { "false}" } else { "true}" }),
    ]
}

/// Copies the front of `piece` to `text` behind its first `used` bytes, and answers how many are used then.
const fn copy(text: &mut [u8], used: usize, piece: &[u8], len: usize) -> usize {
    let mut read = 0;
    while read < len {
        text[used + read] = piece[read];
        read += 1;
    }
    used + len
}

/// The text of a constant that [`schema`] or `join` has made.
pub const fn constant(text: &'static [u8]) -> &'static str {
    match core::str::from_utf8(text) {
        Ok(text) => text,
        Err(_) => panic!("made of whole strings"),
    }
}

/// The schema in chunks: its head, each property, what is between, each required name, its tail.
const fn chunk(fields: &[Field], at: usize) -> Option<[Part<'static>; 12]> {
    const NONE: Part<'static> = Part::Json("");
    let mut parts = [NONE; 12];
    let count = fields.len();
    if at == 0 {
        parts[0] = Part::Json(r#"{"type":"object","properties":{"#);
    } else if at <= count {
        let field = &fields[at - 1];
        parts[0] = Part::Json(if at == 1 { "\"" } else { ",\"" });
        parts[1] = Part::Text(field.name);
        parts[2] = Part::Json("\":{");
        if !field.doc.is_empty() {
            parts[3] = Part::Json("\"description\":\"");
            parts[4] = Part::Doc(field.doc);
            parts[5] = Part::Json("\",");
        }
        parts[6] = Part::Json(if field.optional { "\"type\":[\"" } else { "\"type\":\"" });
        parts[7] = Part::Json(field.expected.json_type);
        parts[8] = Part::Json(if field.optional { "\",\"null\"]" } else { "\"" });
        parts[9] = Part::Json(field.expected.bounds);
        parts[10] = Part::Json("}");
    } else if at == count + 1 {
        parts[0] = Part::Json("}");
        if first_required(fields) < count {
            parts[1] = Part::Json(",\"required\":[");
        }
    } else if at <= 2 * count + 1 {
        let index = at - count - 2;
        let field = &fields[index];
        if !field.optional {
            parts[0] = Part::Json(if index == first_required(fields) { "\"" } else { ",\"" });
            parts[1] = Part::Text(field.name);
            parts[2] = Part::Json("\"");
        }
    } else if at == 2 * count + 2 {
        if first_required(fields) < count {
            parts[0] = Part::Json("]");
        }
        parts[1] = Part::Json(",\"additionalProperties\":false}");
    } else {
        return None;
    }
    Some(parts)
}

/// The number of the first field that must be there; the number of fields if none must.
const fn first_required(fields: &[Field]) -> usize {
    let mut at = 0;
    while at < fields.len() && fields[at].optional {
        at += 1;
    }
    at
}
