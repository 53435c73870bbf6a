//! All errors with which the engine responds, and the single table of error codes.

use crate::json::{self, Span};
use core::fmt;

/// The error codes of the protocol.
///
/// MCP 2026-07-28 basic/index, "Error Codes": from -32020 to -32099 a server may emit only the
/// three codes defined there, and it must not emit -32000 to -32019.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Code {
    /// -32700: the bytes are not JSON.
    ParseError,
    /// -32600: the body is JSON but not a valid request.
    InvalidRequest,
    /// -32601: the server does not have this method.
    MethodNotFound,
    /// -32602: the parameters do not fit the method.
    InvalidParams,
    /// -32603: the server failed.
    InternalError,
    /// -32002: the resource does not exist; used only before revision 2026-07-28.
    ResourceNotFound,
    /// -32042: the user must open a web page first; used only in revision 2025-11-25.
    PageRequired,
    /// -32020: a header is missing, malformed or contradicts the body.
    HeaderMismatch,
    /// -32021: the request needs a capability that the client has not declared.
    MissingClientCapability,
    /// -32022: the server does not support the request's protocol version.
    UnsupportedProtocolVersion,
}

impl Code {
    /// Returns the code as text, as it appears in a response.
    pub const fn digits(self) -> &'static str {
        match self {
            Self::ParseError => "-32700",
            Self::InvalidRequest => "-32600",
            Self::MethodNotFound => "-32601",
            Self::InvalidParams => "-32602",
            Self::InternalError => "-32603",
            Self::ResourceNotFound => "-32002",
            Self::PageRequired => "-32042",
            Self::HeaderMismatch => "-32020",
            Self::MissingClientCapability => "-32021",
            Self::UnsupportedProtocolVersion => "-32022",
        }
    }

    /// Returns the code for `digits` from another server's error; a code that this protocol does
    /// not define becomes an internal error.
    pub fn forwarded(digits: &str) -> Self {
        const FORWARDED: [Code; 6] = [
            Code::InvalidParams,
            Code::MethodNotFound,
            Code::InvalidRequest,
            Code::ResourceNotFound,
            Code::PageRequired,
            Code::MissingClientCapability,
        ];
        FORWARDED.into_iter().find(|code| code.digits() == digits).unwrap_or(Self::InternalError)
    }
}

