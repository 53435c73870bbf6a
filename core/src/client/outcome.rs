//! The meaning of an answer: a finished result, a question to the client, or an error.

use crate::json::{Kind, Text, Value};

/// The kinds of results.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome<'b> {
    /// The request is complete.
    Complete,
    /// The server needs input before it can finish. The client repeats the request with its
    /// answers.
    InputRequired {
        /// The questions: an object that maps keys to `method` and `params`.
        requests: Option<Value<'b>>,
        /// An opaque text that the client sends back unchanged with the repeated request.
        state: Option<Value<'b>>,
    },
    /// The result is unusable: it is not an object, has an unknown type, or asks for input without
    /// a question.
    Invalid,
}

impl<'b> Outcome<'b> {
    /// Classifies a `result`.
    // MCP 2026-07-28 basic/index: clients treat an absent `resultType` as "complete", and an
    // unknown one as invalid.
    pub fn of(result: Value<'b>) -> Self {
        if result.kind() != Kind::Object {
            return Self::Invalid;
        }
        match result.member("resultType") {
            None => Self::Complete,
            Some(kind) => match kind.text() {
                Some(text) if text.is("complete") => Self::Complete,
                Some(text) if text.is("input_required") => Self::input(result),
                _ => Self::Invalid,
            },
        }
    }

    // MCP 2026-07-28 basic/patterns/mrtr: at least one of `inputRequests` and `requestState` MUST
    // be present.
    fn input(result: Value<'b>) -> Self {
        let requests = result.member("inputRequests");
        let state = result.member("requestState");
        let sound = requests.is_none_or(|requests| requests.kind() == Kind::Object)
            && state.is_none_or(|state| state.kind() == Kind::String)
            && (requests.is_some() || state.is_some());
        if sound { Self::InputRequired { requests, state } } else { Self::Invalid }
    }
}

/// An error from the server, read from `error` of an answer.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure<'b> {
    /// The code; 0 if absent.
    pub code: i64,
    /// The message; empty if absent.
    pub message: Text<'b>,
    /// Further data.
    pub data: Option<Value<'b>>,
}

impl<'b> Failure<'b> {
    /// Reads an `error`. Members that are absent or have a wrong type are treated as empty.
    pub fn of(error: Value<'b>) -> Self {
        Self {
            code: error.member("code").and_then(|code| code.integer().ok()?.to()).unwrap_or_default(),
            message: error.member("message").and_then(|message| message.text()).unwrap_or_default(),
            data: error.member("data"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(result: &str) -> &'static str {
        match Outcome::of(Value::parse(result.as_bytes()).unwrap()) {
            Outcome::Complete => "complete",
            Outcome::InputRequired { .. } => "input",
            Outcome::Invalid => "invalid",
        }
    }

    #[test]
    fn results_are_judged_by_their_type() {
        for (result, expected) in [
            ("{}", "complete"),
            (r#"{"resultType":"complete"}"#, "complete"),
            (r#"{"resultType":"task"}"#, "invalid"),
            (r#"{"resultType":7}"#, "invalid"),
            (r#"{"resultType":"input_required"}"#, "invalid"),
            (r#"{"resultType":"input_required","requestState":"s"}"#, "input"),
            (r#"{"resultType":"input_required","requestState":7}"#, "invalid"),
            (r#"{"resultType":"input_required","inputRequests":{}}"#, "input"),
            (r#"{"resultType":"input_required","inputRequests":[]}"#, "invalid"),
            ("[]", "invalid"),
            ("null", "invalid"),
        ] {
            assert_eq!(of(result), expected, "{result}");
        }
    }

    #[test]
    fn error_that_lacks_members_is_read_as_far_as_it_goes() {
        let read = |error: &'static str| Failure::of(Value::parse(error.as_bytes()).unwrap());
        let whole = read(r#"{"code":-32602,"message":"no","data":{"a":1}}"#);
        assert!(whole.code == -32602 && whole.message.is("no") && whole.data.is_some());
        for error in ["{}", r#"{"code":"x","message":1}"#, "null", r#""text""#] {
            let bare = read(error);
            assert!(bare.code == 0 && bare.message.is("") && bare.data.is_none(), "{error}");
        }
    }
}
