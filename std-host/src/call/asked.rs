//! What handlers are called with.

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

    // Without this type's name and comment, which say nothing of the tool.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "properties": {} })
    }
}

/// What is read of a resource.
#[derive(Clone, Debug)]
pub struct Read {
    uri: String,
    variables: Vec<(String, String)>,
}

impl Read {
    pub(crate) const fn new(uri: String, variables: Vec<(String, String)>) -> Self {
        Self { uri, variables }
    }

    /// The URI that was asked for.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// What a variable of the template stands for in the URI, percent signs untouched; empty if the template has none of
    /// this name.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// An argument that is being typed (MCP server/utilities/completion).
#[derive(Clone, Debug)]
pub struct Completing {
    kind: Kind,
    reference: String,
    argument: String,
    value: String,
    context: Vec<(String, String)>,
}

impl Completing {
    pub(crate) fn new(
        (kind, reference): (Kind, String),
        (argument, value): (String, String),
        context: Vec<(String, String)>,
    ) -> Self {
        Self { kind, reference, argument, value, context }
    }

    /// What it is an argument of: a prompt, a resource or a template.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The name of the prompt, or the URI or template.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The name of the argument or variable.
    pub fn argument(&self) -> &str {
        &self.argument
    }

    /// What stands there so far.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The other arguments or variables that the person has filled in, with their values (`context.arguments`). Clients before
    /// 2025-06-18 send none.
    pub fn context(&self) -> impl Iterator<Item = (&str, &str)> {
        self.context.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What the person has filled in for another argument or variable.
    pub fn resolved(&self, name: &str) -> Option<&str> {
        self.context().find_map(|(known, value)| (known == name).then_some(value))
    }
}
