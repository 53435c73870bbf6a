//! The description file of a tool, in TOML or JSON.

use super::limits::RUN_TIME;
use crate::backend::{Entry, Kind};
use crate::offer::Rules;
use core::time::Duration;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The content of a description file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    description: String,
    title: Option<String>,
    /// The JSON Schema of the arguments.
    #[serde(default)]
    arguments: Map<String, Value>,
    /// The JSON Schema of the result. Standard output is then a JSON object.
    result: Option<Map<String, Value>>,
    time_limit: Option<String>,
    scope: Option<String>,
    read_only: Option<bool>,
    destructive: Option<bool>,
    idempotent: Option<bool>,
    open_world: Option<bool>,
}

/// An executable with its description.
pub(super) struct Tool {
    pub(super) executable: PathBuf,
    pub(super) file: PathBuf,
    pub(super) description: Description,
}

/// A tool as its description file declares it.
pub(super) struct Description {
    pub(super) entry: Entry,
    pub(super) arguments: Rules,
    /// The environment variable of each property.
    pub(super) variables: BTreeMap<String, String>,
    pub(super) result: Option<Rules>,
    pub(super) time_limit: Duration,
}

impl Description {
    /// Reads the text of the description file of the tool `name`.
    pub(super) fn read(name: &str, path: &Path, text: &str) -> Result<Self, String> {
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        let written: Written = match is_toml {
            true => toml::from_str(text).map_err(|error| error.message().to_owned())?,
            false => serde_json::from_str(text).map_err(|error| error.to_string())?,
        };
        written.description(name)
    }
}

impl Written {
    fn description(self, name: &str) -> Result<Description, String> {
        let mut arguments = self.arguments;
        // MCP server/tools: `inputSchema` has the root type "object".
        arguments.entry("type").or_insert_with(|| json!("object"));
        arguments.entry("properties").or_insert_with(|| json!({}));
        // A misspelled argument must not be ignored.
        arguments.entry("additionalProperties").or_insert_with(|| json!(false));
        let variables = variables(&arguments)?;
        let arguments = Value::from(arguments);
        let compiled = |what: &str, schema: &Value| {
            Rules::compile(name, schema, false)
                .map_err(|error| format!("the schema of the {what} cannot be used: {error}"))
        };
        let mut listed = json!({ "name": name, "description": self.description, "inputSchema": arguments });
        let result = self.result.map(|mut schema| {
            schema.entry("type").or_insert_with(|| json!("object"));
            Value::from(schema)
        });
        let hints = [
            ("readOnlyHint", self.read_only),
            ("destructiveHint", self.destructive),
            ("idempotentHint", self.idempotent),
            ("openWorldHint", self.open_world),
        ];
        let hints: Map<_, _> =
            hints.into_iter().filter_map(|(hint, value)| Some((hint.to_owned(), value?.into()))).collect();
        if !hints.is_empty() {
            listed["annotations"] = hints.into();
        }
        if let Some(title) = self.title {
            listed["title"] = title.into();
        }
        if let Some(schema) = &result {
            listed["outputSchema"] = schema.clone();
        }
        let entry = Entry::read(Kind::Tool, &listed.to_string()).map_err(|error| error.to_string())?;
        Ok(Description {
            entry: match self.scope {
                Some(scope) => entry.with_scope(scope),
                None => entry,
            },
            arguments: compiled("arguments", &arguments)?,
            variables,
            result: result.map(|schema| compiled("result", &schema)).transpose()?,
            time_limit: self.time_limit.map_or(Ok(RUN_TIME), |text| time(&text))?,
        })
    }
}

/// The environment variable of each property: `ARG_` and the name in capitals, where every character
/// that is not a letter or a digit becomes `_`.
fn variables(schema: &Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    for (name, _) in properties {
        let upper: String = name
            .chars()
            .map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' })
            .collect();
        let variable = format!("ARG_{upper}");
        if let Some((other, _)) = variables.iter().find(|(_, known)| **known == variable) {
            return Err(format!("the arguments {other} and {name} have the same variable {variable}: rename one"));
        }
        variables.insert(name.clone(), variable);
    }
    Ok(variables)
}

fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "ms" => Some(Duration::from_millis(1)),
        "s" => Some(Duration::from_secs(1)),
        "min" | "m" => Some(Duration::from_secs(60)),
        _ => None,
    };
    let time = unit.zip(number.parse::<u32>().ok()).map(|(unit, number)| unit * number);
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| format!("time_limit {text:?} must be a time such as 500ms, 30s or 5min"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Description, String> {
        Description::read("t", Path::new("t.toml"), text)
    }

    #[test]
    fn description_in_toml_and_in_json_says_the_same() {
        let toml = "description = \"d\"\ntime_limit = \"5s\"\nread_only = true\n[arguments]\nrequired = [\"text\"]\n\
                    [arguments.properties.text]\ntype = \"string\"\n";
        let json = r#"{"description":"d","time_limit":"5s","read_only":true,
            "arguments":{"required":["text"],"properties":{"text":{"type":"string"}}}}"#;
        let toml = read(toml).expect("it is sound");
        let json = Description::read("t", Path::new("t.json"), json).expect("it is sound");
        for tool in [&toml, &json] {
            assert_eq!(tool.time_limit, Duration::from_secs(5));
            assert_eq!(tool.variables, BTreeMap::from([("text".to_owned(), "ARG_TEXT".to_owned())]));
            for (arguments, is_valid) in [
                (json!({"text": "x"}), true),
                (json!({}), false),
                (json!({"text": 1}), false),
                (json!({"text": "x", "y": 1}), false),
            ] {
                assert_eq!(tool.arguments.check_value(&arguments, 0).is_ok(), is_valid, "{arguments}");
            }
        }
    }

    #[test]
    fn description_that_cannot_be_used_is_refused_with_the_reason() {
        for (text, words) in [
            ("title = \"x\"", "description"),
            ("description = \"d\"\nscoop = \"x\"", "scoop"),
            ("description = \"d\"\ntime_limit = \"fast\"", "500ms"),
            ("description = \"d\"\ntime_limit = \"0s\"", "500ms"),
            ("description = \"d\"\n[arguments]\ntype = \"array\"", "object"),
            ("description = \"d\"\n[arguments.properties.x]\ntype = \"strin\"", "schema of the arguments"),
            ("description = \"d\"\n[arguments.properties]\na-b = {}\na_b = {}", "ARG_A_B"),
            ("description = ", "string values must be quoted"),
        ] {
            let error = read(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
