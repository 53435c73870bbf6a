//! Arguments that clients mirror in header fields (`x-mcp-header`).

use serde_json::Value;

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
