//! Reads a message from a server: its kind and the spans of its members.

use crate::json::{self, Item, Kind, Reader, Span, Text, Value};
use crate::rpc::{self, Envelope, Error};

/// A message from a server and the span of its `params`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Received {
    /// The kind of the message and the spans of its members.
    pub message: Message,
    /// The span of `params`.
    pub params: Option<Item>,
}

/// The kinds of messages from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Message {
    /// The answer to a request of this client.
    Answer(Answer),
    /// A request to the client; servers of revision 2026-07-28 do not send any.
    Request {
        /// The id as the server wrote it. The response repeats it byte by byte.
        id: Span,
        /// The method, a string.
        method: Item,
    },
    /// A notification, with the span of its method.
    Notification(Item),
}

/// An answer to a request of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answer {
    /// The request that is answered.
    pub id: AnswerId,
    /// The span of `result`, or of `error`.
    pub outcome: Result<Item, Item>,
}

/// The id of an answer. This client uses numbers as request ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AnswerId {
    /// A number, or a string of digits: some servers turn numbers into strings.
    Number(u64),
    /// An id that this client never sends.
    Foreign(Item),
    /// No id, or `null`: the server could not read the request.
    Missing,
}

impl AnswerId {
    /// The number of the request that is answered.
    pub const fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Foreign(_) | Self::Missing => None,
        }
    }
}

/// The reasons why a body is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unreadable {
    /// The body is not JSON.
    NotJson(json::Error),
    /// The body is an array: a batch, which only revision 2025-03-26 has. [`elements`] returns its
    /// messages.
    Array,
    /// The body is JSON, but not a JSON-RPC message.
    NotAMessage(Error),
}

/// Reads one message.
///
/// # Errors
/// [`Unreadable`] with the reason.
pub fn read(body: &[u8]) -> Result<Received, Unreadable> {
    let envelope = Envelope::read(body, |_| Ok(None)).map_err(Unreadable::NotJson)?;
    let message = envelope.message(body).map_err(|refused| match refused.error {
        Error::Batch => Unreadable::Array,
        error => Unreadable::NotAMessage(error),
    })?;
    let message = match message {
        rpc::Message::Answer(answer) => {
            Message::Answer(Answer { id: answer_id(answer.id, body), outcome: answer.outcome })
        }
        rpc::Message::Request(request) => Message::Request { id: request.id, method: request.method },
        rpc::Message::Notification(method) => Message::Notification(method),
    };
    Ok(Received { message, params: envelope.params() })
}

fn answer_id(id: Option<Item>, body: &[u8]) -> AnswerId {
    match id {
        None => AnswerId::Missing,
        Some(id) if id.kind() == Kind::Null => AnswerId::Missing,
        Some(id) => number(id.of(body)).map_or(AnswerId::Foreign(id), AnswerId::Number),
    }
}

/// Returns the number of an id or a progress token of this client: the server may send a number, or
/// a string of its digits.
pub fn number(value: Value<'_>) -> Option<u64> {
    match value.text() {
        None => value.integer().ok()?.to(),
        Some(text) => text.raw().iter().try_fold(0_u64, digit).filter(|_| !text.raw().is_empty()),
    }
}

fn digit(number: u64, byte: &u8) -> Option<u64> {
    let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
    number.checked_mul(10)?.checked_add(digit.into())
}

/// Iterates over the members of an object; a value of another kind has none.
pub fn members<'a>(object: Value<'a>) -> impl Iterator<Item = (Text<'a>, Value<'a>)> {
    let text = object.raw();
    let mut reader = opened(&object, Reader::enter_object);
    core::iter::from_fn(move || {
        let reader = reader.as_mut()?;
        let name = reader.key().ok()??;
        Some((name, reader.skip().ok()?.of(text)))
    })
}

/// Iterates over the elements of an array; a value of another kind has none.
pub fn elements<'a>(array: Value<'a>) -> impl Iterator<Item = Value<'a>> {
    let text = array.raw();
    let mut reader = opened(&array, Reader::enter_array);
    core::iter::from_fn(move || {
        let reader = reader.as_mut()?;
        match reader.element() {
            Ok(true) => Some(reader.skip().ok()?.of(text)),
            _ => None,
        }
    })
}

/// Returns a reader after the opening bracket, if the value begins with this bracket.
fn opened<'a>(
    value: &Value<'a>,
    enter: impl FnOnce(&mut Reader<'a>) -> Result<Option<usize>, json::Error>,
) -> Option<Reader<'a>> {
    let mut reader = value.reader();
    matches!(enter(&mut reader), Ok(Some(_))).then_some(reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(body: &str) -> AnswerId {
        match read(body.as_bytes()).unwrap().message {
            Message::Answer(answer) => answer.id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn id_of_an_answer_is_a_number_however_the_server_writes_it() {
        for (written, expected) in
            [("7", Some(7)), (r#""7""#, Some(7)), (r#""""#, None), (r#""7a""#, None), ("-7", None)]
        {
            let body = [r#"{"jsonrpc":"2.0","id":"#, written, r#","result":{}}"#].concat();
            assert_eq!(id(&body).number(), expected, "{written}");
        }
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#), AnswerId::Missing);
        assert_eq!(id(r#"{"jsonrpc":"2.0","error":{}}"#), AnswerId::Missing);
        assert!(matches!(id(r#"{"jsonrpc":"2.0","id":1.5,"error":{}}"#), AnswerId::Foreign(_)));
        assert!(matches!(id(r#"{"jsonrpc":"2.0","id":"99999999999999999999","error":{}}"#), AnswerId::Foreign(_)));
    }

    #[test]
    fn kinds_of_messages_are_told_apart() {
        let request = br#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#;
        let Message::Request { id, method } = read(request).unwrap().message else { panic!() };
        assert_eq!((id.of(request), method.of(request).raw()), (&b"\"a\""[..], &b"\"ping\""[..]));
        let told = br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}"#;
        let received = read(told).unwrap();
        assert!(matches!(received.message, Message::Notification(_)));
        assert_eq!(received.params.unwrap().of(told).raw(), br#"{"progress":1}"#);
        assert_eq!(read(b"[]"), Err(Unreadable::Array));
        assert!(matches!(read(b"{"), Err(Unreadable::NotJson(_))));
        assert!(matches!(read(b"{}"), Err(Unreadable::NotAMessage(_))));
        assert!(matches!(read(b"7"), Err(Unreadable::NotAMessage(_))));
    }

    #[test]
    fn members_and_elements_are_given_in_their_order() {
        let object = Value::parse(br#"{"a":1,"b":[2,"x"]}"#).unwrap();
        let mut found = members(object);
        let (name, value) = found.next().unwrap();
        assert!(name.is("a") && value.raw() == b"1");
        let (name, value) = found.next().unwrap();
        assert!(name.is("b") && found.next().is_none());
        assert!(elements(value).map(|value| value.raw()).eq([&b"2"[..], b"\"x\""]));
        assert_eq!((elements(object).count(), members(value).count()), (0, 0));
    }
}
