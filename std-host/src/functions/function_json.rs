//! Functions that are described by files: a directory for each function, with a `function.json`.

use super::messages::{BindingInfo, RpcFunctionMetadata};
use super::settings::{InvalidApp, object};
use serde_json::{Map, Value};
use std::path::Path;

/// Reads the functions of an app in the order of their names.
///
/// # Errors
/// If a file is not a JSON object.
pub(super) fn read(directory: &Path) -> Result<Vec<RpcFunctionMetadata>, InvalidApp> {
    let unreadable = |error| InvalidApp::Unreadable { file: directory.to_owned(), error };
    let mut functions = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if !path.is_dir() {
            continue;
        }
        if let Some(root) = object(&path.join("function.json"))? {
            functions.push(metadata(&path, &root));
        }
    }
    functions.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(functions)
}

fn metadata(path: &Path, root: &Map<String, Value>) -> RpcFunctionMetadata {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let text = |key: &str| root.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let script = text("scriptFile");
    let listed = root.get("bindings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    RpcFunctionMetadata {
        directory: path.to_string_lossy().into_owned(),
        script_file: if script.is_empty() { script } else { path.join(script).to_string_lossy().into_owned() },
        entry_point: text("entryPoint"),
        bindings: listed.iter().filter_map(binding).collect(),
        raw_bindings: listed.iter().map(Value::to_string).collect(),
        function_id: name.clone(),
        name,
        ..RpcFunctionMetadata::default()
    }
}

fn binding(binding: &Value) -> Option<(String, BindingInfo)> {
    let direction = match binding["direction"].as_str()?.to_ascii_lowercase().as_str() {
        "in" => 0,
        "out" => 1,
        _ => 2,
    };
    let info = BindingInfo { kind: binding["type"].as_str()?.to_owned(), direction, ..BindingInfo::default() };
    Some((binding["name"].as_str()?.to_owned(), info))
}
