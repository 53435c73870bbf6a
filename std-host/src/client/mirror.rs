//! Mirrors arguments in header fields (MCP 2026-07-28 server/tools, `x-mcp-header`).

use super::http::header_value;
use super::raw::RawJson;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

/// An argument that must be mirrored: the name of its header field, and its path in the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirrored {
    header: HeaderName,
    path: Vec<String>,
}

/// Most levels of `properties` that are searched: the deepest nesting of a message.
const DEPTH: usize = 64;

/// Finds the arguments of a tool that must be mirrored.
///
/// # Errors
/// Why the tool must not be used over HTTP.
pub(super) fn mirrored(tool: &RawJson) -> Result<Vec<Mirrored>, String> {
    // Most tools have no annotation, so their schemas are not parsed.
    let has_annotation = tool.as_str().contains("x-mcp-header");
    let Some(schema) = tool.member("inputSchema").filter(|_| has_annotation) else {
        return Ok(Vec::new());
    };
    let schema: Value = schema.read().map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    collect(&schema, &mut Vec::new(), &mut found)?;
    let all = count(&schema);
    if all != found.len() {
        return Err("x-mcp-header is on something other than a property of `properties`".to_owned());
    }
    for (at, one) in found.iter().enumerate() {
        if found[..at].iter().any(|other| other.header == one.header) {
            return Err(format!("two arguments have the same x-mcp-header, {}", one.header));
        }
    }
    Ok(found)
}

/// Collects the annotations that can be reached through `properties` only.
fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Mirrored>) -> Result<(), String> {
    if path.len() > DEPTH {
        return Err("its schema is nested too deep".to_owned());
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(annotation) = property.get("x-mcp-header") {
            found.push(Mirrored { header: header_name(annotation)?, path: path.clone() });
            let kind = property.get("type").and_then(Value::as_str);
            if !matches!(kind, Some("string" | "integer" | "boolean")) {
                return Err(format!(
                    "{} has an x-mcp-header, but is not a string, an integer or a boolean",
                    path.join(".")
                ));
            }
        }
        collect(property, path, found)?;
        path.pop();
    }
    Ok(())
}

fn header_name(annotation: &Value) -> Result<HeaderName, String> {
    let name = annotation.as_str().filter(|name| !name.is_empty()).ok_or("an x-mcp-header is not a name")?;
    HeaderName::try_from(format!("mcp-param-{name}")).map_err(|_| format!("{name:?} cannot be part of a header name"))
}

/// Counts the annotations of a schema at any place. A schema is at most as deep as a message.
fn count(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => {
            // A property may be named `x-mcp-header`. Then its value is a schema.
            let is_annotation = |(name, value): &(&String, &Value)| *name == "x-mcp-header" && !value.is_object();
            members.iter().filter(is_annotation).count() + members.values().map(count).sum::<usize>()
        }
        Value::Array(elements) => elements.iter().map(count).sum(),
        _ => 0,
    }
}

/// Returns the header fields of a call with these arguments. An absent or null argument has no
/// field. An empty text has an empty field.
pub(super) fn fields(mirrored: &[Mirrored], arguments: Option<&RawJson>) -> Vec<(HeaderName, HeaderValue)> {
    let field = |one: &Mirrored| {
        let value = one.path.iter().try_fold(arguments?.clone(), |value, name| value.member(name))?;
        let integer = value.value().integer().ok().and_then(|integer| integer.to::<i64>());
        let text = match (value.string(), integer) {
            (Some(text), _) => text,
            // MCP 2026-07-28 streamable-http: integers are decimal in the header, in whatever form
            // the body has them.
            (None, Some(integer)) => integer.to_string(),
            (None, None) if value.as_str() == "null" => return None,
            (None, None) => value.as_str().to_owned(),
        };
        Some((one.header.clone(), header_value(&text)?))
    };
    mirrored.iter().filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(properties: Value) -> RawJson {
        RawJson::of(&json!({"name": "t", "inputSchema": {"type": "object", "properties": properties}})).unwrap()
    }

    #[test]
    fn annotated_arguments_become_header_fields_and_others_do_not() {
        let schema = json!({
            "region": {"type": "string", "x-mcp-header": "Region"},
            "count": {"type": "integer", "x-mcp-header": "Count"},
            "spelt": {"type": "integer", "x-mcp-header": "Spelt"},
            "method": {"type": "string", "x-mcp-header": "Method"},
            "deep": {"type": "object", "properties": {"yes": {"type": "boolean", "x-mcp-header": "Yes"}}},
            "empty": {"type": "string", "x-mcp-header": "Empty"},
            "null": {"type": "string", "x-mcp-header": "Null"},
            "absent": {"type": "string", "x-mcp-header": "Absent"},
            "plain": {"type": "string"},
        });
        let arguments = r#"{"region":"Z\u00fcrich","count":42,"spelt":1E2,"method":"a","deep":{"yes":true},"empty":"","null":null,"plain":"p"}"#;
        let found = fields(&mirrored(&tool(schema)).unwrap(), Some(&RawJson::parse(arguments).unwrap()));
        let mut found: Vec<(&str, &str)> =
            found.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                ("mcp-param-count", "42"),
                ("mcp-param-empty", ""),
                ("mcp-param-method", "a"),
                ("mcp-param-region", "=?base64?WsO8cmljaA==?="),
                ("mcp-param-spelt", "100"),
                ("mcp-param-yes", "true"),
            ]
        );
    }

    #[test]
    fn tools_with_unusable_annotations_are_told_apart() {
        for properties in [
            json!({"a": {"type": "number", "x-mcp-header": "A"}}),
            json!({"a": {"x-mcp-header": "A"}}),
            json!({"a": {"type": "string", "x-mcp-header": ""}}),
            json!({"a": {"type": "string", "x-mcp-header": 7}}),
            json!({"a": {"type": "string", "x-mcp-header": "A B"}}),
            json!({"a": {"type": "string", "x-mcp-header": "Z\u{fc}"}}),
            json!({"a": {"type": "string", "x-mcp-header": "A"}, "b": {"type": "string", "x-mcp-header": "a"}}),
            json!({"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}}),
            json!({"a": {"oneOf": [{"type": "string", "x-mcp-header": "A"}]}}),
        ] {
            assert!(mirrored(&tool(properties.clone())).is_err(), "{properties}");
        }
        assert_eq!(mirrored(&tool(json!({"x-mcp-header": {"type": "string"}}))), Ok(Vec::new()));
    }
}
