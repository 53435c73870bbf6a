//! JSON Schemas of declared arguments, built at compile time.

use crate::json::{Part, join, joined_len};

/// One declared argument, or one member of a result.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The lines of its doc comment.
    pub doc: &'static [&'static str],
    /// The expected form of its value.
    pub expected: Expected,
    /// Whether it may be `null`.
    pub nullable: bool,
    /// Whether it is optional.
    pub optional: bool,
    /// The default for a missing argument, as JSON; empty if there is none.
    pub default: &'static str,
}

impl Field {
    /// Returns the same argument with a default, which is checked at compile time as far as
    /// possible.
    #[must_use]
    pub const fn or(self, default: &'static str) -> Self {
        assert!(
            self.expected.may_be(default),
            "the default is not a value of this type: write 5, 21.5, true or \"text\""
        );
        Self { default, optional: true, ..self }
    }
}

/// The expected form of a value.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Expected {
    /// The `type` of JSON Schema.
    pub json_type: &'static str,
    /// Further members of the schema, each with a comma in front.
    pub bounds: &'static [Part<'static>],
    /// The only allowed strings; empty if others are allowed, too.
    pub choices: &'static [&'static str],
    /// The description that follows "must be" in an error. Without quotes and control characters.
    pub words: &'static [Part<'static>],
}

impl Expected {
    /// A type of JSON Schema without further members.
    pub const fn of(json_type: &'static str, words: &'static [Part<'static>]) -> Self {
        Self { json_type, bounds: &[], choices: &[], words }
    }

    /// One of these strings.
    pub const fn one_of(choices: &'static [&'static str], words: &'static [Part<'static>]) -> Self {
        Self { choices, ..Self::of("string", words) }
    }

    /// An object of these members of a schema: [`members_of`].
    pub const fn object(bounds: &'static [Part<'static>]) -> Self {
        Self { bounds, ..Self::of("object", &[Part::Json("an object")]) }
    }

    /// The members of the schema; `nullable` if `null` is allowed, too.
    pub const fn members(&self, nullable: bool) -> [Part<'static>; 7] {
        let closed = !self.choices.is_empty();
        [
            Part::Json(if nullable { "\"type\":[\"" } else { "\"type\":\"" }),
            Part::Json(self.json_type),
            Part::Json(if nullable { "\",\"null\"]" } else { "\"" }),
            Part::Parts(self.bounds),
            Part::Json(if closed { ",\"enum\":[" } else { "" }),
            Part::Choices(self.choices),
            Part::Json(match (closed, nullable) {
                (false, _) => "",
                (true, false) => "]",
                (true, true) => ",null]",
            }),
        ]
    }

    /// Returns whether a Rust literal is JSON of this type, as far as its first character shows,
    /// and one of the choices.
    const fn may_be(&self, literal: &str) -> bool {
        match (literal.as_bytes(), self.json_type.as_bytes()) {
            ([b'"', text @ .., b'"'], b"string") => self.choices.is_empty() || contains(self.choices, text),
            (b"true" | b"false", b"boolean") => true,
            ([b'-', b'0'..=b'9', rest @ ..] | [b'0'..=b'9', rest @ ..], b"integer") => digits(rest, false),
            ([b'-', b'0'..=b'9', rest @ ..] | [b'0'..=b'9', rest @ ..], b"number") => digits(rest, true),
            _ => false,
        }
    }
}

const fn contains(mut texts: &[&str], wanted: &[u8]) -> bool {
    while let [text, rest @ ..] = texts {
        if same(text.as_bytes(), wanted) {
            return true;
        }
        texts = rest;
    }
    false
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([a, one @ ..], [b, other @ ..]) => *a == *b && same(one, other),
        _ => false,
    }
}

const fn digits(mut text: &[u8], fraction: bool) -> bool {
    let mut pointed = !fraction;
    while let [byte, rest @ ..] = text {
        match *byte {
            b'0'..=b'9' => {}
            b'.' if !pointed && !rest.is_empty() => pointed = true,
            _ => return false,
        }
        text = rest;
    }
    true
}

/// The members of the schema of an object after its type, with a leading comma.
pub const fn members_of(schema: &'static str) -> &'static str {
    let (_, behind) = schema.split_at(r#"{"type":"object""#.len());
    behind.split_at(behind.len() - 1).0
}

/// Returns the name of a field, without the prefix of raw identifiers: keywords of Rust are names
/// in JSON, too.
pub const fn plain_name(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// Length in bytes of the result of [`snake_case`].
pub const fn snake_case_len(name: &str) -> usize {
    let mut rest = name.as_bytes();
    let mut len = rest.len();
    let mut first = true;
    while let [byte, behind @ ..] = rest {
        if byte.is_ascii_uppercase() && !first {
            len += 1;
        }
        (rest, first) = (behind, false);
    }
    len
}

/// The name of a variant in the case of JSON: `HeatOnly` is `heat_only`.
pub const fn snake_case<const N: usize>(name: &str) -> [u8; N] {
    let mut text = [0; N];
    let mut rest = name.as_bytes();
    let mut used = 0;
    while let [byte, behind @ ..] = rest {
        if byte.is_ascii_uppercase() && used > 0 {
            text[used] = b'_';
            used += 1;
        }
        text[used] = byte.to_ascii_lowercase();
        used += 1;
        rest = behind;
    }
    text
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

/// Length in bytes of the result of [`prompt`].
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

/// Copies the beginning of `piece` to `text` after its first `used` bytes, and returns the new
/// number of used bytes.
const fn copy(text: &mut [u8], used: usize, piece: &[u8], len: usize) -> usize {
    let mut read = 0;
    while read < len {
        text[used + read] = piece[read];
        read += 1;
    }
    used + len
}

/// Returns the text of a constant that [`schema`] or `join` has made.
pub const fn constant(text: &'static [u8]) -> &'static str {
    match core::str::from_utf8(text) {
        Ok(text) => text,
        Err(_) => panic!("made of whole strings"),
    }
}

/// Returns the chunks of the schema: its head, each property, the text between, each required name,
/// its tail.
const fn chunk(fields: &[Field], at: usize) -> Option<[Part<'static>; 15]> {
    const NONE: Part<'static> = Part::Json("");
    let mut parts = [NONE; 15];
    let count = fields.len();
    if at == 0 {
        parts[0] = Part::Json(r#"{"type":"object","properties":{"#);
    } else if at <= count {
        parts = property(&fields[at - 1], at == 1);
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

const fn property(field: &Field, first: bool) -> [Part<'static>; 15] {
    let described = !field.doc.is_empty();
    let [t0, t1, t2, t3, t4, t5, t6] = field.expected.members(field.nullable);
    [
        Part::Json(if first { "\"" } else { ",\"" }),
        Part::Text(field.name),
        Part::Json(if described { "\":{\"description\":\"" } else { "\":{" }),
        Part::Doc(field.doc),
        Part::Json(if described { "\"," } else { "" }),
        t0,
        t1,
        t2,
        t3,
        t4,
        t5,
        t6,
        Part::Json(if field.default.is_empty() { "" } else { ",\"default\":" }),
        Part::Json(field.default),
        Part::Json("}"),
    ]
}

/// Returns the number of the first required field; the number of fields if none is required.
const fn first_required(fields: &[Field]) -> usize {
    let mut at = 0;
    while at < fields.len() && fields[at].optional {
        at += 1;
    }
    at
}