/// The reason why a message is refused. Spans are relative to its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The body is not one JSON text.
    NotJson(json::Error),
    /// The body is an array: only revision 2025-03-26 has batches.
    Batch,
    /// A batch is empty, has too many messages, or contains arrays.
    BatchSize,
    /// A message that is not allowed in a batch: the handshake, or a request of revision
    /// 2026-07-28.
    Batched,
    /// The body is neither an object nor an array.
    NotAnObject,
    /// `jsonrpc` is missing or not `"2.0"`.
    Protocol,
    /// `id` is not a string or an integer.
    Id,
    /// `method` is missing.
    NoMethod,
    /// `method` is not a string.
    Method,
    /// A member of the envelope is repeated.
    RepeatedMember,
    /// The message is both a request and a response.
    RequestAndAnswer,
    /// A response to which no request of the server belongs.
    UnexpectedAnswer,
    /// The message is larger than the server's buffer, which has this many bytes.
    TooLarge(usize),
    /// A second `initialize` on an initialized connection.
    AlreadyInitialized,
    /// The id belongs to a request of the same session that is still running.
    IdInUse,
    /// The id is longer than an entry of the table of running calls.
    IdTooLong,
    /// The request needs a session and has no session id.
    NoSession,
    /// The session id is invalid, expired, or was issued to another caller.
    UnknownSession,
    /// The target is unknown to this process, and the session was opened by another replica or
    /// before a restart.
    Elsewhere,
    /// The server does not have the method at this span.
    MethodNotFound(Span),
    /// A member of `params` is missing, of the wrong type, or repeated.
    Param(Param),
    /// `_meta` lacks a key that revision 2026-07-28 requires in each request.
    Meta(Missing),
    /// No tool has the name at this span.
    UnknownTool(Span),
    /// No prompt has the name at this span.
    UnknownPrompt(Span),
    /// The prompt has no argument with the name at this span.
    UnknownArgument(Span),
    /// The template, or the resource, has no variable with the name at this span.
    UnknownVariable(Span),
    /// No resource has the URI at this span.
    UnknownResource(Span),
    /// Like `UnknownResource`, for clients of revisions before 2026-07-28.
    UnknownResourceLegacy(Span),
    /// The prompt or resource of a completion request does not exist.
    UnknownReference,
    /// The cursor was not issued by this server, or the list has changed since.
    UnknownCursor,
    /// The argument with this name, of a prompt or a completion, is missing, repeated or invalid.
    Argument(&'static str),
    /// The server failed, for a reason that the peer may see.
    Failed(&'static str),
    /// The server has no capacity now, for this reason; the client may retry later.
    Busy(&'static str),
    /// The response to the method is a stream, which the client's `Accept` excludes.
    NotAcceptable,
    /// A header is missing, malformed, or contradicts the body.
    Header(Header, HeaderFault),
    /// The server does not support the version at this span, which covers the string with its
    /// quotes.
    UnsupportedVersion(Span),
    /// The result does not fit into the response buffer.
    ResultTooLarge,
    /// The adapter refused the request before it read the body, for this reason.
    Refused(&'static str),
}

/// The members of `params` that a method reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Param {
    /// `params` itself.
    Params,
    /// `_meta`.
    Meta,
    /// `name` of a tool.
    Name,
    /// `arguments` of a tool.
    Arguments,
    /// `cursor` of a list.
    Cursor,
    /// `uri` of a resource.
    Uri,
    /// `ref` of a completion.
    Reference,
    /// `argument` of a completion.
    Argument,
    /// `context` of a completion.
    Context,
    /// `notifications` of a subscription.
    Notifications,
    /// `io.modelcontextprotocol/logLevel` in `_meta`.
    LogLevel,
    /// `level` of `logging/setLevel`.
    Level,
    /// `protocolVersion` of `initialize`.
    ProtocolVersion,
    /// `capabilities` of `initialize`.
    Capabilities,
    /// `clientInfo` of `initialize`.
    ClientInfo,
}

/// A key that each modern request must have in `_meta` (MCP 2026-07-28 basic/index, "Request
/// metadata").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Missing {
    /// No `io.modelcontextprotocol/protocolVersion` string.
    ProtocolVersion,
    /// No `io.modelcontextprotocol/clientCapabilities` object.
    ClientCapabilities,
}

/// The headers that mirror the body (MCP 2026-07-28 basic/transports/streamable-http).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Header {
    /// `MCP-Protocol-Version`
    ProtocolVersion,
    /// `Mcp-Method`
    Method,
    /// `Mcp-Name`
    Name,
    /// One of `Mcp-Param-…`
    Param,
}

/// The possible faults of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HeaderFault {
    /// The header is absent.
    Missing,
    /// The header occurs more than once.
    Repeated,
    /// The value contains bytes that are not allowed in a header value, or a broken Base64
    /// sentinel.
    Malformed,
    /// The value differs from the body.
    Differs,
    /// The value names a version that the server does not support.
    Unsupported,
    /// The value names another version than the one the session has agreed on.
    Session,
}

impl Error {
    /// Returns the error code.
    pub const fn code(self) -> Code {
        match self {
            Self::NotJson(_) => Code::ParseError,
            Self::Batch
            | Self::NotAnObject
            | Self::Protocol
            | Self::Id
            | Self::NoMethod
            | Self::Method
            | Self::RepeatedMember
            | Self::RequestAndAnswer
            | Self::UnexpectedAnswer
            | Self::TooLarge(_)
            | Self::AlreadyInitialized
            | Self::BatchSize
            | Self::Batched
            | Self::IdInUse
            | Self::IdTooLong
            | Self::NoSession
            | Self::UnknownSession
            | Self::Elsewhere
            | Self::NotAcceptable
            | Self::Refused(_) => Code::InvalidRequest,
            Self::MethodNotFound(_) => Code::MethodNotFound,
            Self::Param(_)
            | Self::Meta(_)
            | Self::UnknownTool(_)
            | Self::UnknownPrompt(_)
            | Self::UnknownResource(_)
            | Self::UnknownArgument(_)
            | Self::UnknownVariable(_)
            | Self::UnknownReference
            | Self::UnknownCursor
            | Self::Argument(_) => Code::InvalidParams,
            Self::UnknownResourceLegacy(_) => Code::ResourceNotFound,
            Self::Header(..) => Code::HeaderMismatch,
            Self::UnsupportedVersion(_) => Code::UnsupportedProtocolVersion,
            Self::ResultTooLarge | Self::Failed(_) | Self::Busy(_) => Code::InternalError,
        }
    }

