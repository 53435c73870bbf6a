//! The functions of an app: their triggers and bindings, checked, and the list entries that they make.

use super::binding::{Binding, bindings};
use super::http_trigger::HttpFunction;
use super::messages::RpcFunctionMetadata;
use super::refused::Refused;
use super::schema::{self, Property};
use crate::backend::{Entry, Kind};
use crate::offer::Rules;
use serde_json::Value;
use std::collections::HashMap;

/// A function that clients call.
pub(super) struct Function {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) trigger: Trigger,
    /// The name of the trigger's binding, under which the worker expects the context.
    pub(super) binding: String,
    /// Whether the binding wants bytes.
    pub(super) is_binary: bool,
    pub(super) companions: Vec<Companion>,
    pub(super) entry: Entry,
    /// Why the worker could not load the function.
    pub(super) unloaded: Option<String>,
}

pub(super) enum Trigger {
    Tool { envelope: bool, required: Vec<String>, rules: Rules },
    Resource { mime_type: Option<String> },
    Prompt { envelope: bool, required: Vec<String> },
}

/// A further input binding that repeats one argument.
pub(super) struct Companion {
    pub(super) name: String,
    pub(super) argument: String,
    pub(super) of_prompt: bool,
    pub(super) is_required: bool,
}

/// A function that is offered, by its trigger.
enum Read {
    Mcp(Function),
    Http(HttpFunction),
}

/// Reads a function that a worker has reported.
fn read(reported: &RpcFunctionMetadata, unloaded: Option<String>) -> Result<Read, Refused> {
    let name = &reported.name;
    let invalid = |what: String| Refused::Invalid(format!("function {name}: {what}"));
    if !is_function_name(name) {
        return Err(invalid("its name must begin with a letter, and have 128 letters, digits, _ and - at most".into()));
    }
    if let Some(status) = reported.status.as_ref().filter(|status| status.exception.is_some()) {
        return Err(invalid(status.describe()));
    }
    let bindings = bindings(reported).map_err(invalid)?;
    let mut triggers = bindings.iter().filter(|binding| binding.kind().to_ascii_lowercase().ends_with("trigger"));
    let trigger = match (triggers.next(), triggers.next()) {
        (Some(trigger), None) => trigger,
        (None, _) => return Err(invalid("it has no trigger".into())),
        (Some(_), Some(_)) => return Err(invalid("it has more than one trigger".into())),
    };
    if trigger.is("httpTrigger") {
        return HttpFunction::read(&reported.function_id, name, trigger, &bindings).map(Read::Http);
    }
    let (entry, read) = read_trigger(name, trigger, &bindings)?;
    let companions = companions(name, &bindings, trigger)?;
    Ok(Read::Mcp(Function {
        id: reported.function_id.clone(),
        name: name.clone(),
        binding: trigger.name().to_owned(),
        is_binary: trigger.text("dataType").is_some_and(|kind| kind.eq_ignore_ascii_case("binary")),
        trigger: read,
        companions,
        entry,
        unloaded,
    }))
}

impl Function {
    /// The key by which calls find the function.
    pub(super) fn key(&self) -> (Kind, &str) {
        (self.entry.kind(), self.entry.key())
    }
}

/// FunctionRpc: `^[A-Za-z][A-Za-z0-9_-]{0,127}$`, and not `host`. Synthetic functions of .NET apps fit too.
fn is_function_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.len() <= 128
        && name.bytes().all(inside)
        && !name.eq_ignore_ascii_case("host")
}

/// The companions of the trigger. Any other binding is not supported.
fn companions(function: &str, bindings: &[Binding], trigger: &Binding) -> Result<Vec<Companion>, Refused> {
    let of = |binding: &Binding| {
        let of_prompt = binding.is("mcpPromptArgument") && trigger.is("mcpPromptTrigger");
        let of_tool = binding.is("mcpToolProperty") && trigger.is("mcpToolTrigger");
        if !of_prompt && !of_tool {
            return Err(Refused::Unsupported(format!(
                "function {function}: the binding {} of type {} is not supported",
                binding.name(),
                binding.kind()
            )));
        }
        let key = if of_prompt { "argumentName" } else { "propertyName" };
        let argument = binding.text(key).unwrap_or_else(|| binding.name()).to_owned();
        let is_required = binding.is_true("isRequired");
        Ok(Companion { name: binding.name().to_owned(), argument, of_prompt, is_required })
    };
    bindings.iter().filter(|binding| !core::ptr::eq(*binding, trigger)).map(of).collect()
}

