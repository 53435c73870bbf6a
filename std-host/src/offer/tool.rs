//! The builder of a tool: its list entry, and the closure that answers calls.

use super::arguments::read;
use super::changes::Offer;
use super::entry::{Entry, listed};
use super::handler::Handler;
use super::registry::Asked;
use super::rules::Rules;
use super::schema::{Schema, without_number_formats};
use crate::call::{IntoToolOutput, Outcome, Sealer, ToolOutput, guarded, tool_crashed};
use attache_core::tool::{Kind, is_tool_name};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// The builder of a tool.
pub struct Tool {
    entry: Entry,
    /// Whether the schema was set by the application, and not derived from the type.
    own_schema: bool,
    /// The rules of the schema beyond the type. Set when the tool is finished.
    rules: Arc<OnceLock<Rules>>,
}

impl Tool {
    /// Creates a tool. `description` is for the model. The schema of the arguments is derived from
    /// their type, and that of a structured result from the type in [`Json`](crate::Json).
    ///
    /// # Panics
    /// If the name is not 1 to 128 characters of `A-Z a-z 0-9 _ - .`, or if the arguments are not
    /// an object.
    #[track_caller]
    pub fn new<A, R, H>(name: &str, description: &str, handler: H) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoToolOutput,
        H: Handler<A, R>,
    {
        assert!(is_tool_name(name), "tool name {name:?} must have 1 to 128 characters of A-Z a-z 0-9 _ - .");
        let schema = Schema::of::<A>(name);
        let mut listed = vec![("inputSchema", schema.value.clone()), ("description", description.into())];
        listed.extend(R::output_schema().map(|schema| ("outputSchema", schema)));
        let handler = Arc::new(handler);
        let rules = Arc::new(OnceLock::<Rules>::new());
        let checked = Arc::clone(&rules);
        let start = move |asked: Asked<'_>, ctx, sealer: Sealer| {
            guarded(
                || {
                    let Asked::With(arguments) = asked else {
                        return Err(tool_crashed(&"a tool was read"));
                    };
                    if let Some(rules) = checked.get() {
                        let refused = |reason| Outcome::Tool(ToolOutput::failed(reason));
                        rules.check(arguments.raw()).map_err(refused)?;
                    }
                    let arguments = read::<A>(arguments, &schema, Kind::Tool)
                        .map_err(|reason| Outcome::Tool(ToolOutput::failed(reason)))?;
                    let run = handler.run(arguments, ctx);
                    Ok(async move {
                        match run.await.into_output() {
                            Ok(output) => Outcome::Tool(output),
                            Err(error) => Outcome::of_failure(error.into_failure(), true, || sealer.seal()),
                        }
                    })
                },
                tool_crashed,
            )
        };
        Self { entry: Entry::new(name, listed, start), own_schema: false, rules }
    }

    /// Declares that the tool changes nothing (`readOnlyHint`).
    #[must_use]
    pub fn read_only(self) -> Self {
        self.hint("readOnlyHint", true)
    }

    /// Declares that repeating a call has no further effect (`idempotentHint`).
    #[must_use]
    pub fn idempotent(self) -> Self {
        self.hint("idempotentHint", true)
    }

    /// Declares that the tool only adds and never destroys (`destructiveHint`).
    #[must_use]
    pub fn additive(self) -> Self {
        self.hint("destructiveHint", false)
    }

    /// Declares that the tool does not interact with anything outside of the server
    /// (`openWorldHint`).
    #[must_use]
    pub fn closed_world(self) -> Self {
        self.hint("openWorldHint", false)
    }

    /// Lists another schema than that of the arguments' type. Arguments must fit both.
    ///
    /// Checked are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`,
    /// `patternProperties`, `items`, `prefixItems`, `allOf`, `anyOf`, `oneOf`, `not`, `$ref` to a
    /// place in the schema, `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`,
    /// `minLength`, `maxLength`, `pattern`, `minItems`, `maxItems`, `uniqueItems`, `minProperties`
    /// and `maxProperties`. A pattern is a regular expression of ECMA-262 without lookaround, back
    /// references and classes of Unicode. Other keywords are listed to clients, and the log names
    /// them once as not checked. Feature `schema` checks all of them.
    ///
    /// The dialect is 2020-12, unless `$schema` names draft 4, 6, 7 or 2019-09. Nothing is fetched:
    /// a `$ref` must point to a place in the schema itself.
    ///
    /// # Panics
    /// If its root is not `"type": "object"`; and, when the tool is added, if the schema is
    /// invalid.
    #[must_use]
    #[track_caller]
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.own_schema = true;
        assert_eq!(
            schema["type"],
            "object",
            "the input schema of tool {:?} must have the root type object",
            self.entry.key()
        );
        self.member("inputSchema", schema)
    }

    fn hint(mut self, name: &str, value: bool) -> Self {
        self.entry.hint(name, value);
        self
    }

    /// Finishes the tool.
    ///
    /// # Panics
    /// If an `x-mcp-header` is at a place where clients must refuse it (MCP 2026-07-28
    /// server/tools).
    #[track_caller]
    pub(crate) fn finish(self) -> Offer {
        let Self { mut entry, own_schema, rules } = self;
        let schema = entry.get("inputSchema");
        let mirrors = mirrors(schema).unwrap_or_else(|reason| panic!("tool {:?}: {reason}", entry.key()));
        if let Some(found) = super::rules::rules(entry.key(), schema, own_schema) {
            // It is set only here, so it cannot be set already.
            let _ = rules.set(found);
        }
        if !own_schema {
            // This comes after the rules, which recognize the bounds of a type by the format.
            entry.edit("inputSchema", without_number_formats);
        }
        entry.edit("outputSchema", without_number_formats);
        Offer { mirrors, ..entry.finish(&[("name", None)]) }
    }
}

