//! The data that a worker receives with a call: the context of the trigger, and the values of
//! companion bindings.

use super::function::{Companion, Function, Trigger};
use super::headers::OfRequest;
use super::messages::{Data, InvocationRequest, ParameterBinding, RpcTraceContext, TypedData};
use super::schema::object;
use super::start::fresh_id;
use crate::backend::{Call, Kind};
use attache_core::tool::template;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// The arguments of a call, by name, as the client wrote them.
type Arguments<'a> = BTreeMap<String, &'a RawValue>;

/// Why a call is refused before the worker is asked.
pub(super) enum Unfit {
    /// An error of the protocol, -32602.
    Missing(String),
    /// The failure of a tool, which a model can correct.
    Invalid(String),
}

/// Makes the request of a call, after its arguments were checked.
pub(super) fn request(
    function: &Function,
    call: &Call,
    origin: Option<&OfRequest>,
) -> Result<InvocationRequest, Unfit> {
    let arguments: Arguments<'_> = serde_json::from_str(call.arguments())
        .map_err(|error| Unfit::Missing(format!("The arguments are not an object: {error}")))?;
    check(function, &arguments)?;
    let context = context(call, origin);
    let data = match function.is_binary {
        true => Data::Bytes(Bytes::from(context)),
        false => Data::String(context),
    };
    let mut input_data = vec![parameter(&function.binding, Some(data.clone()))];
    for companion in &function.companions {
        input_data.push(companion_value(companion, &arguments)?);
    }
    // FunctionRpc: the MCP package of .NET reads the context from the metadata of the trigger only.
    let mut trigger_metadata = HashMap::from([(function.binding.clone(), TypedData::from(data))]);
    trigger_metadata.extend(metadata(function, call, &arguments));
    let trace_context = call
        .trace()
        .map(|trace| RpcTraceContext { trace_parent: trace.parent, trace_state: trace.state.unwrap_or_default() });
    Ok(InvocationRequest {
        invocation_id: fresh_id(),
        function_id: function.id.clone(),
        input_data,
        trigger_metadata,
        trace_context,
    })
}

/// Checks the arguments against the schema of the function.
fn check(function: &Function, arguments: &Arguments<'_>) -> Result<(), Unfit> {
    let (kind, required, rules) = match &function.trigger {
        Trigger::Tool { required, rules, .. } => ("tool", required, Some(rules)),
        Trigger::Prompt { required, .. } => ("prompt", required, None),
        Trigger::Resource { .. } => return Ok(()),
    };
    let is_null = |value: &RawValue| value.get() == "null";
    let is_missing = |name: &&String| arguments.get(*name).is_none_or(|value| is_null(value));
    let missing: Vec<&str> = required.iter().filter(is_missing).map(String::as_str).collect();
    if !missing.is_empty() {
        let name = function.entry.key();
        return Err(Unfit::Missing(format!("The {kind} {name:?} needs the arguments: {}", missing.join(", "))));
    }
    // Clients write null for an argument that they leave out.
    let given: BTreeMap<_, _> = arguments.iter().filter(|(_, value)| !is_null(value)).collect();
    match (rules, serde_json::to_vec(&given)) {
        (Some(rules), Ok(given)) => rules.check(&given).map_err(Unfit::Invalid),
        _ => Ok(()),
    }
}

/// The context of the trigger, as JSON.
fn context(call: &Call, origin: Option<&OfRequest>) -> String {
    let mut members = Vec::new();
    match call.uri() {
        Some(uri) => members.push(("uri", Value::from(uri).to_string())),
        None => {
            members.extend([("name", Value::from(call.name()).to_string()), ("arguments", call.arguments().to_owned())])
        }
    }
    members.extend(session(call).map(|session| ("sessionid", Value::from(session).to_string())));
    members.extend(call.client_info().map(|info| ("clientinfo", info.to_string())));
    members.push(("transport", transport(origin)));
    object(&members)
}