fn read_trigger(function: &str, trigger: &Binding, bindings: &[Binding]) -> Result<(Entry, Trigger), Refused> {
    let invalid = |what: String| Refused::Invalid(format!("function {function}: {what}"));
    let read = if trigger.is("mcpToolTrigger") {
        tool(trigger, bindings)
    } else if trigger.is("mcpResourceTrigger") {
        resource(trigger)
    } else if trigger.is("mcpPromptTrigger") {
        prompt(trigger, bindings)
    } else {
        return Err(Refused::Unsupported(format!(
            "function {function}: the trigger {} is not supported; mcpToolTrigger, mcpResourceTrigger, mcpPromptTrigger and httpTrigger are",
            trigger.kind()
        )));
    };
    read.map_err(invalid)
}

fn tool(trigger: &Binding, bindings: &[Binding]) -> Result<(Entry, Trigger), String> {
    let name = trigger.text("toolName").filter(|name| !name.is_empty()).ok_or("toolName is missing")?;
    if !attache_core::tool::is_tool_name(name) {
        return Err(format!("toolName {name:?} must have 1 to 128 characters of A-Z a-z 0-9 _ - ."));
    }
    let schema = match trigger.json("inputSchema")? {
        Some(schema) if trigger.is_true("useWorkerInputSchema") => schema.to_string(),
        _ => schema::of_properties(&properties(trigger, bindings)?),
    };
    let parsed: Value = serde_json::from_str(&schema).map_err(|error| format!("inputSchema: {error}"))?;
    if parsed["type"] != "object" {
        return Err("inputSchema must have the type object".to_owned());
    }
    let rules = Rules::compile(name, &schema::without_required(&parsed), false)
        .map_err(|error| format!("inputSchema cannot be used: {error}"))?;
    let mut members = vec![("name", Value::from(name).to_string())];
    members.extend(text_member(trigger, "description", "description"));
    members.push(("inputSchema", schema));
    if let Some(output) = trigger.json("outputSchema")? {
        if output["type"] != "object" {
            return Err("outputSchema must have the type object".to_owned());
        }
        members.push(("outputSchema", output.to_string()));
    }
    members.extend(meta(trigger)?);
    let entry = Entry::read(Kind::Tool, &schema::object(&members)).map_err(|error| error.to_string())?;
    let required = schema::required(&parsed);
    Ok((entry, Trigger::Tool { envelope: trigger.is_true("useResultSchema"), required, rules }))
}

/// The arguments of a tool: `toolProperties`, or the companions if there are none.
fn properties(trigger: &Binding, bindings: &[Binding]) -> Result<Vec<Property>, String> {
    if let Some(listed) = trigger.json("toolProperties")? {
        return schema::properties(&listed);
    }
    let companions = bindings.iter().filter(|binding| binding.is("mcpToolProperty"));
    companions.map(|binding| schema::property(&binding.0)).collect()
}

fn resource(trigger: &Binding) -> Result<(Entry, Trigger), String> {
    let uri = trigger.text("uri").filter(|uri| !uri.is_empty()).ok_or("uri is missing")?;
    let is_template = schema::is_template(uri)?;
    let kind = if is_template { Kind::Template } else { Kind::Resource };
    let name = trigger.text("resourceName").filter(|name| !name.is_empty()).unwrap_or(uri);
    let key = if is_template { "uriTemplate" } else { "uri" };
    let mut members = vec![(key, Value::from(uri).to_string()), ("name", Value::from(name).to_string())];
    for key in ["title", "description", "mimeType"] {
        members.extend(text_member(trigger, key, key));
    }
    // MCP schema: a template has no size.
    if let Some(size) = trigger.0.get("size").and_then(Value::as_u64).filter(|_| !is_template) {
        members.push(("size", size.to_string()));
    }
    members.extend(meta(trigger)?);
    let entry = Entry::read(kind, &schema::object(&members)).map_err(|error| error.to_string())?;
    Ok((entry, Trigger::Resource { mime_type: trigger.text("mimeType").map(str::to_owned) }))
}

fn prompt(trigger: &Binding, bindings: &[Binding]) -> Result<(Entry, Trigger), String> {
    let name = trigger.text("promptName").filter(|name| !name.is_empty()).ok_or("promptName is missing")?;
    let listed = match trigger.json("promptArguments")? {
        Some(listed) => schema::prompt_arguments(&listed)?,
        None => bindings.iter().filter(|binding| binding.is("mcpPromptArgument")).map(companion_argument).collect(),
    };
    let mut members = vec![("name", Value::from(name).to_string())];
    for key in ["title", "description"] {
        members.extend(text_member(trigger, key, key));
    }
    let printed: Vec<String> = listed.iter().map(|(printed, _)| printed.clone()).collect();
    members.push(("arguments", format!("[{}]", printed.join(","))));
    members.extend(trigger.json("icons")?.map(|icons| ("icons", icons.to_string())));
    members.extend(meta(trigger)?);
    let entry = Entry::read(Kind::Prompt, &schema::object(&members)).map_err(|error| error.to_string())?;
    let required = listed.into_iter().filter_map(|(_, required)| required).collect();
    Ok((entry, Trigger::Prompt { envelope: trigger.is_true("useResultSchema"), required }))
}

