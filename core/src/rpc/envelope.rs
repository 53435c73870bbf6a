//! The outer object of a message: request, notification or response (JSON-RPC 2.0 §4, §5).

use super::{Error, Param};
use crate::json::{self, Fields, Item, Kind, Reader, Repeated, Span};

/// The members of a message, found in one pass and not validated yet.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Envelope {
    whole: Kind,
    members: Fields<6>,
}

/// The three kinds of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Message {
    /// A request: the sender expects a response.
    Request(Request),
    /// A notification, with the span of its method. It must never get a response (JSON-RPC 2.0
    /// §4.1).
    Notification(Item),
    /// A response to a request of the server.
    Answer(Answer),
}

/// The spans of a response's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answer {
    /// The id of the request to which this response belongs.
    pub id: Option<Item>,
    /// `result`, or `error` as `Err`.
    pub outcome: Result<Item, Item>,
}

/// The spans of a request's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request {
    /// The id as the client wrote it. It is echoed byte for byte, so that a number loses no digit.
    pub id: Span,
    /// The method, a string.
    pub method: Item,
}

/// A refused message, with its id if that could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unanswerable {
    /// The reason for the refusal.
    pub error: Error,
    /// The span of the id. MCP basic/index: "echo the id" even of a refused request. If the id
    /// cannot be read, the response has none.
    pub id: Option<Span>,
}

impl Envelope {
    /// An envelope that was not read yet.
    pub const fn new() -> Self {
        Self { whole: Kind::Null, members: Fields::new() }
    }