/// The session of the client. Clients of revision 2026-07-28 have none.
fn session(call: &Call) -> Option<String> {
    Some(call.session()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The transport of the request: its name, and the header fields that an app may see.
fn transport(origin: Option<&OfRequest>) -> String {
    let Some(OfRequest { headers, transport }) = origin else { return r#"{"name":"unknown"}"#.to_owned() };
    let mut fields = Map::new();
    for name in headers.keys().filter(|name| !SECRET.contains(&name.as_str())) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        fields.insert(canonical(name.as_str()), values.join(",").into());
    }
    let properties = object(&[("headers", Value::from(fields).to_string())]);
    let mut members = vec![("name", Value::from(*transport).to_string())];
    if let Some(session) = headers.get("mcp-session-id").and_then(|id| id.to_str().ok()) {
        members.push(("sessionId", Value::from(session).to_string()));
    }
    members.push(("properties", properties));
    object(&members)
}

/// Header fields that an app never sees: the credentials of the caller for this server.
const SECRET: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-functions-key"];

/// The name of a header field as the platform writes it: `User-Agent`, `X-Forwarded-For`.
fn canonical(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// The further metadata of the trigger, as the platform sends it.
fn metadata(function: &Function, call: &Call, arguments: &Arguments<'_>) -> Vec<(String, TypedData)> {
    let texts = || {
        let texts: Map<String, Value> =
            arguments.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
        Data::Json(Value::from(texts).to_string())
    };
    let mut entries = match function.key().0 {
        Kind::Tool => vec![("mcptoolargs".to_owned(), texts())],
        Kind::Prompt => vec![("mcppromptargs".to_owned(), texts())],
        Kind::Resource | Kind::Template => {
            let uri = call.uri().unwrap_or_default();
            let mut entries = vec![("mcpresourceuri".to_owned(), Data::String(uri.to_owned()))];
            entries.extend(variables(call.name(), uri).into_iter().map(|(name, value)| (name, Data::String(value))));
            entries
        }
    };
    entries.extend(session(call).map(|session| ("mcpsessionid".to_owned(), Data::String(session))));
    entries.into_iter().map(|(name, data)| (name, data.into())).collect()
}

/// The parameters of a template, as the URI has them.
fn variables(pattern: &str, uri: &str) -> Vec<(String, String)> {
    let quoted = Value::from(uri).to_string();
    let Some(text) = attache_core::json::Value::parse(quoted.as_bytes()).ok().and_then(|value| value.text()) else {
        return Vec::new();
    };
    let owned = |name: &str| {
        let value = template::variable(pattern, text, name)?;
        Some((name.to_owned(), value.chars().collect()))
    };
    template::names(pattern).filter_map(owned).collect()
}

fn parameter(name: &str, data: Option<Data>) -> ParameterBinding {
    ParameterBinding { name: name.to_owned(), data: Some(TypedData { data }) }
}

fn companion_value(companion: &Companion, arguments: &Arguments<'_>) -> Result<ParameterBinding, Unfit> {
    let value = arguments.get(&companion.argument).filter(|value| value.get() != "null");
    let data = match value {
        Some(value) => Some(Data::String(text(value))),
        None if companion.of_prompt && companion.is_required => {
            return Err(Unfit::Missing(format!("The prompt needs the arguments: {}", companion.argument)));
        }
        None if companion.of_prompt => None,
        None => Some(Data::String(String::new())),
    };
    Ok(parameter(&companion.name, data))
}

/// An argument as text: strings bare, `True` and `False`, everything else as JSON.
fn text(value: &RawValue) -> String {
    match value.get() {
        "true" => "True".to_owned(),
        "false" => "False".to_owned(),
        "null" => String::new(),
        json => serde_json::from_str(json).unwrap_or_else(|_| json.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(companion: &Companion, arguments: &str) -> Option<Option<String>> {
        let arguments: Arguments<'_> = serde_json::from_str(arguments).expect("JSON");
        let sent = companion_value(companion, &arguments).ok()?;
        Some(sent.data?.data.map(|data| match data {
            Data::String(text) => text,
            other => panic!("{other:?}"),
        }))
    }

    #[test]
    fn companion_gets_its_argument_as_text() {
        let of = |of_prompt, is_required| Companion { name: "n".into(), argument: "a".into(), of_prompt, is_required };
        let text = |text: &str| Some(Some(text.to_owned()));
        for (arguments, expected) in [
            (r#"{"a": "x\"y"}"#, text("x\"y")),
            (r#"{"a": 1.50}"#, text("1.50")),
            (r#"{"a": true}"#, text("True")),
            (r#"{"a": false}"#, text("False")),
            (r#"{"a": {"b": [1]}}"#, text(r#"{"b": [1]}"#)),
            (r#"{"a": null}"#, text("")),
            ("{}", text("")),
        ] {
            assert_eq!(sent(&of(false, true), arguments), expected, "{arguments}");
        }
        assert_eq!(sent(&of(true, false), "{}"), Some(None), "a missing argument of a prompt is null");
        assert_eq!(sent(&of(true, true), "{}"), None, "a required one is an error");
    }

    #[test]
    fn header_fields_are_written_as_on_the_platform_and_without_credentials() {
        let mut headers = http::HeaderMap::new();
        for (name, value) in
            [("user-agent", "a"), ("x-ms-y", "1"), ("x-ms-y", "2"), ("authorization", "s"), ("cookie", "s")]
        {
            headers.append(name, value.parse().expect("a value"));
        }
        let transport: Value =
            serde_json::from_str(&transport(Some(&OfRequest { headers, transport: "http-streamable" }))).expect("JSON");
        let expected = serde_json::json!({"User-Agent": "a", "X-Ms-Y": "1,2"});
        assert_eq!(transport["properties"]["headers"], expected);
    }

    #[test]
    fn parameters_of_a_template_are_taken_from_the_uri() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(variables("log://{day}/{level}", "log://monday/7"), [pair("day", "monday"), pair("level", "7")]);
        assert_eq!(variables("log://day", "log://day"), []);
    }
}