fn companion_argument(binding: &Binding) -> (String, Option<String>) {
    let name = binding.text("argumentName").unwrap_or_else(|| binding.name());
    schema::prompt_argument(name, binding.text("description"), binding.is_true("isRequired"))
}

fn text_member(trigger: &Binding, key: &str, name: &'static str) -> Option<(&'static str, String)> {
    let text = trigger.text(key).filter(|text| !text.is_empty())?;
    Some((name, Value::from(text).to_string()))
}

/// `metadata`, which becomes `_meta`.
fn meta(trigger: &Binding) -> Result<Option<(&'static str, String)>, String> {
    match trigger.json("metadata")? {
        None => Ok(None),
        Some(Value::Object(meta)) => Ok(Some(("_meta", Value::Object(meta).to_string()))),
        Some(_) => Err("metadata must be a JSON object".to_owned()),
    }
}

/// The functions that a worker has reported.
#[derive(Default)]
pub(super) struct Functions {
    pub(super) mcp: Vec<Function>,
    pub(super) http: Vec<HttpFunction>,
    /// Those that are not offered.
    pub(super) refused: Vec<Refused>,
}

/// Reads all functions that a worker has reported.
pub(super) fn read_all(reported: super::start::Reported) -> Functions {
    let mut functions = Functions::default();
    for (metadata, unloaded) in reported {
        match read(&metadata, unloaded) {
            Ok(Read::Mcp(function)) => functions.mcp.push(function),
            Ok(Read::Http(function)) => functions.http.push(function),
            Err(reason) => functions.refused.push(reason),
        }
    }
    let taken = taken(&functions.mcp).into_iter().map(Refused::Invalid);
    functions.refused.extend(taken);
    functions
}

