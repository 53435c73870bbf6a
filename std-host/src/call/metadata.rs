//! The members of a request's `_meta` (MCP 2026-07-28 basic/index) that the protocol engine does
//! not read: client extensions, the trace context of the call, keys of applications.

use crate::limits;
use attache_core::json::Value as Json;
use bytes::Bytes;
use serde_json::{Map, Value};

/// `_meta` of one request, unparsed, because few calls read it.
#[derive(Clone, Debug)]
pub(crate) struct Metadata(Bytes);

impl Metadata {
    /// Creates the metadata of a call, which was read from `body`.
    pub(crate) fn of(body: &Bytes, metadata: Option<Json<'_>>) -> Self {
        Self(metadata.map(|object| body.slice_ref(object.raw())).unwrap_or_default())
    }

    /// The object, which was checked with its message. Without metadata, it has no members.
    pub(crate) fn object(&self) -> Json<'_> {
        Json::of_checked(&self.0)
    }

    /// The value of one key. The others are not parsed: a caller may have sent many.
    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        serde_json::from_slice(self.object().member(key)?.raw()).ok()
    }

    /// Returns the settings that the client declares for an extension.
    pub(crate) fn extension(&self, identifier: &str) -> Option<Value> {
        let settings = self.get("io.modelcontextprotocol/clientCapabilities")?["extensions"][identifier].take();
        settings.is_object().then_some(settings)
    }

    pub(crate) fn trace(&self) -> Option<TraceContext> {
        let text = |key: &str| match self.get(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let parent = text("traceparent").filter(|parent| is_traceparent(parent))?;
        let within = |text: Option<String>, most: usize| text.filter(|text| text.len() <= most);
        Some(TraceContext {
            parent,
            state: within(text("tracestate"), limits::TRACE_STATE),
            baggage: within(text("baggage"), limits::BAGGAGE),
        })
    }
}

/// The trace that a call belongs to (W3C Trace Context, Baggage), as the client reports it. Pass it
/// on, but do not trust it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceContext {
    /// `traceparent`, which is well-formed.
    pub parent: String,
    /// `tracestate`
    pub state: Option<String>,
    /// `baggage`
    pub baggage: Option<String>,
}

/// The ids of the span of a call, in the form of W3C Trace Context. They are chosen when the call begins, so that
/// the spans of a backend are children of the exported span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds {
    /// The trace that the span belongs to.
    pub trace: [u8; 16],
    /// The span itself.
    pub span: [u8; 8],
    /// Whether the client's span is in a trace that is not sampled.
    pub(crate) is_unsampled: bool,
}

impl SpanIds {
    /// Chooses the ids of a span below that of the client. `None` if the system gives no randomness.
    pub(crate) fn below(client: Option<&TraceContext>) -> Option<Self> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).ok()?;
        // W3C Trace Context §3.2.2: ids of zeros are invalid.
        let (trace, span) = (u128::from_be_bytes(random[..16].try_into().ok()?), &random[16..]);
        let mut parts = client.into_iter().flat_map(|client| client.parent.split('-').skip(1));
        let known = parts.next().and_then(|trace| u128::from_str_radix(trace, 16).ok());
        let flags = parts.nth(1).and_then(|flags| u8::from_str_radix(flags, 16).ok());
        Some(Self {
            trace: known.unwrap_or_else(|| trace.max(1)).to_be_bytes(),
            span: u64::from_be_bytes(span.try_into().ok()?).max(1).to_be_bytes(),
            is_unsampled: flags.is_some_and(|flags| flags & 1 == 0),
        })
    }

    /// Returns `traceparent` for the server that continues the trace.
    pub(crate) fn parent(&self) -> String {
        let (trace, span) = (u128::from_be_bytes(self.trace), u64::from_be_bytes(self.span));
        format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(!self.is_unsampled))
    }
}

/// W3C Trace Context §3.2: version, trace id, parent id and flags in lower-case hexadecimal.
/// Neither id may be zero, and version `ff` is invalid. Later versions may append more parts.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |len: usize| {
        let digits =
            |part: &&str| part.len() == len && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        parts.next().filter(digits)
    };
    let (Some(version), Some(trace), Some(span), Some(_)) = (hex(2), hex(32), hex(16), hex(2)) else {
        return false;
    };
    let zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    version != "ff" && !zero(trace) && !zero(span) && (version != "00" || parts.next().is_none())
}

/// The protocol extensions that a server has declared, by identifier, with their settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions {
    declared: Map<String, Value>,
    /// The extensions as JSON; empty if none is declared.
    printed: String,
}