    /// Returns one sentence for the peer, in two pieces that need no escaping between quotes.
    pub const fn message(self) -> [&'static str; 2] {
        match self {
            Self::NotJson(error) => ["Body is not JSON: ", error.fault.rule()],
            Self::Batch => ["Batches are not served: send one message at a time", ""],
            Self::BatchSize => ["A batch must have 1 to 32 messages, and no arrays", ""],
            Self::Batched => ["This message must not come in a batch", ""],
            Self::IdInUse => ["Member 'id' is that of a request that still runs", ""],
            Self::IdTooLong => ["Member 'id' is longer than 64 bytes", ""],
            Self::NoSession => ["Header Mcp-Session-Id is missing", ""],
            Self::UnknownSession => ["Session not found: initialize again, without a session id", ""],
            Self::Elsewhere => ["Not known to this replica: the session needs affinity to the one that opened it", ""],
            Self::NotAcceptable => ["This method is answered by a stream: Accept must allow text/event-stream", ""],
            Self::NotAnObject => ["A message must be a JSON object", ""],
            Self::Protocol => ["Member 'jsonrpc' must be '2.0'", ""],
            Self::Id => ["Member 'id' must be a string or an integer", ""],
            Self::NoMethod => ["Member 'method' is missing", ""],
            Self::Method => ["Member 'method' must be a string", ""],
            Self::RepeatedMember => ["A member of the message is there twice", ""],
            Self::RequestAndAnswer => ["A message has 'method', or 'result' or 'error', but not both", ""],
            Self::UnexpectedAnswer => ["Nothing was asked, so no answer is taken", ""],
            Self::TooLarge(_) => ["Message is larger than this server's limit in bytes", ""],
            Self::AlreadyInitialized => ["This connection is already initialized", ""],
            Self::MethodNotFound(_) => ["Method not found", ""],
            Self::Param(Param::Params) => ["Member 'params' must be an object", ""],
            Self::Param(param) => ["Missing, repeated or of the wrong type: params.", param.name()],
            Self::Meta(missing) => ["Missing or of the wrong type: params._meta.", missing.name()],
            Self::UnknownTool(_) => ["Unknown tool", ""],
            Self::UnknownPrompt(_) => ["Unknown prompt", ""],
            Self::UnknownResource(_) | Self::UnknownResourceLegacy(_) => ["No such resource", ""],
            Self::UnknownArgument(_) => ["This prompt has no such argument", ""],
            Self::UnknownVariable(_) => ["This URI has no such variable", ""],
            Self::UnknownReference => ["There is no such prompt or resource to complete for", ""],
            Self::Argument(name) => ["Missing, repeated or not fitting: argument ", name],
            Self::Failed(reason) | Self::Busy(reason) => [reason, ""],
            Self::UnknownCursor => ["Unknown cursor: start again without one", ""],
            Self::Header(header, fault) => [header.name(), fault.sentence()],
            Self::UnsupportedVersion(_) => ["Protocol version not supported", ""],
            Self::ResultTooLarge => ["Result is larger than this server's buffer for answers", ""],
            Self::Refused(reason) => [reason, ""],
        }
    }

    /// Returns a stable name of the broken rule for logs and metrics, from a fixed set.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotJson(_) => "not_json",
            Self::Batch => "batch",
            Self::NotAnObject => "not_an_object",
            Self::Protocol => "protocol",
            Self::Id => "id",
            Self::NoMethod => "no_method",
            Self::Method => "method",
            Self::RepeatedMember => "repeated_member",
            Self::RequestAndAnswer => "request_and_answer",
            Self::UnexpectedAnswer => "unexpected_answer",
            Self::TooLarge(_) => "too_large",
            Self::AlreadyInitialized => "already_initialized",
            Self::MethodNotFound(_) => "method_not_found",
            Self::Param(_) => "param",
            Self::Meta(_) => "meta",
            Self::UnknownTool(_) => "unknown_tool",
            Self::UnknownPrompt(_) => "unknown_prompt",
            Self::UnknownResource(_) | Self::UnknownResourceLegacy(_) => "unknown_resource",
            Self::UnknownArgument(_) | Self::UnknownVariable(_) => "unknown_argument",
            Self::UnknownReference => "unknown_reference",
            Self::UnknownCursor => "unknown_cursor",
            Self::Argument(_) => "argument",
            Self::Failed(_) => "failed",
            Self::Busy(_) => "busy",
            Self::BatchSize => "batch_size",
            Self::Batched => "batched",
            Self::IdInUse => "id_in_use",
            Self::IdTooLong => "id_too_long",
            Self::NoSession => "no_session",
            Self::UnknownSession => "unknown_session",
            Self::Elsewhere => "elsewhere",
            Self::NotAcceptable => "not_acceptable",
            Self::Header(..) => "header",
            Self::UnsupportedVersion(_) => "unsupported_version",
            Self::ResultTooLarge => "result_too_large",
            Self::Refused(_) => "refused",
        }
    }

    /// Returns the span of the name that the error message repeats to the peer.
    pub const fn about(self) -> Option<Span> {
        match self {
            Self::MethodNotFound(name)
            | Self::UnknownTool(name)
            | Self::UnknownPrompt(name)
            | Self::UnknownArgument(name)
            | Self::UnknownVariable(name) => Some(name),
            _ => None,
        }
    }
}

