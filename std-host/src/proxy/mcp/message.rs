//! The messages of a request, and what they name.

use super::members::{Ambiguous, Members, items};
use attache_core::tool::Kind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;

/// A message of a request.
pub(super) struct Message<'a> {
    pub(super) raw: &'a RawValue,
    /// `None` for a notification.
    pub(super) id: Option<&'a RawValue>,
    /// `None` for an answer.
    method: Option<String>,
    /// The entries that the message names.
    pub(super) subjects: Vec<(Kind, String)>,
}

/// Why a body, or a message of it, is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is not JSON in UTF-8.
    NotJson,
    /// It is not a message.
    NotAMessage,
    /// Two parsers may read it in two ways.
    Ambiguous,
    /// A parameter that names an entry is missing.
    Unnamed,
    /// The method is not one whose names are known.
    Method,
    /// A header field differs from the message.
    Mirror,
}

impl From<Ambiguous> for Unfit {
    fn from(_: Ambiguous) -> Self {
        Self::Ambiguous
    }
}

/// The messages of a body, and whether they are a batch.
pub(super) fn read(body: &[u8]) -> Result<(Vec<&RawValue>, bool), Unfit> {
    let text = core::str::from_utf8(body).map_err(|_| Unfit::NotJson)?;
    let whole: &RawValue = serde_json::from_str(text).map_err(|_| Unfit::NotJson)?;
    match items(whole) {
        Some(messages) => Ok((messages, true)),
        None => Ok((vec![whole], false)),
    }
}

/// Methods that name no entry.
const NAMELESS: [&str; 8] = [
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "server/discover",
    "tools/list",
];

/// The beginnings of further such methods.
const NAMELESS_PREFIXES: [&str; 2] = ["notifications/", "tasks/"];

impl<'a> Message<'a> {
    pub(super) fn read(raw: &'a RawValue) -> Result<Self, (Option<&'a RawValue>, Unfit)> {
        let members = Members::of(raw).ok_or((None, Unfit::NotAMessage))?;
        let id = members.get("id").map_err(|ambiguous| (None, ambiguous.into()))?;
        Self::of(raw, &members, id).map_err(|unfit| (id, unfit))
    }

    fn of(raw: &'a RawValue, members: &Members<'a>, id: Option<&'a RawValue>) -> Result<Self, Unfit> {
        let params = members.get("params")?;
        let Some(method) = members.get("method")? else {
            // An answer names no entry.
            return Ok(Self { raw, id: None, method: None, subjects: Vec::new() });
        };
        let method: String = serde_json::from_str(method.get()).map_err(|_| Unfit::NotAMessage)?;
        let subjects = subjects(&method, params)?;
        Ok(Self { raw, id, method: Some(method), subjects })
    }

    /// Whether the answer is a list that a policy filters.
    pub(super) fn asks_for_list(&self) -> bool {
        let lists = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];
        self.method.as_deref().is_some_and(|method| lists.contains(&method))
    }

    /// Checks the header fields that mirror the message. A batch has none.
    // MCP 2026-07-28 streamable-http, "Standard headers".
    pub(super) fn check_mirrors(&self, fields: &HeaderMap) -> Result<(), Unfit> {
        if let Some(method) = once(fields, "mcp-method")?
            && Some(method) != self.method
        {
            return Err(Unfit::Mirror);
        }
        match once(fields, "mcp-name")? {
            // A method without a name has no such field, and a subscription may name several entries.
            Some(name) if self.subjects.iter().all(|(_, key)| *key != name) => Err(Unfit::Mirror),
            _ => Ok(()),
        }
    }
}

/// Whether there are fields that mirror a single message.
pub(super) fn has_mirrors(fields: &HeaderMap) -> bool {
    fields.contains_key("mcp-method") || fields.contains_key("mcp-name")
}

fn once(fields: &HeaderMap, name: &str) -> Result<Option<String>, Unfit> {
    let mut values = fields.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => decoded(value).map(Some).ok_or(Unfit::Mirror),
        _ => Err(Unfit::Mirror),
    }
}

// MCP 2026-07-28 streamable-http, "Value encoding": =?base64?…?= holds UTF-8.
fn decoded(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    match text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        None => Some(text.to_owned()),
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
    }
}