    /// Reads a whole body, as [`fill`](Self::fill) does.
    ///
    /// # Errors
    /// If the body is not exactly one JSON text.
    pub fn read(
        body: &[u8],
        params: impl FnMut(&mut Reader<'_>) -> Result<Option<Item>, json::Error>,
    ) -> Result<Self, json::Error> {
        let mut envelope = Self::new();
        envelope.fill(body, params)?;
        Ok(envelope)
    }

    /// Reads a whole body into this new envelope. `params` is called with the reader at the value of
    /// `params` and may read it; if it returns `None`, the value is skipped.
    ///
    /// # Errors
    /// If the body is not exactly one JSON text.
    pub fn fill(
        &mut self,
        body: &[u8],
        mut params: impl FnMut(&mut Reader<'_>) -> Result<Option<Item>, json::Error>,
    ) -> Result<(), json::Error> {
        let mut reader = Reader::behind_mark(body)?;
        let inside = |index, reader: &mut Reader<'_>| if index == PARAMS { params(reader) } else { Ok(None) };
        let whole = match self.members.read(&mut reader, &MEMBERS, inside)? {
            Some(object) => object,
            None => reader.skip()?,
        };
        self.whole = whole.kind();
        reader.end()
    }

    /// Validates the members and returns the kind of the message.
    ///
    /// # Errors
    /// [`Unanswerable`] with the first broken rule.
    pub fn message(&self, body: &[u8]) -> Result<Message, Unanswerable> {
        let id = self.members.get(ID).ok().flatten().filter(|item| is_id(*item, body)).map(Item::span);
        self.judge(body, id).map_err(|error| Unanswerable { error, id })
    }

    fn judge(&self, body: &[u8], id: Option<Span>) -> Result<Message, Error> {
        match self.whole {
            Kind::Object => {}
            // MCP 2025-06-18 changelog: batching removed; one body is one message.
            Kind::Array => return Err(Error::Batch),
            _ => return Err(Error::NotAnObject),
        }
        // JSON-RPC 2.0 §4: "MUST be exactly '2.0'".
        let protocol = self.member(JSONRPC)?.and_then(|item| item.of(body).text());
        if !protocol.is_some_and(|text| text.is("2.0")) {
            return Err(Error::Protocol);
        }
        let has_id = self.member(ID)?.is_some();
        let (error, result) = (self.member(ERROR)?, self.member(RESULT)?);
        let not_null = |item: &Item| item.kind() != Kind::Null;
        // JSON-RPC 2.0 §5: either `result` or `error`. A message with both counts as an error. Some peers
        // write `null` for the other one, and JSON-RPC 1.0 requires it.
        let outcome = match (error.filter(not_null), result.filter(not_null)) {
            (Some(error), _) => Some(Err(error)),
            (None, Some(result)) => Some(Ok(result)),
            (None, None) => None,
        };
        let nothing = || result.map(Ok).or(error.map(Err));
        let method = match (self.member(METHOD)?, outcome) {
            (None, Some(outcome)) => return Ok(Message::Answer(Answer { id: self.member(ID)?, outcome })),
            // An answer that answers nothing.
            (None, None) => {
                let outcome = nothing().ok_or(Error::NoMethod)?;
                return Ok(Message::Answer(Answer { id: self.member(ID)?, outcome }));
            }
            (Some(_), Some(_)) => return Err(Error::RequestAndAnswer),
            (Some(method), None) if method.kind() == Kind::String => method,
            (Some(_), None) => return Err(Error::Method),
        };
        match (has_id, id) {
            (true, Some(id)) => Ok(Message::Request(Request { id, method })),
            (true, None) => Err(Error::Id),
            (false, _) => Ok(Message::Notification(method)),
        }
    }

    /// Checks that `params`, if present and not `null`, is an object.
    ///
    /// # Errors
    /// [`Param::Params`]: MCP does not use positional parameters.
    pub fn check_params(&self) -> Result<(), Error> {
        match self.member(PARAMS)? {
            Some(params) if !matches!(params.kind(), Kind::Object | Kind::Null) => Err(Error::Param(Param::Params)),
            _ => Ok(()),
        }
    }

    /// Returns the span of `params`.
    pub fn params(&self) -> Option<Item> {
        self.members.get(PARAMS).ok().flatten()
    }

    fn member(&self, index: usize) -> Result<Option<Item>, Error> {
        self.members.get(index).map_err(|Repeated| Error::RepeatedMember)
    }
}

impl Default for Envelope {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether an item is a valid id. MCP basic/index: "a string or integer ID", never null. Only a
/// number written as an integer counts: a client that sends `1.0` may print the id as `1` and would
/// not recognize the echo.
fn is_id(item: Item, body: &[u8]) -> bool {
    match item.kind() {
        Kind::String => true,
        Kind::Number => item.span().of(body).iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9')),
        _ => false,
    }
}

const MEMBERS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const JSONRPC: usize = 0;
const ID: usize = 1;
const METHOD: usize = 2;
const PARAMS: usize = 3;
const RESULT: usize = 4;
const ERROR: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(body: &str) -> Result<Message, (Error, bool)> {
        let envelope = Envelope::read(body.as_bytes(), |_| Ok(None)).unwrap();
        envelope.message(body.as_bytes()).map_err(|refused| (refused.error, refused.id.is_some()))
    }

    #[test]
    fn messages_that_break_a_rule_are_refused_by_its_name_and_with_a_readable_id() {
        for (body, error, has_id) in [
            ("[]", Error::Batch, false),
            ("42", Error::NotAnObject, false),
            ("{}", Error::Protocol, false),
            (r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, Error::Protocol, true),
            (r#"{"JSONRPC":"2.0","ID":1,"METHOD":"m"}"#, Error::Protocol, false),
            (r#"{"jsonrpc":"2.0","id":1}"#, Error::NoMethod, true),
            (r#"{"jsonrpc":"2.0","id":"x","method":7}"#, Error::Method, true),
            (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, Error::Id, false),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, Error::Id, false),
            (r#"{"jsonrpc":"2.0","id":1e400,"method":"m"}"#, Error::Id, false),
            (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, Error::Id, false),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, Error::RepeatedMember, false),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","m\u0065thod":"n"}"#, Error::RepeatedMember, true),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#, Error::RequestAndAnswer, true),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","error":{},"result":null}"#, Error::RequestAndAnswer, true),
        ] {
            assert_eq!(judge(body), Err((error, has_id)), "{body}");
        }
    }

    #[test]
    fn result_or_error_that_is_null_is_not_there() {
        let request = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null,"result":null,"error":null}"#;
        assert!(matches!(judge(request), Ok(Message::Request(_))));
        for (body, is_error, kind) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#, false, Kind::Object),
            (r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{}}"#, true, Kind::Object),
            (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, false, Kind::Null),
            (r#"{"jsonrpc":"2.0","id":1,"error":null}"#, true, Kind::Null),
        ] {
            let Ok(Message::Answer(Answer { outcome, .. })) = judge(body) else { panic!("an answer: {body}") };
            assert_eq!((outcome.is_err(), outcome.unwrap_or_else(|error| error).kind()), (is_error, kind), "{body}");
        }
    }

    #[test]
    fn unknown_members_may_repeat() {
        let body = r#"{"x":1,"x":[2],"jsonrpc":"2.0","method":"m"}"#;
        assert!(matches!(judge(body), Ok(Message::Notification(_))));
    }

    #[test]
    fn request_members_are_found_in_any_order_and_spelling() {
        let body = r#"{"params":{},"m\u0065thod":"a/b","id":9007199254740993,"jsonrpc":"2.0"}"#;
        let Ok(Message::Request(request)) = judge(body) else { panic!("a request") };
        assert_eq!(request.id.of(body.as_bytes()), b"9007199254740993");
        assert!(request.method.of(body.as_bytes()).text().unwrap().is("a/b"));
    }
}
