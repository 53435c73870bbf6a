//! The environment variables of a child in the configuration.

use std::ffi::OsString;
use toml::de::DeValue;

/// Variables with their values, or the names of variables that the child inherits.
pub(super) fn environment(value: &DeValue<'_>) -> Result<Vec<(String, OsString)>, String> {
    const WANTED: &str = r#"env must be { NAME = "value" }, or ["NAME"] to pass variables of this program on"#;
    match value {
        DeValue::Table(table) => table
            .iter()
            .map(|(name, value)| match value.get_ref() {
                DeValue::String(value) => Ok((name.get_ref().to_string(), value.to_string().into())),
                _ => Err(WANTED.to_owned()),
            })
            .collect(),
        DeValue::Array(names) => names
            .iter()
            .map(|name| match name.get_ref() {
                DeValue::String(name) => {
                    let value = std::env::var_os(name.as_ref());
                    let value = value.ok_or_else(|| {
                        format!("env names {name}, which is not set: set it, or write env = {{ {name} = \"value\" }}")
                    })?;
                    Ok((name.to_string(), value))
                }
                _ => Err(WANTED.to_owned()),
            })
            .collect(),
        _ => Err(WANTED.to_owned()),
    }
}
