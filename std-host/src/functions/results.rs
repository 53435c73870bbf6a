//! The values that functions return, as results of MCP.

use super::function::{Function, Trigger};
use super::messages::{Data, TypedData};
use super::schema::object;
use crate::backend::{Answer, Call};
use serde_json::Value;
use serde_json::value::RawValue;

/// Makes the answer of a call from the value that its function has returned.
///
/// # Errors
/// Why the value is not a result of its kind.
pub(super) fn answer(function: &Function, call: &Call, returned: Option<TypedData>) -> Result<Answer, String> {
    let data = returned.and_then(|returned| returned.data);
    let result = match &function.trigger {
        Trigger::Tool { envelope: false, .. } => tool(data)?,
        Trigger::Tool { envelope: true, .. } => tool_in_envelope(&function.name, data)?,
        Trigger::Resource { mime_type } => resource(call.uri().unwrap_or_default(), mime_type.as_deref(), data)?,
        Trigger::Prompt { envelope: false, .. } => prompt(data)?,
        Trigger::Prompt { envelope: true, .. } => prompt_in_envelope(data)?,
    };
    RawValue::from_string(result).map(Answer::Result).map_err(|error| error.to_string())
}

/// The envelope of a result. `content` and `structuredContent` are JSON in a string.
struct Envelope {
    kind: String,
    content: String,
    structured_content: Option<String>,
}

impl Envelope {
    /// Reads an envelope, the names of which may have any case.
    fn read(text: &str) -> Result<Self, String> {
        let mut members: serde_json::Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| format!("the result is not an envelope of type and content: {error}"))?;
        let mut take = |name: &str| {
            let key = members.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
            match members.remove(&key) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            }
        };
        let kind = take("type").ok_or("the envelope of the result has no type")?.to_ascii_lowercase();
        Ok(Self { kind, content: take("content").unwrap_or_default(), structured_content: take("structuredContent") })
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn text_block(text: &str) -> String {
    object(&[("type", quoted("text")), ("text", quoted(text))])
}

/// A value as text. A list becomes a JSON array, with bytes in base64.
pub(super) fn text(data: Data) -> Result<String, String> {
    let printed = |list: serde_json::Result<String>| list.map_err(|error| error.to_string());
    match data {
        Data::String(text) | Data::Json(text) => Ok(text),
        Data::Int(number) => Ok(number.to_string()),
        Data::Double(number) => Ok(number.to_string()),
        Data::Bytes(bytes) | Data::Stream(bytes) => {
            String::from_utf8(bytes.into()).map_err(|_| "the function has returned bytes that are not text".to_owned())
        }
        Data::ListOfStrings(list) => printed(serde_json::to_string(&list.items)),
        Data::ListOfDoubles(list) => printed(serde_json::to_string(&list.items)),
        Data::ListOfInts(list) => printed(serde_json::to_string(&list.items)),
        Data::ListOfBytes(list) => {
            let items = list.items.iter().map(|item| base64(item)).collect::<Result<Vec<_>, _>>()?;
            printed(serde_json::to_string(&items))
        }
        Data::Http(_) => Err("the function has returned an HTTP response".to_owned()),
    }
}