impl Extensions {
    /// Declares an extension.
    ///
    /// # Panics
    /// If the identifier is invalid or already declared, or if the settings are not an object.
    #[track_caller]
    pub(crate) fn declare(&mut self, identifier: &str, settings: Value) {
        let sound = identifier.contains('/') && is_key(identifier);
        assert!(sound, "extension {identifier:?} must be named like com.example/name");
        assert!(settings.is_object(), "the settings of extension {identifier:?} must be an object");
        let before = self.declared.insert(identifier.to_owned(), settings);
        assert!(before.is_none(), "extension {identifier:?} is declared already");
        self.printed = serde_json::to_string(&self.declared).unwrap_or_default();
    }

    pub(crate) fn has(&self, identifier: &str) -> bool {
        self.declared.contains_key(identifier)
    }

    pub(crate) fn printed(&self) -> Option<&str> {
        (!self.printed.is_empty()).then_some(&self.printed)
    }
}

/// Checks the keys that an application writes into a `_meta` object.
///
/// # Panics
/// If a key is invalid.
#[track_caller]
pub(crate) fn check_keys(what: &str, meta: &Value) {
    if let Err(fault) = fault_of_keys(what, meta) {
        panic!("{fault}");
    }
}

/// Checks the keys that an application writes into a `_meta` object.
///
/// # Errors
/// If a key breaks the grammar, or has a prefix that is reserved for the protocol.
pub(crate) fn fault_of_keys(what: &str, meta: &Value) -> Result<(), String> {
    let Some(members) = meta.as_object() else {
        return Err(format!("_meta of {what} must be an object"));
    };
    for key in members.keys() {
        if !is_key(key) {
            return Err(format!(
                "key {key:?} in _meta of {what} must be a name, or a name behind a prefix like com.example/"
            ));
        }
        if is_reserved(key) {
            return Err(format!("key {key:?} in _meta of {what} has a prefix that belongs to the protocol"));
        }
    }
    Ok(())
}

/// MCP 2025-06-18 and later, basic/index, "General fields": an optional prefix of dot-separated
/// labels before a slash, each of which begins with a letter, ends with a letter or digit, and may
/// contain hyphens; then a name that begins and ends with a letter or digit, or is empty.
fn is_key(key: &str) -> bool {
    let ends = |text: &str| {
        let alphanumeric = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
        alphanumeric(text.chars().next()) && alphanumeric(text.chars().next_back())
    };
    let label = |label: &str| {
        let inside = |char: char| char.is_ascii_alphanumeric() || char == '-';
        label.starts_with(|char: char| char.is_ascii_alphabetic()) && ends(label) && label.chars().all(inside)
    };
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let inside = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    prefix.is_none_or(|prefix| prefix.split('.').all(label))
        && (name.is_empty() && prefix.is_some() || ends(name) && name.chars().all(inside))
}

/// "A prefix whose second label is `modelcontextprotocol` or `mcp` is reserved."
pub(crate) fn is_reserved(key: &str) -> bool {
    let second = key.split_once('/').and_then(|(prefix, _)| prefix.split('.').nth(1));
    matches!(second, Some("modelcontextprotocol" | "mcp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_that_breaks_a_rule_is_none() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for (text, good) in [
            (format!("00-{trace}-{span}-01"), true),
            (format!("01-{trace}-{span}-01-what-came-later"), true),
            (format!("00-{trace}-{span}-01-more"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{}-{span}-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (format!("00-{}-{span}-01", trace.to_uppercase()), false),
            (format!("00-{trace}-{span}"), false),
            (format!("00-{trace}-{span}-1"), false),
            (String::new(), false),
        ] {
            assert_eq!(is_traceparent(&text), good, "{text}");
        }
    }

    // META-07, EXT-01
    #[test]
    fn key_that_breaks_the_grammar_is_none_and_one_of_the_protocol_is_reserved() {
        for (key, good, reserved) in [
            ("name", true, false),
            ("a_b-c.d", true, false),
            ("com.example/name", true, false),
            ("com.example.mcp/name", true, false),
            ("com.example/", true, false),
            ("x/y", true, false),
            ("io.modelcontextprotocol/x", true, true),
            ("dev.mcp/x", true, true),
            ("com.mcp.tools/x", true, true),
            ("", false, false),
            ("/name", false, false),
            ("1com/name", false, false),
            ("com-/name", false, false),
            ("com..example/name", false, false),
            ("com.example/na me", false, false),
            ("com.example/-name", false, false),
            ("com.example/a/b", false, false),
        ] {
            assert_eq!((is_key(key), is_reserved(key)), (good, reserved), "{key:?}");
        }
    }
}
