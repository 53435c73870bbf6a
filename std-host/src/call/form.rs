//! Forms for the user (MCP 2026-07-28 client/elicitation, "requestedSchema"): an object of flat
//! fields. The fields come from the handler and their values from the peer, so both are checked.

use serde_json::{Map, Value};

/// Checks that clients can show a form: every field is a text, a number, a boolean or a choice.
///
/// # Errors
/// The first field that is none of these.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let fields = schema["properties"].as_object().filter(|_| schema["type"] == "object");
    let fields = fields.ok_or("the schema of a form must be of type object, with properties")?;
    match fields.iter().find(|(_, field)| !is_flat(field)) {
        None => Ok(()),
        Some((name, _)) => Err(format!("field {name:?} of a form must be a text, a number, a boolean or a choice")),
    }
}

fn is_flat(field: &Value) -> bool {
    match field["type"].as_str() {
        Some("string" | "number" | "integer" | "boolean") => true,
        Some("array") => choices(&field["items"]).is_some(),
        _ => false,
    }
}

/// Checks the values of a submitted form. Unknown members are ignored, as everywhere in the
/// protocol. `format` is a hint for the client's input field and is not checked.
///
/// # Errors
/// The first field with an invalid value, and which values are valid.
// MCP 2026-07-28 client/elicitation: servers SHOULD validate the answer against the requested
// schema.
pub(super) fn fits(schema: &Value, content: &Map<String, Value>) -> Result<(), String> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required {
        if !content.contains_key(name) {
            return Err(format!("field {name:?} is missing"));
        }
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = content.get(name) {
            fault(field, value).map_or(Ok(()), |fault| Err(format!("field {name:?} must be {fault}")))?;
        }
    }
    Ok(())
}

/// Describes a valid value for `field`, if `value` is not one.
fn fault(field: &Value, value: &Value) -> Option<String> {
    let wrong = |what: &str| Some(what.to_owned());
    match field["type"].as_str() {
        Some("string") => match (value.as_str(), choices(field)) {
            (None, _) => wrong("a text"),
            (Some(text), Some(choices)) if !choices.contains(&text) => wrong("one of the choices"),
            (Some(text), _) => outside(field, ["minLength", "maxLength"], text.chars().count() as f64, "characters"),
        },
        Some("integer") if !value.as_f64().is_some_and(|number| number.fract() == 0.0) => wrong("an integer"),
        Some("number" | "integer") => match value.as_f64() {
            None => wrong("a number"),
            Some(number) => outside(field, ["minimum", "maximum"], number, ""),
        },
        Some("boolean") if !value.is_boolean() => wrong("true or false"),
        Some("array") => match (value.as_array(), choices(&field["items"])) {
            (Some(chosen), Some(choices)) => {
                let known = |one: &Value| one.as_str().is_some_and(|one| choices.contains(&one));
                match chosen.iter().all(known) {
                    true => outside(field, ["minItems", "maxItems"], chosen.len() as f64, "choices"),
                    false => wrong("some of the choices"),
                }
            }
            _ => wrong("a list of choices"),
        },
        _ => None,
    }
}

/// Returns the allowed values, if the field is a choice.
fn choices(field: &Value) -> Option<Vec<&str>> {
    let plain = field["enum"].as_array().map(|values| values.iter().filter_map(Value::as_str).collect());
    let titled = || field["oneOf"].as_array().or(field["anyOf"].as_array());
    plain.or_else(|| titled().map(|options| options.iter().filter_map(|option| option["const"].as_str()).collect()))
}

/// Returns the bound that `measure` violates, if there is one.
fn outside(field: &Value, [least, most]: [&str; 2], measure: f64, unit: &str) -> Option<String> {
    let below = field[least].as_f64().filter(|least| measure < *least).map(|least| format!("at least {least} {unit}"));
    let above = || field[most].as_f64().filter(|most| measure > *most).map(|most| format!("at most {most} {unit}"));
    below.or_else(above).map(|bound| bound.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn form_with_a_field_that_no_client_can_show_is_refused() {
        for (field, good) in [
            (json!({"type": "string"}), true),
            (json!({"type": "boolean", "default": true}), true),
            (json!({"type": "array", "items": {"type": "string", "enum": ["a"]}}), true),
            (json!({"type": "array", "items": {"anyOf": [{"const": "a", "title": "A"}]}}), true),
            (json!({"type": "array", "items": {"type": "string"}}), false),
            (json!({"type": "object", "properties": {}}), false),
            (json!({}), false),
        ] {
            let form = json!({"type": "object", "properties": {"x": field}});
            assert_eq!(check(&form).is_ok(), good, "{form}");
        }
        assert!(check(&json!({"type": "string"})).is_err());
        assert!(check(&json!({"properties": {}})).is_err());
    }

    #[test]
    fn content_that_does_not_fit_its_form_is_refused_with_what_would() {
        let form = json!({"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "minLength": 2, "maxLength": 4},
            "age": {"type": "integer", "minimum": 0, "maximum": 150},
            "size": {"type": "number", "minimum": 0.5},
            "sure": {"type": "boolean"},
            "color": {"type": "string", "enum": ["red", "blue"]},
            "shade": {"type": "string", "oneOf": [{"const": "d", "title": "dark"}]},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "minItems": 1, "maxItems": 2},
        }});
        for (content, fault) in [
            (json!({"name": "Ada"}), None),
            (json!({"name": "Ünäç", "age": 150, "size": 0.5, "sure": false, "color": "red", "shade": "d"}), None),
            (json!({"name": "Ada", "tags": ["b", "a"], "unknown": {}, "age": 7.0}), None),
            (json!({}), Some(r#"field "name" is missing"#)),
            (json!({"name": null}), Some(r#"field "name" must be a text"#)),
            (json!({"name": "A"}), Some(r#"field "name" must be at least 2 characters"#)),
            (json!({"name": "Adele"}), Some(r#"field "name" must be at most 4 characters"#)),
            (json!({"name": "Ada", "age": 1.5}), Some(r#"field "age" must be an integer"#)),
            (json!({"name": "Ada", "age": "7"}), Some(r#"field "age" must be an integer"#)),
            (json!({"name": "Ada", "age": -1}), Some(r#"field "age" must be at least 0"#)),
            (json!({"name": "Ada", "age": 151}), Some(r#"field "age" must be at most 150"#)),
            (json!({"name": "Ada", "size": true}), Some(r#"field "size" must be a number"#)),
            (json!({"name": "Ada", "size": 0.25}), Some(r#"field "size" must be at least 0.5"#)),
            (json!({"name": "Ada", "sure": "yes"}), Some(r#"field "sure" must be true or false"#)),
            (json!({"name": "Ada", "color": "Red"}), Some(r#"field "color" must be one of the choices"#)),
            (json!({"name": "Ada", "shade": "dark"}), Some(r#"field "shade" must be one of the choices"#)),
            (json!({"name": "Ada", "tags": "a"}), Some(r#"field "tags" must be a list of choices"#)),
            (json!({"name": "Ada", "tags": []}), Some(r#"field "tags" must be at least 1 choices"#)),
            (json!({"name": "Ada", "tags": ["a", "b", "a"]}), Some(r#"field "tags" must be at most 2 choices"#)),
            (json!({"name": "Ada", "tags": ["c"]}), Some(r#"field "tags" must be some of the choices"#)),
        ] {
            let outcome = fits(&form, content.as_object().expect("an object"));
            assert_eq!(outcome.err().as_deref(), fault, "{content}");
        }
    }
}
