//! The schema of a form that is derived from a Rust type.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Returns the schema of a form with the fields of `T`, in the subset of JSON Schema that clients
/// show (MCP 2026-07-28 client/elicitation, "requestedSchema").
pub(crate) fn form_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let derived = settings.into_generator().into_root_schema_for::<T>().to_value();
    let mut form = Map::from_iter([("type".to_owned(), derived["type"].clone())]);
    if let Some(fields) = derived["properties"].as_object() {
        let fields: Map<_, _> = fields.iter().map(|(name, field)| (name.clone(), field_of(field))).collect();
        form.insert("properties".to_owned(), fields.into());
    }
    if let Some(required) = derived.get("required") {
        form.insert("required".to_owned(), required.clone());
    }
    form.into()
}

/// Returns one field as clients show it.
fn field_of(derived: &Value) -> Value {
    let mut field = derived.clone();
    // An `Option` may also be null. A form leaves it out instead.
    if let Some(types) = field["type"].as_array() {
        let mut others = types.iter().filter(|of| *of != "null");
        if let (Some(of), None) = (others.next().cloned(), others.next()) {
            field["type"] = of;
        }
    }
    if let Some(alternatives) = derived["anyOf"].as_array() {
        let mut others = alternatives.iter().filter(|of| of["type"] != "null");
        if let (Some(of), None) = (others.next(), others.next()) {
            let description = field.get("description").cloned();
            field = field_of(of);
            if let Some(description) = description {
                field["description"] = description;
            }
        }
    }
    if let Some(choices) = derived["oneOf"].as_array().and_then(|variants| titled(variants)) {
        field["type"] = "string".into();
        field["oneOf"] = choices;
    }
    if field["type"] == "array" {
        field["items"] = field_of(&field["items"]);
    }
    if let Value::Object(members) = &mut field {
        members.retain(|name, value| match name.as_str() {
            "format" => FORMATS.iter().any(|format| value == format),
            "uniqueItems" => false,
            // `"enum": [..., null]`, as an optional choice has it.
            _ => true,
        });
        if let Some(Value::Array(choices)) = members.get_mut("enum") {
            choices.retain(|choice| !choice.is_null());
        }
    }
    field
}

/// Returns the choices of an enum whose variants have doc comments, with these as titles. `None` if
/// a variant has data.
fn titled(variants: &[Value]) -> Option<Value> {
    let mut choices = Vec::new();
    for variant in variants {
        match (variant.get("const"), variant["enum"].as_array()) {
            (Some(value), _) => {
                let title = variant.get("description").unwrap_or(value);
                choices.push(json!({ "const": value, "title": title }));
            }
            (None, Some(values)) => {
                choices.extend(values.iter().map(|value| json!({ "const": value, "title": value })));
            }
            (None, None) => return None,
        }
    }
    Some(choices.into())
}

/// The formats of texts that a form may have; those of numbers have no meaning to a client.
const FORMATS: [&str; 4] = ["date", "date-time", "email", "uri"];

#[cfg(test)]
mod tests {
    use super::super::form;
    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Order {
        /// how many
        #[schemars(range(min = 1, max = 9))]
        count: u8,
        price: Option<f64>,
        sure: bool,
        name: String,
        size: Size,
        color: Option<Color>,
        /// what goes with it
        extras: Vec<Size>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    #[schemars(rename_all = "lowercase")]
    enum Size {
        Small,
        Large,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Color {
        /// a warm red
        Red,
        Blue,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Nested {
        order: Order,
    }

    #[test]
    fn form_of_a_type_has_only_fields_that_clients_show() {
        let form = form_of::<Order>();
        assert_eq!(form::check(&form), Ok(()), "{form}");
        let expected = json!({"type": "object", "required": ["count", "sure", "name", "size", "extras"], "properties": {
            "count": {"description": "how many", "type": "integer", "minimum": 1, "maximum": 9},
            "price": {"type": "number"},
            "sure": {"type": "boolean"},
            "name": {"type": "string"},
            "size": {"type": "string", "enum": ["small", "large"]},
            "color": {"type": "string", "oneOf": [
                {"const": "Blue", "title": "Blue"}, {"const": "Red", "title": "a warm red"},
            ]},
            "extras": {
                "description": "what goes with it", "type": "array",
                "items": {"type": "string", "enum": ["small", "large"]},
            },
        }});
        assert_eq!(form, expected);
        assert!(form::check(&form_of::<Nested>()).is_err());
        assert!(form::check(&form_of::<u8>()).is_err());
    }
}
