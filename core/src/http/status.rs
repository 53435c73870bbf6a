//! HTTP status codes of responses (MCP 2026-07-28 streamable-http). "Customary" marks a choice that
//! the protocol leaves open.

use crate::era::Version;
use crate::rpc::{Code, Error, Param};

/// The status of a result.
pub const OK: u16 = 200;

/// The status of a notification or a response that the server accepted; the body is empty.
pub const ACCEPTED: u16 = 202;

/// Returns the status of an error response to a request of `version`; `None` if the version was not
/// determined.
pub fn status(error: Error, version: Option<Version>) -> u16 {
    match error {
        Error::TooLarge(_) => 413,
        // MCP 2025-11-25 basic/transports, "Session Management": 404 means only that the session no
        // longer exists.
        Error::UnknownSession => 404,
        // RFC 9110 §15.5.7.
        Error::NotAcceptable => 406,
        // Customary: the client may retry later.
        Error::Busy(_) => 503,
        // "404 with a -32601 body identifies a modern server". For a legacy client, 404 means that
        // its session no longer exists (MCP 2025-11-25 basic/transports, "Session Management"), so
        // it gets 200.
        Error::MethodNotFound(_) if version.is_some_and(Version::is_modern) => 404,
        Error::NotJson(_)
        | Error::Batch
        | Error::NotAnObject
        | Error::Protocol
        | Error::Id
        | Error::NoMethod
        | Error::Method
        | Error::RepeatedMember
        | Error::RequestAndAnswer
        | Error::UnexpectedAnswer
        | Error::BatchSize
        | Error::NoSession
        | Error::Elsewhere
        | Error::Header(..)
        | Error::UnsupportedVersion(_)
        | Error::Meta(_)
        | Error::Param(Param::Params | Param::Meta)
        | Error::Refused(_) => 400,
        // Customary: an error that a method finds in its own parameters is an ordinary response.
        Error::MethodNotFound(_)
        | Error::Param(_)
        | Error::UnknownTool(_)
        | Error::UnknownPrompt(_)
        | Error::UnknownResource(_)
        | Error::UnknownResourceLegacy(_)
        | Error::UnknownArgument(_)
        | Error::UnknownVariable(_)
        | Error::UnknownReference
        | Error::UnknownCursor
        | Error::Argument(_)
        | Error::Failed(_)
        | Error::AlreadyInitialized
        | Error::Batched
        | Error::IdInUse
        | Error::IdTooLong
        | Error::ResultTooLarge => OK,
    }
}

/// Returns the status of an error that a handler returned.
// MCP 2026-07-28 basic/index: 400 if the client has not declared a capability that the request
// needs.
pub const fn rejected(code: Code) -> u16 {
    match code {
        Code::MissingClientCapability => 400,
        _ => OK,
    }
}

/// Returns the header fields that belong to a status, except the content length.
pub const fn fields(status: u16) -> &'static [(&'static str, &'static str)] {
    const TYPE: (&str, &str) = ("content-type", "application/json");
    match status {
        ACCEPTED => &[],
        // RFC 9110 §15.5.6: a 405 MUST name the supported methods.
        405 => &[TYPE, ("allow", "POST")],
        // RFC 9110 §10.2.3: in seconds. Capacity is available as soon as any call ends.
        503 => &[TYPE, ("retry-after", "1")],
        _ => &[TYPE],
    }
}
