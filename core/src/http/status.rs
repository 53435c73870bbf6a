//! The status of an answer (MCP 2026-07-28 streamable-http). Where the protocol leaves it open, the comment says "customary".

use crate::era::Version;
use crate::rpc::{Code, Error, Param};

/// The status of a result.
pub const OK: u16 = 200;

/// The status of a notification or an answer that was taken; its body is empty.
pub const ACCEPTED: u16 = 202;

/// The status of an error answer to a request of `version`; `None` where the request did not get as far as having one.
pub fn status(error: Error, version: Option<Version>) -> u16 {
    match error {
        Error::TooLarge(_) => 413,
        // MCP 2025-11-25 basic/transports, "Session Management": 404 means that the session is gone, and nothing else.
        Error::UnknownSession => 404,
        // RFC 9110 §15.5.7.
        Error::NotAcceptable => 406,
        // Customary: the same request may be taken later.
        Error::Busy(_) => 503,
        // "404 with a -32601 body identifies a modern server". To a legacy client a 404 means that its session is gone
        // (MCP 2025-11-25 basic/transports, Session Management), so there it is an ordinary answer.
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
        // Customary: what a method itself says of its parameters travels as an ordinary answer.
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

/// The status of an error that a handler has answered with.
// MCP 2026-07-28 basic/index: 400 where the client has not declared what the request needs.
pub const fn rejected(code: Code) -> u16 {
    match code {
        Code::MissingClientCapability => 400,
        _ => OK,
    }
}

/// The header fields that go with a status, besides the length of the body.
pub const fn fields(status: u16) -> &'static [(&'static str, &'static str)] {
    const TYPE: (&str, &str) = ("content-type", "application/json");
    match status {
        ACCEPTED => &[],
        // RFC 9110 §15.5.6: a 405 MUST name the methods that are served.
        405 => &[TYPE, ("allow", "POST")],
        // RFC 9110 §10.2.3: in seconds. A place is free as soon as any call ends.
        503 => &[TYPE, ("retry-after", "1")],
        _ => &[TYPE],
    }
}
