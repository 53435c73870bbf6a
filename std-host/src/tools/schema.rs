//! The schema of a tool's arguments, out of their Rust type.

use schemars::JsonSchema;
use serde_json::{Value, json};

/// A schema, and the names it allows.
#[derive(Debug)]
pub(super) struct Schema {
    /// The schema.
    pub(super) value: Value,
    /// The names of the arguments; `None` if any name will do.
    pub(super) names: Option<Vec<String>>,
}

impl Schema {
    /// The schema of `A`. An object that does not say what it thinks of other members refuses them: an argument that is
    /// silently dropped is a misspelt one that nobody notices.
    ///
    /// # Panics
    /// If `A` is not an object.
    pub(super) fn of<A: JsonSchema>(tool: &str) -> Self {
        let mut schema = schemars::schema_for!(A);
        // MCP server/tools: `inputSchema` has the root type "object".
        assert!(
            schema.get("type").and_then(Value::as_str) == Some("object"),
            "the arguments of tool {tool:?} must be a struct with named fields, not {}",
            A::schema_name(),
        );
        let open = schema.get("additionalProperties").is_some_and(|rule| rule != &Value::Bool(false));
        if !open {
            schema.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let names = properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default();
        Self { names: (!open).then_some(names), value: schema.to_value() }
    }

    /// The fields as the arguments of a prompt (MCP server/prompts, "PromptArgument").
    pub(super) fn prompt_arguments(&self) -> Value {
        let required = self.value["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let argument = |(name, property): (&String, &Value)| {
            let mut argument = json!({ "name": name, "required": required.iter().any(|needed| needed == name) });
            for member in ["description", "title"] {
                if let Some(text) = property.get(member) {
                    argument[member] = text.clone();
                }
            }
            argument
        };
        self.value["properties"].as_object().map(|fields| fields.iter().map(argument).collect()).unwrap_or_default()
    }
}
