//! The inputs of handlers other than arguments: resource reads and completion requests.

use attache_core::tool::Kind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;

/// The arguments of a tool or prompt that takes none.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct NoArgs {}

impl JsonSchema for NoArgs {
    fn schema_name() -> Cow<'static, str> {
        "NoArgs".into()
    }

    // Written by hand, because the derived schema would contain this type's name and comment, which
    // do not describe the tool.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "properties": {} })
    }
}

/// A request to read a resource.
#[derive(Clone, Debug)]
pub struct ResourceRequest {
    uri: String,
    variables: Vec<(String, String)>,
}

impl ResourceRequest {
    pub(crate) const fn new(uri: String, variables: Vec<(String, String)>) -> Self {
        Self { uri, variables }
    }

    /// Returns the requested URI.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Returns the value of a template variable in the URI, still percent-encoded. Empty if the
    /// template has no variable of this name.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// A completion request for an argument that the user is typing (MCP server/utilities/completion).
#[derive(Clone, Debug)]
pub struct CompletionRequest {
    kind: Kind,
    reference: String,
    argument: String,
    value: String,
    context: Vec<(String, String)>,
}

impl CompletionRequest {
    pub(crate) fn new(
        (kind, reference): (Kind, String),
        (argument, value): (String, String),
        context: Vec<(String, String)>,
    ) -> Self {
        Self { kind, reference, argument, value, context }
    }

    /// Returns the kind of the reference: a prompt, a resource or a template.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the name of the prompt, or the URI or template.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Returns the name of the argument or variable.
    pub fn argument(&self) -> &str {
        &self.argument
    }

    /// Returns the text that the user has typed so far.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns the other arguments or variables that the user has already filled in, with their
    /// values (`context.arguments`). Clients before 2025-06-18 send none.
    pub fn context(&self) -> impl Iterator<Item = (&str, &str)> {
        self.context.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the value that the user has filled in for another argument or variable.
    pub fn resolved(&self, name: &str) -> Option<&str> {
        self.context().find_map(|(known, value)| (known == name).then_some(value))
    }
}