impl Param {
    const fn name(self) -> &'static str {
        match self {
            Self::Params => "",
            Self::Meta => "_meta",
            Self::Name => "name",
            Self::Arguments => "arguments",
            Self::Cursor => "cursor",
            Self::Uri => "uri",
            Self::Reference => "ref",
            Self::Argument => "argument",
            Self::Context => "context",
            Self::Notifications => "notifications",
            Self::Level => "level",
            Self::LogLevel => "_meta.io.modelcontextprotocol/logLevel",
            Self::ProtocolVersion => "protocolVersion",
            Self::Capabilities => "capabilities",
            Self::ClientInfo => "clientInfo",
        }
    }
}

impl Missing {
    /// Returns the key in `_meta`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProtocolVersion => "io.modelcontextprotocol/protocolVersion",
            Self::ClientCapabilities => "io.modelcontextprotocol/clientCapabilities",
        }
    }
}

impl Header {
    /// Returns the name of the header field.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProtocolVersion => "MCP-Protocol-Version",
            Self::Method => "Mcp-Method",
            Self::Name => "Mcp-Name",
            Self::Param => "An Mcp-Param header",
        }
    }
}

impl HeaderFault {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Missing => " is missing",
            Self::Repeated => " is there more than once",
            Self::Malformed => " is malformed",
            Self::Differs => " differs from the body",
            Self::Session => " differs from what the session has agreed on",
            Self::Unsupported => " names a version that is not served here",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [what, which] = self.message();
        write!(f, "{what}{which} ({})", self.code().digits())
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    // RPC-16, RPC-17, RPC-18, RPC-19
    #[test]
    fn code_is_one_that_the_protocol_defines() {
        use Code::*;
        for code in [
            ParseError,
            InvalidRequest,
            MethodNotFound,
            InvalidParams,
            InternalError,
            ResourceNotFound,
            PageRequired,
            HeaderMismatch,
            MissingClientCapability,
            UnsupportedProtocolVersion,
        ] {
            let number: i32 = code.digits().parse().unwrap();
            let allowed = match code {
                // Only in responses to clients of revisions before 2026-07-28.
                ResourceNotFound => number == -32002,
                PageRequired => number == -32042,
                _ => matches!(number, -32700 | -32603..=-32600 | -32022..=-32020),
            };
            assert!(allowed, "{code:?}");
        }
    }

    // RPC-22
    #[test]
    fn message_is_one_short_sentence() {
        let span = json::Reader::new(b"1").unwrap().skip().unwrap().span();
        for error in [
            Error::Batch,
            Error::NotAnObject,
            Error::Protocol,
            Error::Id,
            Error::NoMethod,
            Error::Method,
            Error::RepeatedMember,
            Error::RequestAndAnswer,
            Error::UnexpectedAnswer,
            Error::TooLarge(1),
            Error::AlreadyInitialized,
            Error::BatchSize,
            Error::Batched,
            Error::IdInUse,
            Error::IdTooLong,
            Error::NoSession,
            Error::UnknownSession,
            Error::Elsewhere,
            Error::NotAcceptable,
            Error::MethodNotFound(span),
            Error::Param(Param::Params),
            Error::Param(Param::LogLevel),
            Error::Meta(Missing::ClientCapabilities),
            Error::UnknownTool(span),
            Error::UnknownPrompt(span),
            Error::UnknownResource(span),
            Error::UnknownArgument(span),
            Error::UnknownVariable(span),
            Error::UnknownReference,
            Error::UnknownCursor,
            Error::Argument("x"),
            Error::Header(Header::ProtocolVersion, HeaderFault::Unsupported),
            Error::UnsupportedVersion(span),
            Error::ResultTooLarge,
        ] {
            let [what, which] = error.message();
            assert!(what.starts_with(|first: char| first.is_ascii_uppercase()), "{error}");
            assert!(what.len() + which.len() <= 100 && !what.contains(['\n', '"']) && !what.contains(". "), "{error}");
        }
    }
}
