//! Validates sent messages against the protocol's own JSON Schema.

use attache_core::era::Version;
use jsonschema::Validator;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

/// Checks that `json` matches `definition` of a revision. A message with a number that serde_json
/// cannot hold is skipped, because ids of any size are echoed.
///
/// # Panics
/// If it does not match.
pub(crate) fn conforms(version: Version, definition: &'static str, json: &[u8]) {
    let value: Value = match serde_json::from_slice(json) {
        Ok(value) => value,
        Err(error) if error.to_string().starts_with("number out of range") => return,
        Err(error) => panic!("{error}: {}", json.escape_ascii()),
    };
    conforms_value(version, definition, &value);
}

/// The same check for a part of a message.
pub(crate) fn conforms_value(version: Version, definition: &'static str, value: &Value) {
    if let Err(error) = validator(version, definition).validate(value) {
        panic!("no {definition} of {}: {error} at {}: {value}", version.as_str(), error.instance_path());
    }
}

/// Returns the validator of one definition, compiled at its first use.
fn validator(version: Version, definition: &'static str) -> Arc<Validator> {
    static COMPILED: Mutex<BTreeMap<(&str, &str), Arc<Validator>>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().expect("nothing panics under the lock");
    let slot = compiled.entry((version.as_str(), definition));
    slot.or_insert_with(|| {
        let mut schema = schema(version).clone();
        schema["$ref"] = format!("#/$defs/{definition}").into();
        Arc::new(jsonschema::validator_for(&schema).expect("a schema"))
    })
    .clone()
}

fn schema(version: Version) -> &'static Value {
    static MODERN: OnceLock<Value> = OnceLock::new();
    static LEGACY: OnceLock<Value> = OnceLock::new();
    let (slot, text) = if version.is_modern() {
        (&MODERN, include_str!("../../../tests/schema/2026-07-28.json"))
    } else {
        (&LEGACY, include_str!("../../../tests/schema/2025-11-25.json"))
    };
    slot.get_or_init(|| serde_json::from_str(text).expect("JSON"))
}
