//! Entries of lists that a backend publishes.

use super::members::Members;
use crate::offer::{mirrors, since};
use attache_core::era::Version;
use attache_core::tool::Kind;
use core::fmt;
use serde_json::Value;
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

const fn key_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Tool | Kind::Prompt => "name",
        Kind::Resource => "uri",
        Kind::Template => "uriTemplate",
    }
}