listed! { Tool }

/// Returns the arguments that clients mirror in headers, as pairs of header and path through
/// `properties`.
///
/// # Errors
/// If an `x-mcp-header` has a place, name or type that clients must refuse.
// MCP 2026-07-28 server/tools: clients MUST refuse a tool whose annotations break these rules.
pub(crate) fn mirrors(schema: &Value) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    collect_mirrors(schema, "", &mut found)?;
    match found.len() == annotated(schema) {
        true => Ok(found),
        false => Err("x-mcp-header must be on a property of properties alone".to_owned()),
    }
}

fn collect_mirrors(schema: &Value, path: &str, found: &mut Vec<(String, String)>) -> Result<(), String> {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        if let Some(header) = property.get("x-mcp-header") {
            let header = header.as_str().unwrap_or_default();
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let is_scalar = property["type"].as_str().is_some_and(|of| ["string", "integer", "boolean"].contains(&of));
            let is_taken = found.iter().any(|(known, _)| known.eq_ignore_ascii_case(header));
            let fault = match header {
                "" => "must be a header name",
                header if !header.bytes().all(token) => "must be a header name",
                _ if !is_scalar => "is on an argument that is not a string, an integer or a boolean",
                _ if is_taken => "is there twice",
                _ if name.contains('/') => "is on an argument with a slash in its name",
                header => {
                    found.push((header.to_owned(), path.clone()));
                    ""
                }
            };
            if !fault.is_empty() {
                return Err(format!("x-mcp-header {header:?} of {path} {fault}"));
            }
        }
        collect_mirrors(property, &path, found)?;
    }
    Ok(())
}

/// Counts the annotations in a schema, at all places.
fn annotated(schema: &Value) -> usize {
    match schema {
        Value::Array(schemas) => schemas.iter().map(annotated).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("x-mcp-header", _) => 1,
                // The names of these members are not keywords.
                ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(schemas)) => {
                    schemas.values().map(annotated).sum()
                }
                // The values of these keywords are not schemas.
                ("default" | "const" | "enum" | "examples", _) => 0,
                _ => annotated(value),
            })
            .sum(),
        _ => 0,
    }
}
