//! The JSON Schema of the configuration file, for editors.

use super::settings::{Of, Setting, shown};
use super::{Kind, backend, policy, providers, proxy};
use serde_json::{Map, Value, json};

/// The schema of `attache.toml`.
pub(crate) fn schema() -> Value {
    let mut properties = properties(shown());
    let mut own = self::properties(shown().filter(|setting| setting.of == Of::Server));
    own.insert("backend".to_owned(), backend::schema());
    own.insert("route".to_owned(), proxy::schema());
    for (key, rule) in policy::schema() {
        own.insert(key.to_owned(), rule.clone());
        properties.insert(key.to_owned(), rule);
    }
    properties["auth"]["properties"]["provider"] = providers::schema();
    properties.insert(
        "server".to_owned(),
        json!({
            "type": "array",
            "description": "Servers beside one another, each with a path of its own",
            "items": {"type": "object", "additionalProperties": false, "properties": own},
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "attache.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn properties(settings: impl Iterator<Item = &'static Setting>) -> Map<String, Value> {
    let mut properties = Map::new();
    for setting in settings {
        place(&mut properties, setting.key, of(setting));
    }
    properties
}

/// Puts the schema of a setting into the table of its key. Keys have at most three parts, so the recursion ends.
fn place(properties: &mut Map<String, Value>, key: &str, schema: Value) {
    let Some((table, key)) = key.split_once('.') else {
        properties.insert(key.to_owned(), schema);
        return;
    };
    let table = properties
        .entry(table)
        .or_insert_with(|| json!({"type": "object", "additionalProperties": false, "properties": {}}));
    if let Some(inner) = table["properties"].as_object_mut() {
        place(inner, key, schema);
    }
}

fn of(setting: &Setting) -> Value {
    let mut schema = match setting.kind {
        Kind::List(_) => json!({"type": ["array", "string"], "items": {"type": "string"}}),
        Kind::Switch => json!({"type": "boolean"}),
        Kind::Count => json!({"type": ["integer", "string"], "minimum": 1, "pattern": "^[0-9]+$"}),
        Kind::Size => json!({"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$"}),
        Kind::Time | Kind::Span => json!({"type": "string", "pattern": "^[0-9]+(ms|s|min|h)$"}),
        Kind::Rate => json!({"type": "string", "pattern": "^(auto|off|[0-9]+/[0-9]+)$"}),
        Kind::Path => json!({"type": "string", "pattern": "^/([A-Za-z0-9/._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*$"}),
        Kind::Mode => json!({"type": "string", "pattern": "^(0o)?[0-7]{1,4}$"}),
        Kind::Choice(choices) => json!({"enum": choices}),
        Kind::Listen | Kind::Address | Kind::File | Kind::Text | Kind::Secret => json!({"type": "string"}),
    };
    schema["description"] = Value::from(setting.help);
    if !setting.default.is_empty() && !setting.kind.is_list() {
        schema["default"] = Value::from(setting.default);
    }
    schema
}
