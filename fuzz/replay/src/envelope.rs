//! Checks the JSON-RPC envelope against a model of its rules over serde_json.

use crate::document::Document;
use attache_core::json::{Item, Kind, Value, without_mark};
use attache_core::mcp::Params;
use attache_core::rpc::{Envelope, Error, Message, Param};
use core::fmt;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Checks that any bytes get the verdict that JSON-RPC and MCP prescribe, and that the spans in the
/// verdict contain the right values.
///
/// # Panics
/// If the verdict or a value differs.
pub fn envelope(input: &[u8]) {
    let read = Envelope::read(input, |_| Ok(None));
    let mut params = Params::default();
    let with_params = Envelope::read(input, |reader| params.read(reader));
    assert_eq!(read.as_ref().err(), with_params.as_ref().err(), "params skipped and params read");
    // A byte order mark before the message says nothing.
    let bare = without_mark(input);
    assert_eq!(read.is_ok(), Value::parse(bare).is_ok(), "an envelope and any other value");
    if bare.len() == input.len() {
        assert_eq!(read.as_ref().err(), Value::parse(input).as_ref().err(), "an envelope and any other value");
    }
    let (Ok(envelope), Ok(with_params)) = (read, with_params) else { return };

    let message = envelope.message(input);
    assert_eq!(message, with_params.message(input));
    assert_eq!(envelope.check_params(), with_params.check_params());
    match Model::read(bare) {
        Model::Known(verdict, checked) => {
            let ours = match message {
                Ok(Message::Request(request)) => {
                    Verdict::Request(document(request.id.of(input)), method(request.method, input))
                }
                Ok(Message::Notification(_)) => Verdict::Notification,
                Ok(Message::Answer(_)) => Verdict::Answer,
                Err(refused) => Verdict::Refused(refused.error, refused.id.map(|id| document(id.of(input)))),
            };
            assert_eq!(ours, verdict);
            assert_eq!(envelope.check_params(), checked);
        }
        // Refused, because two readers could see two different messages.
        Model::Ambiguous => assert!(message.is_err(), "{message:?}"),
        Model::RepeatedElsewhere => {}
    }
}

/// Reads a part of a message again on its own.
fn document(raw: &[u8]) -> Document {
    let ours = Document::ours(raw, |_| {}).expect("one value");
    if let Ok(theirs) = Document::theirs(raw) {
        assert_eq!(ours, theirs);
    }
    ours
}

fn method(item: Item, body: &[u8]) -> String {
    assert_eq!(item.kind(), Kind::String);
    let text: String = item.of(body).text().expect("a string").chars().collect();
    assert_eq!(serde_json::from_slice::<String>(item.span().of(body)).ok().as_ref(), Some(&text));
    assert_eq!(item.inner().len() + 2, item.span().len());
    text
}

/// The kind of a message, with values instead of spans.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Request(Document, String),
    Notification,
    Answer,
    Refused(Error, Option<Document>),
}

/// The result of the model for a JSON text.
#[derive(Clone, Debug)]
pub(crate) enum Model {
    /// The verdict, and the expected result of reading `params`.
    Known(Verdict, Result<(), Error>),
    /// A member that decides the kind of the message occurs twice.
    Ambiguous,
    /// Another member of the envelope occurs twice.
    RepeatedElsewhere,
}

impl Model {
    /// Judges a text that is valid JSON.
    pub(crate) fn read(input: &[u8]) -> Self {
        let refused = |error| Self::Known(Verdict::Refused(error, None), Ok(()));
        match input.trim_ascii_start().first() {
            Some(b'{') => {}
            Some(b'[') => return refused(Error::Batch),
            _ => return refused(Error::NotAnObject),
        }
        let members: Members<'_> = serde_json::from_slice(input).expect("an object");
        let count = |name: &str| members.0.iter().filter(|(key, _)| key == name).count();
        if ["jsonrpc", "id", "method"].iter().any(|name| count(name) > 1) {
            return Self::Ambiguous;
        }
        if ["params", "result", "error"].iter().any(|name| count(name) > 1) {
            return Self::RepeatedElsewhere;
        }
        let get = |name: &str| members.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.get());
        let params = match get("params") {
            Some(params) if !params.starts_with('{') && params != "null" => Err(Error::Param(Param::Params)),
            _ => Ok(()),
        };
        Self::Known(judge(&get), params)
    }
}

fn judge<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Verdict {
    let string = |raw: &str| serde_json::from_str::<String>(raw).ok();
    let whole = |raw: &str| {
        !raw.contains(['.', 'e', 'E']) && raw.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
    };
    let id = get("id").filter(|raw| raw.starts_with('"') || whole(raw)).map(|raw| document(raw.as_bytes()));
    let outcomes = [get("result"), get("error")];
    // `null` beside a method is absence; alone it is an answer that answers nothing.
    let answers = outcomes.iter().flatten().any(|outcome| get("method").is_none() || *outcome != "null");
    let error = match (get("method"), answers) {
        _ if get("jsonrpc").and_then(string).as_deref() != Some("2.0") => Error::Protocol,
        (Some(_), true) => Error::RequestAndAnswer,
        (None, true) => return Verdict::Answer,
        (None, false) => Error::NoMethod,
        (Some(method), false) => match (string(method), get("id"), id.clone()) {
            (None, ..) => Error::Method,
            (Some(_), None, _) => return Verdict::Notification,
            (Some(method), Some(_), Some(id)) => return Verdict::Request(id, method),
            (Some(_), Some(_), None) => Error::Id,
        },
    };
    Verdict::Refused(error, id)
}

/// The members of an object, each value as written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members<'de>, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Members(object))
    }
}