/// Two functions that clients cannot tell apart: tools with names that are equal ignoring case, and templates that
/// differ in the names of their parameters only.
fn taken(functions: &[Function]) -> Vec<String> {
    let mut known: HashMap<(u8, String), &str> = HashMap::new();
    let mut found = Vec::new();
    for function in functions {
        let (kind, key) = function.key();
        let same = match kind {
            Kind::Tool | Kind::Prompt | Kind::Resource => key.to_lowercase(),
            Kind::Template => schema::structure(key),
        };
        if let Some(first) = known.insert((kind as u8, same), &function.name) {
            let what = match kind {
                Kind::Tool => "toolName",
                Kind::Prompt => "promptName",
                Kind::Resource | Kind::Template => "uri",
            };
            found.push(format!("functions {first} and {}: both have the {what} {key:?}", function.name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reported(name: &str, bindings: &[Value]) -> (RpcFunctionMetadata, Option<String>) {
        let raw_bindings = bindings.iter().map(Value::to_string).collect();
        (RpcFunctionMetadata { name: name.to_owned(), raw_bindings, ..RpcFunctionMetadata::default() }, None)
    }

    fn trigger(kind: &str, keys: &Value) -> Value {
        let mut binding = json!({"type": kind, "name": "context", "direction": "IN"});
        binding.as_object_mut().expect("an object").extend(keys.as_object().expect("an object").clone());
        binding
    }

    /// Lists the faults of functions. Each says whether the app is refused, and why.
    fn faults(functions: Vec<(RpcFunctionMetadata, Option<String>)>) -> Vec<(bool, String)> {
        let told = |refused| match refused {
            Refused::Invalid(what) => (true, what),
            Refused::Unsupported(what) => (false, what),
        };
        read_all(functions).refused.into_iter().map(told).collect()
    }

    #[test]
    fn triggers_are_read_with_their_companions() {
        let tool =
            trigger("McpToolTrigger", &json!({"toolName": "t", "useResultSchema": "true", "dataType": "Binary"}));
        let property = json!({"type": "mcpToolProperty", "name": "days", "direction": "in", "propertyName": "d", "isRequired": true});
        let prompt = trigger("mcpPromptTrigger", &json!({"promptName": "p", "icons": "[]"}));
        let argument = json!({"type": "mcpPromptArgument", "name": "code", "direction": "in", "argumentName": "c", "isRequired": true});
        let resource = trigger("mcpResourceTrigger", &json!({"uri": "log://{day}", "size": 7, "metadata": {"a": 1}}));
        let functions =
            vec![reported("T", &[tool, property]), reported("P", &[prompt, argument]), reported("R", &[resource])];
        let Functions { mcp, refused, .. } = read_all(functions);
        assert!(refused.is_empty());
        let [tool, prompt, resource] = mcp.as_slice() else { panic!("{} functions", mcp.len()) };
        assert!(tool.is_binary);
        // Without toolProperties, the companions are the arguments.
        assert!(matches!(&tool.trigger, Trigger::Tool { envelope: true, required, .. } if required == &["d"]));
        let companion = tool.companions.first().expect("one");
        assert_eq!((companion.name.as_str(), companion.argument.as_str()), ("days", "d"));
        assert!(matches!(&prompt.trigger, Trigger::Prompt { envelope: false, required } if required == &["c"]));
        assert_eq!(resource.key(), (Kind::Template, "log://{day}"));
    }

    #[test]
    fn function_that_is_wrong_is_named_with_its_key() {
        let tool = |keys: Value| trigger("mcpToolTrigger", &keys);
        for (name, bindings, is_fatal, word) in [
            ("9lives", vec![tool(json!({"toolName": "t"}))], true, "letter"),
            ("host", vec![tool(json!({"toolName": "t"}))], true, "letter"),
            ("F", vec![], true, "no trigger"),
            ("F", vec![json!({"type": "mcpToolTrigger"})], true, "no name"),
            ("F", vec![tool(json!({})), trigger("timerTrigger", &json!({"name": "x"}))], true, "more than one trigger"),
            ("F", vec![tool(json!({})), tool(json!({}))], true, "two bindings"),
            ("F", vec![tool(json!({}))], true, "toolName"),
            ("F", vec![tool(json!({"toolName": "a b"}))], true, "toolName"),
            ("F", vec![tool(json!({"toolName": "t", "toolProperties": "{"}))], true, "toolProperties"),
            ("F", vec![tool(json!({"toolName": "t", "metadata": "[]"}))], true, "metadata"),
            ("F", vec![tool(json!({"toolName": "t", "outputSchema": "{\"type\":\"string\"}"}))], true, "outputSchema"),
            (
                "F",
                vec![tool(
                    json!({"toolName": "t", "useWorkerInputSchema": true, "inputSchema": "{\"type\":\"array\"}"}),
                )],
                true,
                "inputSchema",
            ),
            (
                "F",
                vec![tool(json!({"toolName": "t", "useWorkerInputSchema": true,
                    "inputSchema": "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"blob\"}}}"}))],
                true,
                "inputSchema",
            ),
            ("F", vec![trigger("mcpResourceTrigger", &json!({"uri": "a://{x}{y}"}))], true, "uri"),
            (
                "F",
                vec![trigger("mcpPromptTrigger", &json!({"promptName": "p", "promptArguments": "[{}]"}))],
                true,
                "promptArguments",
            ),
            ("F", vec![trigger("httpTrigger", &json!({"authLevel": "owner"}))], true, "authLevel"),
            ("F", vec![trigger("timerTrigger", &json!({}))], false, "timerTrigger"),
            (
                "F",
                vec![tool(json!({"toolName": "t"})), json!({"type": "queue", "name": "q", "direction": "out"})],
                false,
                "queue",
            ),
        ] {
            let told = faults(vec![reported(name, &bindings)]);
            let [(fatal, what)] = told.as_slice() else { panic!("{bindings:?}: {told:?}") };
            assert_eq!(*fatal, is_fatal, "{what}");
            assert!(what.starts_with(&format!("function {name}: ")) && what.contains(word), "{bindings:?}: {what}");
        }
    }

    #[test]
    fn functions_that_clients_cannot_tell_apart_are_named() {
        let tool = |name: &str| trigger("mcpToolTrigger", &json!({"toolName": name}));
        let resource = |uri: &str| trigger("mcpResourceTrigger", &json!({"uri": uri}));
        for (first, second, is_fault) in [
            (tool("a"), tool("A"), true),
            (tool("a"), tool("b"), false),
            (resource("log://{day}"), resource("log://{tag}"), true),
            (resource("log://{day}"), resource("log://day"), false),
        ] {
            let told = faults(vec![reported("One", core::slice::from_ref(&first)), reported("Two", &[second])]);
            assert_eq!(told.len(), usize::from(is_fault), "{first}");
            assert!(
                told.iter().all(|(fatal, what)| *fatal && what.contains("One") && what.contains("Two")),
                "{told:?}"
            );
        }
    }
}