fn tool(data: Option<Data>) -> Result<String, String> {
    let blocks = match data {
        None => String::new(),
        Some(data) => text_block(&text(data)?),
    };
    Ok(format!(r#"{{"content":[{blocks}]}}"#))
}

fn tool_in_envelope(function: &str, data: Option<Data>) -> Result<String, String> {
    let Some(data) = data else { return tool(None) };
    let text = text(data)?;
    // Python: a function that returns None sends an empty string.
    if text.is_empty() {
        return tool(None);
    }
    let Envelope { kind, content, structured_content } = Envelope::read(&text)?;
    let blocks = match kind.as_str() {
        // azure.md A.9: the content of a text may be the text itself.
        "text" if !content.trim_start().starts_with('{') => format!("[{}]", text_block(&content)),
        "text" | "image" | "audio" | "resource" | "resource_link" => format!("[{}]", block(&content)?),
        "multi_content_result" => blocks(&content)?,
        // The result is complete. The outer structured content is not looked at.
        "call_tool_result" => return whole(&content, "content"),
        other => return Err(format!("the result has the unknown type {other:?}")),
    };
    let mut members = vec![("content", blocks)];
    if let Some(structured) = structured_content.filter(|text| !text.is_empty() && text != "null") {
        match serde_json::from_str::<&RawValue>(&structured) {
            Ok(structured) => members.push(("structuredContent", structured.get().to_owned())),
            // Python: `use_result_schema` with a plain string puts the bare text there.
            Err(_) => tracing::warn!(function, "structuredContent is not JSON and was left out"),
        }
    }
    Ok(object(&members))
}

/// Checks one content block.
fn block(json: &str) -> Result<&str, String> {
    let block: Value = serde_json::from_str(json).map_err(|error| format!("a content block is not JSON: {error}"))?;
    match block["type"].as_str() {
        Some(_) => Ok(json),
        None => Err("a content block has no type".to_owned()),
    }
}

fn blocks(json: &str) -> Result<String, String> {
    let blocks: Vec<&RawValue> =
        serde_json::from_str(json).map_err(|error| format!("the content is not an array of blocks: {error}"))?;
    if blocks.is_empty() {
        return Err("the result has no content block".to_owned());
    }
    let blocks = blocks.iter().map(|one| block(one.get())).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("[{}]", blocks.join(",")))
}

/// Checks a whole result, which must have this member.
fn whole(json: &str, member: &str) -> Result<String, String> {
    let result: Value = serde_json::from_str(json).map_err(|error| format!("the result is not JSON: {error}"))?;
    match result.get(member) {
        Some(Value::Array(_)) => Ok(json.to_owned()),
        _ => Err(format!("the result has no array {member}")),
    }
}

fn resource(uri: &str, mime_type: Option<&str>, data: Option<Data>) -> Result<String, String> {
    let contents = match data {
        None => String::new(),
        Some(Data::Bytes(bytes) | Data::Stream(bytes)) => {
            let blob = base64(&bytes)?;
            contents(uri, mime_type, ("blob", quoted(&blob)))
        }
        Some(data) => {
            let text = text(data)?;
            match in_envelope(uri, mime_type, &text) {
                Some(contents) => contents,
                None => contents(uri, mime_type, ("text", quoted(&text))),
            }
        }
    };
    Ok(format!(r#"{{"contents":[{contents}]}}"#))
}

fn base64(bytes: &[u8]) -> Result<String, String> {
    let mut encoded = crate::sink::Growing::unlimited();
    let full = || "there is no memory for the resource".to_owned();
    attache_core::json::encode_base64(bytes, &mut encoded).map_err(|_| full())?;
    String::from_utf8(encoded.bytes).map_err(|_| full())
}

fn contents(uri: &str, mime_type: Option<&str>, content: (&'static str, String)) -> String {
    let mut members = vec![("uri", quoted(uri))];
    members.extend(mime_type.map(|kind| ("mimeType", quoted(kind))));
    members.push(content);
    object(&members)
}

/// Reads contents that the function has written itself. An empty `uri` and `mimeType` are filled in.
fn in_envelope(uri: &str, mime_type: Option<&str>, text: &str) -> Option<String> {
    let envelope: serde_json::Map<String, Value> = serde_json::from_str(text).ok()?;
    let content = envelope.iter().find(|(name, _)| name.eq_ignore_ascii_case("content"))?.1.as_str()?;
    let mut contents: serde_json::Map<String, Value> = serde_json::from_str(content).ok()?;
    if !["text", "blob"].iter().any(|key| contents.get(*key).is_some_and(Value::is_string)) {
        return None;
    }
    let is_empty = |value: Option<&Value>| value.and_then(Value::as_str).is_none_or(str::is_empty);
    if is_empty(contents.get("uri")) {
        contents.insert("uri".to_owned(), uri.into());
    }
    if is_empty(contents.get("mimeType")) {
        contents.remove("mimeType");
        contents.extend(mime_type.map(|kind| ("mimeType".to_owned(), kind.into())));
    }
    Some(Value::Object(contents).to_string())
}

fn prompt(data: Option<Data>) -> Result<String, String> {
    let messages = match data.map(text).transpose()? {
        None => String::new(),
        Some(text) => object(&[("role", quoted("user")), ("content", text_block(&text))]),
    };
    Ok(format!(r#"{{"messages":[{messages}]}}"#))
}

fn prompt_in_envelope(data: Option<Data>) -> Result<String, String> {
    let Some(data) = data else { return prompt(None) };
    let text = text(data)?;
    let Envelope { kind, content, .. } = Envelope::read(&text)?;
    match kind.as_str() {
        "get_prompt_result" => whole(&content, "messages"),
        "prompt_messages" => {
            let messages: Vec<&RawValue> =
                serde_json::from_str(&content).map_err(|error| format!("the messages are not an array: {error}"))?;
            let messages: Vec<&str> = messages.iter().map(|message| message.get()).collect();
            Ok(format!(r#"{{"messages":[{}]}}"#, messages.join(",")))
        }
        other => Err(format!("the result has the unknown type {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::messages::{ListOfBytes, ListOfDoubles, ListOfInts, ListOfStrings};
    use serde_json::json;

    fn string(text: impl ToString) -> Option<Data> {
        Some(Data::String(text.to_string()))
    }

    fn envelope(kind: &str, content: Value, structured: Option<Value>) -> Option<Data> {
        let structured = structured.map(|value| value.to_string());
        string(json!({"type": kind, "content": content.to_string(), "structuredContent": structured}))
    }

    fn parsed(result: Result<String, String>) -> Value {
        serde_json::from_str(&result.expect("a result")).expect("JSON")
    }

    #[test]
    fn value_of_a_tool_without_an_envelope_is_one_text() {
        for (data, expected) in [
            (None, json!([])),
            (string("hey"), json!([{"type": "text", "text": "hey"}])),
            (string(""), json!([{"type": "text", "text": ""}])),
            (Some(Data::Json(r#"{"a":1}"#.to_owned())), json!([{"type": "text", "text": r#"{"a":1}"#}])),
            (Some(Data::Int(-7)), json!([{"type": "text", "text": "-7"}])),
            (Some(Data::Double(1.5)), json!([{"type": "text", "text": "1.5"}])),
            (Some(Data::Bytes("ä".into())), json!([{"type": "text", "text": "ä"}])),
            (Some(Data::Stream("ä".into())), json!([{"type": "text", "text": "ä"}])),
            (
                Some(Data::ListOfStrings(ListOfStrings { items: vec!["a".into(), "\"".into()] })),
                json!([{"type": "text", "text": r#"["a","\""]"#}]),
            ),
            (
                Some(Data::ListOfDoubles(ListOfDoubles { items: vec![1.5, 2.0] })),
                json!([{"type": "text", "text": "[1.5,2.0]"}]),
            ),
            (Some(Data::ListOfInts(ListOfInts { items: vec![-1, 2] })), json!([{"type": "text", "text": "[-1,2]"}])),
            (
                Some(Data::ListOfBytes(ListOfBytes { items: vec![vec![1, 2, 3].into()] })),
                json!([{"type": "text", "text": r#"["AQID"]"#}]),
            ),
        ] {
            assert_eq!(parsed(tool(data.clone())), json!({ "content": expected }), "{data:?}");
        }
        assert!(tool(Some(Data::Bytes(vec![0xFF].into()))).is_err());
    }

    #[test]
    fn envelope_of_a_tool_is_unpacked_by_its_type() {
        let text = json!({"type": "text", "text": "hey"});
        let image = json!({"type": "image", "data": "AA==", "mimeType": "image/png"});
        let audio = json!({"type": "audio", "data": "AA==", "mimeType": "audio/wav"});
        let resource = json!({"type": "resource", "resource": {"uri": "a://b", "text": "t"}});
        let link = json!({"type": "resource_link", "uri": "a://b", "name": "b"});
        let whole = json!({"content": [], "isError": true, "_meta": {"a": 1}});
        for (data, expected) in [
            (None, json!({"content": []})),
            (string(""), json!({"content": []})),
            (envelope("text", text.clone(), None), json!({"content": [text]})),
            (string(json!({"type": "text", "content": "hey"})), json!({"content": [text]})),
            (envelope("IMAGE", image.clone(), None), json!({"content": [image]})),
            (envelope("audio", audio.clone(), None), json!({"content": [audio]})),
            (envelope("resource", resource.clone(), None), json!({"content": [resource]})),
            (envelope("resource_link", link.clone(), None), json!({"content": [link]})),
            (envelope("multi_content_result", json!([text, image]), None), json!({"content": [text, image]})),
            (
                envelope("text", text.clone(), Some(json!({"n": 1}))),
                json!({"content": [text], "structuredContent": {"n": 1}}),
            ),
            (envelope("text", text.clone(), Some(Value::Null)), json!({"content": [text]})),
            (envelope("call_tool_result", whole.clone(), Some(json!({"n": 1}))), whole),
            (
                string(json!({"Type": "text", "Content": text.to_string(), "StructuredContent": "[1]"})),
                json!({"content": [text], "structuredContent": [1]}),
            ),
            (
                string(json!({"type": "text", "content": text.to_string(), "structuredContent": "bare"})),
                json!({"content": [text]}),
            ),
        ] {
            assert_eq!(parsed(tool_in_envelope("f", data.clone())), expected, "{data:?}");
        }
    }

    #[test]
    fn envelope_that_is_broken_is_an_error_with_its_reason() {
        for (data, word) in [
            (string("hey"), "envelope"),
            (string(json!({"content": "{}"})), "type"),
            (envelope("video", json!({}), None), "video"),
            (envelope("text", json!({"text": "hey"}), None), "no type"),
            (envelope("multi_content_result", json!([]), None), "no content block"),
            (envelope("multi_content_result", json!({}), None), "array"),
            (envelope("call_tool_result", json!({}), None), "content"),
        ] {
            let error = tool_in_envelope("f", data.clone()).expect_err("a fault");
            assert!(error.contains(word), "{data:?}: {error}");
        }
    }

    #[test]
    fn value_of_a_resource_is_text_or_blob_or_its_own_contents() {
        let own = |content: Value| string(json!({"content": content.to_string()}));
        for (data, expected) in [
            (None, json!([])),
            (string("hey"), json!([{"uri": "a://b", "mimeType": "x/y", "text": "hey"}])),
            (Some(Data::Bytes(vec![1, 2, 3].into())), json!([{"uri": "a://b", "mimeType": "x/y", "blob": "AQID"}])),
            (Some(Data::Json("[1]".to_owned())), json!([{"uri": "a://b", "mimeType": "x/y", "text": "[1]"}])),
            (
                string(r#"{"content":"plain"}"#),
                json!([{"uri": "a://b", "mimeType": "x/y", "text": r#"{"content":"plain"}"#}]),
            ),
            (
                own(json!({"uri": "", "text": "t", "_meta": {"ui": {}}})),
                json!([{"uri": "a://b", "mimeType": "x/y", "text": "t", "_meta": {"ui": {}}}]),
            ),
            (
                own(json!({"uri": "c://d", "mimeType": "z", "blob": "AA=="})),
                json!([{"uri": "c://d", "mimeType": "z", "blob": "AA=="}]),
            ),
        ] {
            assert_eq!(
                parsed(resource("a://b", Some("x/y"), data.clone())),
                json!({ "contents": expected }),
                "{data:?}"
            );
        }
    }

    #[test]
    fn value_of_a_prompt_is_a_message_or_its_own_messages() {
        let message = json!({"role": "user", "content": {"type": "text", "text": "hey"}});
        assert_eq!(parsed(prompt(string("hey"))), json!({ "messages": [message] }));
        assert_eq!(parsed(prompt(None)), json!({"messages": []}));
        let whole = json!({"description": "d", "messages": [message]});
        assert_eq!(parsed(prompt_in_envelope(envelope("get_prompt_result", whole.clone(), None))), whole);
        let messages = json!([message]);
        assert_eq!(
            parsed(prompt_in_envelope(envelope("prompt_messages", messages, None))),
            json!({ "messages": [message] })
        );
        assert!(prompt_in_envelope(envelope("text", message, None)).is_err());
    }
}
