//! Entries of lists that a backend publishes.

use super::members::Members;
use crate::offer::{mirrors, since};
use crate::policy::Digest;
use attache_core::era::Version;
use attache_core::tool::Kind;
use core::fmt;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A tool, prompt, resource or template, as lists print it. Unknown members are kept, and numbers
/// keep their spelling.
#[derive(Clone, Debug)]
pub struct Entry {
    kind: Kind,
    key: String,
    members: Members,
    mirrors: Vec<(String, String)>,
    completes: bool,
    scopes: Vec<String>,
}

/// The error for an entry that cannot be published, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidEntry(String);

impl fmt::Display for InvalidEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for InvalidEntry {}

impl Entry {
    /// Reads an entry of a list from JSON: an object as in the result of `tools/list` and the other
    /// list methods.
    ///
    /// # Errors
    /// If the JSON is not an object, or has no name, URI or template; or if it is a tool with an
    /// `inputSchema` that is not the schema of an object, or with an `x-mcp-header` that clients
    /// must refuse (MCP 2026-07-28 server/tools).
    pub fn read(kind: Kind, json: &str) -> Result<Self, InvalidEntry> {
        let invalid = |reason: String| InvalidEntry(reason);
        let mut members = Members::read(json).map_err(|error| invalid(error.to_string()))?;
        let key = members.text(key_name(kind)).filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| invalid(format!("{} is missing", key_name(kind))))?;
        let mut found = Vec::new();
        if kind == Kind::Tool {
            let schema: Value = members
                .get("inputSchema")
                .and_then(|schema| serde_json::from_str(schema.get()).ok())
                .filter(|schema: &Value| schema["type"] == "object")
                .ok_or_else(|| invalid(format!("inputSchema of {key:?} must have the type object")))?;
            found = mirrors(&schema).map_err(|reason| invalid(format!("tool {key:?}: {reason}")))?;
            // Tasks of another server cannot be followed here, so its tools are called without
            // tasks.
            members.take("execution");
        }
        Ok(Self { kind, key, members, mirrors: found, completes: false, scopes: Vec::new() })
    }

    /// Declares that the backend completes the arguments of this prompt or the variables of this
    /// template.
    #[must_use]
    pub fn with_completion(mut self) -> Self {
        self.completes = matches!(self.kind, Kind::Prompt | Kind::Template);
        self
    }

    /// Requires a scope of the callers of this entry.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    pub(super) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Returns the kind of the entry.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the name, URI or template.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the annotations of a tool say that it changes nothing.
    pub(super) fn is_read_only(&self) -> bool {
        let annotations = self.members.get("annotations").map(RawValue::get).map(Members::read);
        matches!(annotations, Some(Ok(hints)) if hints.get("readOnlyHint").is_some_and(|hint| hint.get() == "true"))
    }

    /// Returns the digest of the definition, by which an operator pins it.
    pub fn digest(&self) -> Digest {
        let mut text = String::new();
        canonical_object(&self.members.0, &mut text, DEPTH);
        Digest(attache_core::auth::digest(text.as_bytes()))
    }

    pub(super) const fn completes(&self) -> bool {
        self.completes
    }

    /// Returns the key that clients see: names get the prefix of the backend, URIs do not change.
    pub(super) fn listed_key(&self, prefix: &str) -> String {
        match self.kind {
            Kind::Tool | Kind::Prompt => format!("{prefix}{}", self.key),
            Kind::Resource | Kind::Template => self.key.clone(),
        }
    }

    /// Returns the text that lists print, under `prefix`: groups of members by the revision that
    /// introduced them, oldest first.
    pub(super) fn listed(&self, prefix: &str) -> Vec<(Version, String)> {
        let name = key_name(self.kind);
        // The first member is the one that identifies the entry.
        let first = format!("\"{name}\":{}", Value::from(self.listed_key(prefix)));
        let mut groups = BTreeMap::from([(Version::V2024_11_05, first)]);
        for member in self.members.0.iter().filter(|(known, _)| known != name) {
            let (name, value) = member;
            let is_object = || serde_json::from_str(value.get()).is_ok_and(|schema: Value| schema["type"] == "object");
            let group = groups.entry(since(name, is_object, self.kind == Kind::Tool)).or_default();
            if !group.is_empty() {
                group.push(',');
            }
            group.push_str(&Members::print([member]));
        }
        groups.into_iter().collect()
    }

    pub(super) fn mirrors(&self) -> &[(String, String)] {
        &self.mirrors
    }
}

/// Writes an object with its members sorted by name, so that a server that writes them in another
/// order has not changed its definition. Repeated members stay, because clients may read any of
/// them.
fn canonical_object(members: &[(String, Box<RawValue>)], out: &mut String, depth: usize) {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
    out.push('{');
    for (number, (name, value)) in sorted.into_iter().enumerate() {
        out.push_str(if number > 0 { "," } else { "" });
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push(':');
        canonical(value, out, depth);
    }
    out.push('}');
}

/// Writes a value without white space, with numbers as they were written.
fn canonical(value: &RawValue, out: &mut String, depth: usize) {
    let text = value.get();
    match text.bytes().next() {
        Some(b'{') if depth > 0 => match Members::read_all(text) {
            Ok(members) => canonical_object(&members, out, depth - 1),
            Err(_) => out.push_str(text),
        },
        Some(b'[') if depth > 0 => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap_or_default();
            out.push('[');
            for (number, element) in elements.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                canonical(element, out, depth - 1);
            }
            out.push(']');
        }
        // Escapes have several spellings.
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(string) => out.push_str(&Value::from(string).to_string()),
            Err(_) => out.push_str(text),
        },
        _ => out.push_str(text),
    }
}

/// The depth up to which white space and the order of members do not count. JSON readers commonly
/// refuse deeper values.
const DEPTH: usize = 100;

const fn key_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Tool | Kind::Prompt => "name",
        Kind::Resource => "uri",
        Kind::Template => "uriTemplate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(json: &str) -> Digest {
        Entry::read(Kind::Prompt, json).expect("a sound entry").digest()
    }

    #[test]
    fn definition_has_one_digest_whatever_its_layout_and_another_after_each_change() {
        let base = digest(r#"{"name":"a","b":[1.0,{"c":"d","e":null}]}"#);
        for (json, is_same) in [
            (r#"{"b":[1.0,{"e":null,"c":"\u0064"}],"name":"a"}"#, true),
            ("{\"name\" : \"a\",\n\"b\": [1.0, {\"c\":\"d\", \"e\":null}]}", true),
            (r#"{"name":"a","b":[1,{"c":"d","e":null}]}"#, false),
            (r#"{"name":"a","b":[{"c":"d","e":null},1.0]}"#, false),
            (r#"{"name":"a","b":[1.0,{"c":"x","c":"d","e":null}]}"#, false),
            (r#"{"name":"a","b":[1.0,{"c":"d ","e":null}]}"#, false),
            (r#"{"name":"a","b":[1.0,{"c":"d","e":null}],"f":false}"#, false),
            (r#"{"name":"b","b":[1.0,{"c":"d","e":null}]}"#, false),
        ] {
            assert_eq!(digest(json) == base, is_same, "{json}");
        }
    }

    #[test]
    fn digest_of_a_deeply_nested_definition_is_computed() {
        let nested = |inner: &str| format!("{{\"name\":\"a\",\"b\":{}{inner}{}}}", "[".repeat(9999), "]".repeat(9999));
        assert_eq!(digest(&nested("1")), digest(&nested("1")));
        assert_ne!(digest(&nested("1")), digest(&nested("2")));
    }
}
