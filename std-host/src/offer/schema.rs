//! The JSON Schema of a tool's arguments, derived from their Rust type.

use super::closing::close;
use super::members::Members;
use super::site::Site;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

/// A schema, and the member names that it allows.
#[derive(Debug)]
pub(super) struct Schema {
    /// The schema.
    pub(super) value: Value,
    /// The names of the arguments; `None` if any name is allowed.
    pub(super) names: Option<Vec<String>>,
    /// The allowed members of nested objects, if they need checks.
    pub(super) members: Option<Members>,
}

impl Schema {
    /// Derives the schema of `A`. Objects without a rule for additional members refuse them, at the
    /// root and below. An object stays open if closing it would refuse values that its type
    /// accepts.
    ///
    /// # Panics
    /// If `A` is not an object.
    #[track_caller]
    pub(super) fn of<A: JsonSchema>(tool: &str) -> Self {
        let mut schema = schemars::schema_for!(A).to_value();
        // MCP server/tools: `inputSchema` has the root type "object".
        assert!(
            schema["type"] == "object",
            "the arguments of tool {tool:?} must be a struct with named fields, not {}",
            A::schema_name(),
        );
        if let Value::Object(root) = &mut schema {
            // The name of a Rust type is useless to a model.
            if root.get("title").and_then(Value::as_str) == Some(&*A::schema_name()) {
                root.remove("title");
            }
            // Some clients expect this member to be present.
            root.entry("properties").or_insert_with(|| json!({}));
        }
        let members = Members::of(&schema);
        let names = Site::of(&schema, &[&schema]).names().map(|names| names.iter().map(ToString::to_string).collect());
        close(&mut schema);
        Self { value: schema, names, members }
    }

    /// Returns the fields as the arguments of a prompt (MCP server/prompts, "PromptArgument").
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
        self.value["properties"]
            .as_object()
            .map(|fields| fields.iter().map(argument).collect())
            .unwrap_or_else(|| json!([]))
    }
}

/// Removes the `format` of numbers, such as `uint8`. No dialect defines these names, the bounds say
/// the same, and some clients refuse a schema with an unknown format.
pub(super) fn without_number_formats(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(without_number_formats),
        Value::Object(part) => {
            if is_number(part) {
                part.remove("format");
            }
            // The values of these keywords are not schemas.
            let schemas =
                part.iter_mut().filter(|(keyword, _)| !["const", "default", "enum", "examples"].contains(&&***keyword));
            schemas.for_each(|(_, value)| without_number_formats(value));
        }
        _ => {}
    }
}

fn is_number(part: &Map<String, Value>) -> bool {
    let number = |of: &Value| of == "integer" || of == "number";
    match part.get("type") {
        Some(Value::Array(of)) => of.iter().any(number),
        Some(of) => number(of),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::site::RULES;
    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Flat<T> {
        id: u8,
        #[serde(flatten)]
        rest: T,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Way {
        Level(u8),
        Named { x: f64 },
    }

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Either {
        Plain(Plain),
        Other { other: Option<Box<Either>> },
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Plain {
        plain: u8,
    }

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum WithStrict {
        Strict(Strict),
        Other { other: u8 },
    }

    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Strict {
        strict: u8,
    }

    type Map = std::collections::BTreeMap<String, u8>;

    /// Returns the names, and the rules for additional members.
    fn outcome<A: JsonSchema>() -> (Option<Vec<String>>, Value, Value) {
        let Schema { value: schema, names, .. } = Schema::of::<A>("t");
        let [additional, unevaluated] = RULES.map(|rule| schema.get(rule).cloned().unwrap_or_default());
        (names, additional, unevaluated)
    }

    #[test]
    fn schema_with_branches_lists_their_names_and_is_closed_by_the_rule_that_sees_them() {
        let names = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let (no, none) = (json!(false), Value::Null);
        assert_eq!(outcome::<Plain>(), (names(&["plain"]), no.clone(), none.clone()));
        assert_eq!(outcome::<Strict>(), (names(&["strict"]), no.clone(), none.clone()));
        assert_eq!(outcome::<Flat<Plain>>(), (names(&["id", "plain"]), no.clone(), none.clone()));
        assert_eq!(outcome::<Flat<Way>>(), (names(&["id", "Level", "Named"]), none.clone(), no.clone()));
        assert_eq!(outcome::<Flat<Option<Way>>>(), (names(&["id", "Level", "Named"]), none.clone(), no.clone()));
        assert_eq!(outcome::<Flat<Either>>(), (names(&["id", "plain", "other"]), none.clone(), no.clone()));
        assert_eq!(outcome::<Flat<Flat<Way>>>().0, names(&["id", "Level", "Named"]));
    }

    #[test]
    fn schema_has_no_names_of_rust_types_or_number_formats() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Numbers {
            small: u8,
            /// A number or nothing.
            large: Option<f64>,
            /// A member that is called like a keyword.
            format: Option<Vec<i32>>,
            when: Option<Date>,
        }

        #[derive(JsonSchema)]
        #[schemars(transparent)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Date(#[schemars(extend("format" = "date"))] String);

        let mut schema = Schema::of::<Numbers>("t").value;
        without_number_formats(&mut schema);
        assert_eq!(schema.get("title"), None);
        let text = schema.to_string();
        assert!(!text.contains("uint8") && !text.contains("double") && !text.contains("int32"), "{text}");
        assert!(text.contains(r#""format":{"description""#) && text.contains(r#""maximum":255"#), "{text}");
        assert!(text.contains(r#""format":"date""#), "{text}");
        let none = Schema::of::<crate::NoArgs>("t").value;
        assert_eq!(
            none,
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object", "properties": {}, "additionalProperties": false,
            })
        );
    }

    #[test]
    fn schema_that_may_allow_unlisted_names_stays_open() {
        assert_eq!(outcome::<Flat<WithStrict>>(), (None, Value::Null, Value::Null));
        let (names, additional, unevaluated) = outcome::<Flat<Map>>();
        assert_eq!((names, unevaluated), (None, Value::Null));
        assert!(additional.is_object());
    }
}
