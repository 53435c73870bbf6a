//! The bindings of a function.

use super::messages::RpcFunctionMetadata;
use serde_json::{Map, Value};

/// One binding of a function, as `function.json` has it.
pub(super) struct Binding(pub(super) Map<String, Value>);

impl Binding {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    pub(super) fn is_true(&self, key: &str) -> bool {
        match self.0.get(key) {
            Some(Value::Bool(set)) => *set,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    pub(super) fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind().eq_ignore_ascii_case(kind)
    }

    pub(super) fn name(&self) -> &str {
        self.text("name").unwrap_or_default()
    }

    /// Reads a key whose value is JSON, or a string that holds JSON.
    pub(super) fn json(&self, key: &str) -> Result<Option<Value>, String> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => {
                serde_json::from_str(text).map(Some).map_err(|error| format!("{key} is not JSON: {error}"))
            }
            Some(value) => Ok(Some(value.clone())),
        }
    }
}

/// Reads the bindings of a function.
pub(super) fn bindings(reported: &RpcFunctionMetadata) -> Result<Vec<Binding>, String> {
    let read = |raw: &String| {
        let binding = serde_json::from_str(raw)
            .map(Binding)
            .map_err(|error| format!("a binding is not a JSON object: {error}"))?;
        match ["type", "name", "direction"].into_iter().find(|key| !binding.0.contains_key(*key)) {
            Some(missing) => Err(format!("a binding has no {missing}")),
            None => Ok(binding),
        }
    };
    let bindings = reported.raw_bindings.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut names: Vec<String> = bindings.iter().map(|binding| binding.name().to_ascii_lowercase()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        Some([twice, _]) => Err(format!("there are two bindings with the name {twice}")),
        _ => Ok(bindings),
    }
}