/// The entries that a request names.
fn subjects(method: &str, params: Option<&RawValue>) -> Result<Vec<(Kind, String)>, Unfit> {
    if NAMELESS.contains(&method) || NAMELESS_PREFIXES.iter().any(|prefix| method.starts_with(prefix)) {
        return Ok(Vec::new());
    }
    let kind = match method {
        "tools/call" => Kind::Tool,
        "prompts/get" => Kind::Prompt,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Kind::Resource,
        "completion/complete" | "subscriptions/listen" => Kind::Template,
        _ => return Err(Unfit::Method),
    };
    let params = params.and_then(Members::of).ok_or(Unfit::Unnamed)?;
    let named = |members: &Members<'_>, kind, key| Ok::<_, Unfit>((kind, members.text(key)?.ok_or(Unfit::Unnamed)?));
    match method {
        "completion/complete" => {
            let reference = params.get("ref")?.and_then(Members::of).ok_or(Unfit::Unnamed)?;
            Ok(vec![match reference.text("type")?.as_deref() {
                Some("ref/prompt") => named(&reference, Kind::Prompt, "name")?,
                Some("ref/resource") => named(&reference, Kind::Template, "uri")?,
                _ => return Err(Unfit::Unnamed),
            }])
        }
        "subscriptions/listen" => {
            let Some(filter) = params.get("notifications")? else { return Ok(Vec::new()) };
            let filter = Members::of(filter).ok_or(Unfit::Unnamed)?;
            let Some(uris) = filter.get("resourceSubscriptions")? else { return Ok(Vec::new()) };
            let uris: Vec<String> = serde_json::from_str(uris.get()).map_err(|_| Unfit::Unnamed)?;
            Ok(uris.into_iter().map(|uri| (Kind::Resource, uri)).collect())
        }
        _ => Ok(vec![named(&params, kind, if kind == Kind::Resource { "uri" } else { "name" })?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_entries_or_is_not_passed_on() {
        use Unfit::*;
        for (method, params, expected) in [
            ("tools/call", r#"{"name":"a"}"#, Ok(vec![(Kind::Tool, "a")])),
            ("prompts/get", r#"{"name":"a"}"#, Ok(vec![(Kind::Prompt, "a")])),
            ("resources/read", r#"{"uri":"a:"}"#, Ok(vec![(Kind::Resource, "a:")])),
            ("resources/subscribe", r#"{"uri":"a:"}"#, Ok(vec![(Kind::Resource, "a:")])),
            ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":"a"}}"#, Ok(vec![(Kind::Prompt, "a")])),
            (
                "completion/complete",
                r#"{"ref":{"type":"ref/resource","uri":"a:{b}"}}"#,
                Ok(vec![(Kind::Template, "a:{b}")]),
            ),
            (
                "subscriptions/listen",
                r#"{"notifications":{"resourceSubscriptions":["a:","b:"]}}"#,
                Ok(vec![(Kind::Resource, "a:"), (Kind::Resource, "b:")]),
            ),
            ("subscriptions/listen", r#"{"notifications":{"toolsListChanged":true}}"#, Ok(vec![])),
            ("tools/list", "{}", Ok(vec![])),
            ("notifications/cancelled", "{}", Ok(vec![])),
            ("Tools/Call", r#"{"name":"a"}"#, Err(Method)),
            ("skills/get", r#"{"name":"a"}"#, Err(Method)),
            ("tools/call", r#"["a"]"#, Err(Unnamed)),
            ("tools/call", "{}", Err(Unnamed)),
            ("tools/call", r#"{"name":1}"#, Err(Unnamed)),
            ("tools/call", r#"{"name":"a","name":"b"}"#, Err(Ambiguous)),
            ("tools/call", r#"{"name":"a","Name":"b"}"#, Err(Ambiguous)),
            ("completion/complete", r#"{"ref":{"type":"x","name":"a"}}"#, Err(Unnamed)),
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
            let raw: &RawValue = serde_json::from_str(&text).expect("JSON");
            let read = Message::read(raw).map(|message| message.subjects).map_err(|(_, unfit)| unfit);
            let expected =
                expected.map(|all| all.into_iter().map(|(kind, key)| (kind, key.to_owned())).collect::<Vec<_>>());
            assert_eq!(read, expected, "{text}");
        }
        for text in [
            r#"{"method":"ping","method":"tools/call","params":{"name":"a"}}"#,
            r#"{"method":"ping","METHOD":"tools/call","params":{"name":"a"}}"#,
            r#"{"method":"tools/call","params":{"name":"a"},"Params":{"name":"b"}}"#,
            r#"{"id":1,"id":2,"method":"ping"}"#,
        ] {
            let raw: &RawValue = serde_json::from_str(text).expect("JSON");
            assert!(matches!(Message::read(raw), Err((_, Ambiguous))), "{text}");
        }
    }

    #[test]
    fn mirrored_fields_have_to_be_those_of_the_message() {
        let raw: &RawValue =
            serde_json::from_str(r#"{"id":1,"method":"tools/call","params":{"name":"Zürich"}}"#).expect("JSON");
        let message = Message::read(raw).map_err(|(_, unfit)| unfit).expect("a message");
        for (fields, fits) in [
            (&[][..], true),
            (&[("mcp-method", "tools/call"), ("mcp-name", "=?base64?WsO8cmljaA==?=")], true),
            (&[("mcp-method", "tools/list")], false),
            (&[("mcp-name", "other")], false),
            (&[("mcp-name", "=?base64?!?=")], false),
            (&[("mcp-method", "tools/call"), ("mcp-method", "tools/call")], false),
        ] {
            let mut head = HeaderMap::new();
            for (name, value) in fields {
                head.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(message.check_mirrors(&head).is_ok(), fits, "{fields:?}");
        }
    }

    #[test]
    fn body_that_is_not_json_in_utf8_is_unfit() {
        for (body, expected) in [
            (&b"{}"[..], Ok((1, false))),
            (b" [{},{}] ", Ok((2, true))),
            (b"\xef\xbb\xbf{}", Err(Unfit::NotJson)),
            (b"{} {}", Err(Unfit::NotJson)),
            (b"\xff\xfe{\0}\0", Err(Unfit::NotJson)),
            (b"{'a':1}", Err(Unfit::NotJson)),
            (b"", Err(Unfit::NotJson)),
        ] {
            assert_eq!(read(body).map(|(messages, batch)| (messages.len(), batch)), expected, "{body:?}");
        }
    }
}
