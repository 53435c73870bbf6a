//! Schemas and arguments of list entries, written in the order in which the platform writes them.

use serde_json::{Map, Value};

/// An argument of a tool (`toolProperties`).
#[derive(Debug)]
pub(super) struct Property {
    name: String,
    kind: String,
    description: String,
    is_required: bool,
    is_array: bool,
    choices: Vec<Value>,
}

/// Prints members as a JSON object. The values are JSON.
pub(super) fn object(members: &[(&str, String)]) -> String {
    let member = |(name, value): &(&str, String)| format!("{}:{value}", Value::from(*name));
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

/// Reads `toolProperties`.
pub(super) fn properties(listed: &Value) -> Result<Vec<Property>, String> {
    let listed = listed.as_array().ok_or("toolProperties must be a JSON array")?;
    let read = |element: &Value| match element {
        Value::Object(element) => property(element),
        _ => Err("an element of toolProperties is not an object".to_owned()),
    };
    let properties = listed.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for (number, property) in properties.iter().enumerate() {
        if properties.iter().take(number).any(|known| known.name == property.name) {
            return Err(format!("toolProperties has two properties with the name {:?}", property.name));
        }
    }
    Ok(properties)
}

/// Reads one element of `toolProperties`, or a companion binding, which has the same keys.
pub(super) fn property(element: &Map<String, Value>) -> Result<Property, String> {
    let text = |key: &str| element.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_true = |key: &str| element.get(key).and_then(Value::as_bool).unwrap_or_default();
    let name = text("propertyName");
    if name.is_empty() {
        return Err("a property of the tool has no propertyName".to_owned());
    }
    let kind = match text("propertyType").to_ascii_lowercase().as_str() {
        "" => "string",
        "string" | "datetime" => "string",
        "number" | "double" | "float" => "number",
        "integer" | "int" | "long" => "integer",
        "boolean" | "bool" => "boolean",
        "object" => "object",
        "array" => "array",
        other => {
            return Err(format!(
                "property {name:?}: propertyType {other:?} must be string, number, integer, boolean or object"
            ));
        }
    };
    let choices = element.get("enumValues").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(Property {
        kind: kind.to_owned(),
        description: text("description"),
        is_required: is_true("isRequired"),
        is_array: is_true("isArray"),
        choices,
        name,
    })
}

/// Returns the input schema that the platform generates: `required` is always there, and each property has its
/// `description` last.
pub(super) fn of_properties(properties: &[Property]) -> String {
    let property = |property: &Property| {
        let choices = Value::from(property.choices.clone()).to_string();
        let kind = Value::from(property.kind.as_str()).to_string();
        let mut members = Vec::new();
        match (property.is_array, property.choices.is_empty()) {
            (false, true) => members.push(("type", kind)),
            (false, false) => members.extend([("type", kind), ("enum", choices)]),
            (true, true) => members.extend([("type", r#""array""#.to_owned()), ("items", object(&[("type", kind)]))]),
            (true, false) => {
                let items = object(&[("type", kind), ("enum", choices)]);
                members.extend([("type", r#""array""#.to_owned()), ("items", items)]);
            }
        }
        members.push(("description", Value::from(property.description.as_str()).to_string()));
        format!("{}:{}", Value::from(property.name.as_str()), object(&members))
    };
    let listed: Vec<String> = properties.iter().map(property).collect();
    let required: Vec<&str> = properties.iter().filter(|one| one.is_required).map(|one| one.name.as_str()).collect();
    object(&[
        ("type", r#""object""#.to_owned()),
        ("properties", format!("{{{}}}", listed.join(","))),
        ("required", Value::from(required).to_string()),
    ])
}

/// Returns the names of the required arguments.
pub(super) fn required(schema: &Value) -> Vec<String> {
    let names = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The schema without `required`, which is checked first and has an error of its own.
pub(super) fn without_required(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(root) = schema.as_object_mut() {
        root.remove("required");
    }
    schema
}

/// Reads `promptArguments`. Each comes with its name if it is required.
pub(super) fn prompt_arguments(listed: &Value) -> Result<Vec<(String, Option<String>)>, String> {
    let listed = listed.as_array().ok_or("promptArguments must be a JSON array")?;
    let read = |element: &Value| {
        let name = element["name"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or("an element of promptArguments has no name")?;
        let is_required = element["required"].as_bool().unwrap_or_default();
        Ok(prompt_argument(name, element["description"].as_str(), is_required))
    };
    listed.iter().map(read).collect()
}

pub(super) fn prompt_argument(name: &str, description: Option<&str>, is_required: bool) -> (String, Option<String>) {
    let mut members = vec![("name", Value::from(name).to_string())];
    members.extend(description.map(|text| ("description", Value::from(text).to_string())));
    members.push(("required", is_required.to_string()));
    (object(&members), is_required.then(|| name.to_owned()))
}

/// Whether a URI is a template. Its parameters are `{name}`.
pub(super) fn is_template(uri: &str) -> Result<bool, String> {
    let mut names = Vec::new();
    let mut rest = uri;
    while let Some((_, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').ok_or_else(|| format!("uri {uri:?} has a {{ without its }}"))?;
        if behind.starts_with('{') {
            return Err(format!("uri {uri:?} has two parameters with nothing between them"));
        }
        let plain: String = name.chars().map(|char| if char.is_alphanumeric() { char } else { '_' }).collect();
        if name.is_empty() || names.contains(&plain) {
            return Err(format!("uri {uri:?} has two parameters with the name {name:?}, or one without a name"));
        }
        names.push(plain);
        rest = behind;
    }
    Ok(!names.is_empty())
}

/// A template without the names of its parameters.
pub(super) fn structure(template: &str) -> String {
    let mut structure = String::new();
    for (number, part) in template.split('{').enumerate() {
        let literal = if number == 0 { part } else { part.split_once('}').map_or("", |(_, literal)| literal) };
        if number > 0 {
            structure.push_str("{}");
        }
        structure.push_str(&literal.to_lowercase());
    }
    structure
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schema_of_properties_is_written_as_the_platform_writes_it() {
        let listed = json!([
            {"propertyName": "city", "propertyType": "string", "description": "City", "isRequired": true, "isArray": false, "enumValues": []},
            {"propertyName": "days", "propertyType": "integer"},
            {"propertyName": "tags", "propertyType": "string", "description": null, "isArray": true},
            {"propertyName": "unit", "propertyType": "string", "description": "Unit", "enumValues": ["C", "F"]},
        ]);
        let schema = of_properties(&properties(&listed).expect("sound"));
        let expected = concat!(
            r#"{"type":"object","properties":{"city":{"type":"string","description":"City"},"#,
            r#""days":{"type":"integer","description":""},"tags":{"type":"array","items":{"type":"string"},"description":""},"#,
            r#""unit":{"type":"string","enum":["C","F"],"description":"Unit"}},"required":["city"]}"#,
        );
        assert_eq!(schema, expected);
        assert_eq!(of_properties(&[]), r#"{"type":"object","properties":{},"required":[]}"#);
    }

    #[test]
    fn property_that_cannot_be_listed_is_named() {
        for (listed, word) in [
            (json!({}), "array"),
            (json!([7]), "not an object"),
            (json!([{"propertyType": "string"}]), "propertyName"),
            (json!([{"propertyName": "a", "propertyType": "blob"}]), "\"blob\""),
            (json!([{"propertyName": "a"}, {"propertyName": "a"}]), "two properties"),
        ] {
            let error = properties(&listed).expect_err("a fault");
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn template_has_parameters_that_can_be_told_apart() {
        for (uri, expected) in [
            ("file://logo.png", Some(false)),
            ("log://{day}/{level}", Some(true)),
            ("log://{day}{level}", None),
            ("log://{day}/{day}", None),
            ("log://{a-b}/{a_b}", None),
            ("log://{day", None),
            ("log://{}", None),
        ] {
            assert_eq!(is_template(uri).ok(), expected, "{uri}");
        }
        assert_eq!(structure("log://{day}/X/{level}"), structure("LOG://{tag}/x/{n}"));
        assert_ne!(structure("log://{day}/x"), structure("log://{day}/y"));
    }
}
