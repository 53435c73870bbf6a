//! All errors with which the engine responds: one row each for the code, the name and the message.

use super::Code;
use crate::json::{self, Span};
use core::fmt;

/// Makes [`Error`] and its table: a row for each cause, with the code, the name for logs and metrics,
/// and the message for the peer in two pieces. A row without one of them does not compile.
macro_rules! errors {
    ($(
        $(#[doc = $doc:literal])+
        $cause:ident $(($($field:tt : $type:ty),+))? => $code:ident, $name:literal, $message:expr;
    )+) => {
        /// The reason why a message is refused. Spans are relative to its body.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Error {
            $( $(#[doc = $doc])+ $cause $(($($type),+))?, )+
        }

        impl Error {
            /// Returns the error code.
            pub const fn code(self) -> Code {
                match self {
                    $( Self::$cause { .. } => Code::$code, )+
                }
            }

            /// Returns one sentence for the peer, in two pieces that need no escaping between quotes.
            pub const fn message(self) -> [&'static str; 2] {
                match self {
                    $( Self::$cause $(($($field),+))? => $message, )+
                }
            }

            /// Returns a stable name of the broken rule for logs and metrics, from a fixed set.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$cause { .. } => $name, )+
                }
            }
        }
    };
}

errors! {
    /// The body is not one JSON text.
    NotJson(error: json::Error) => ParseError, "not_json", ["Body is not JSON: ", error.fault.rule()];
    /// The body is an array: only revision 2025-03-26 has batches.
    Batch => InvalidRequest, "batch", ["Batches are not served: send one message at a time", ""];
    /// A batch is empty, has too many messages, or contains arrays.
    BatchSize => InvalidRequest, "batch_size", ["A batch must have 1 to 32 messages, and no arrays", ""];
    /// A message that is not allowed in a batch: the handshake, or a request of revision
    /// 2026-07-28.
    Batched => InvalidRequest, "batched", ["This message must not come in a batch", ""];
    /// The body is neither an object nor an array.
    NotAnObject => InvalidRequest, "not_an_object", ["A message must be a JSON object", ""];
    /// `jsonrpc` is missing or not `"2.0"`.
    Protocol => InvalidRequest, "protocol", ["Member 'jsonrpc' must be '2.0'", ""];
    /// `id` is not a string or an integer.
    Id => InvalidRequest, "id", ["Member 'id' must be a string or an integer", ""];
    /// `method` is missing.
    NoMethod => InvalidRequest, "no_method", ["Member 'method' is missing", ""];
    /// `method` is not a string.
    Method => InvalidRequest, "method", ["Member 'method' must be a string", ""];
    /// A member of the envelope is repeated.
    RepeatedMember => InvalidRequest, "repeated_member", ["A member of the message is there twice", ""];
    /// The message is both a request and a response.
    RequestAndAnswer => InvalidRequest, "request_and_answer",
        ["A message has 'method', or 'result' or 'error', but not both", ""];
    /// A response to which no request of the server belongs.
    UnexpectedAnswer => InvalidRequest, "unexpected_answer", ["Nothing was asked, so no answer is taken", ""];
    /// The message is larger than the server's buffer, which has this many bytes.
    TooLarge(_: usize) => InvalidRequest, "too_large",
        ["Message is larger than this server's limit in bytes", ""];
    /// A second `initialize` on an initialized connection.
    AlreadyInitialized => InvalidRequest, "already_initialized",
        ["This connection is already initialized", ""];
    /// The id belongs to a request of the same session that is still running.
    IdInUse => InvalidRequest, "id_in_use", ["Member 'id' is that of a request that still runs", ""];
    /// The id is longer than an entry of the table of running calls.
    IdTooLong => InvalidRequest, "id_too_long", ["Member 'id' is longer than 64 bytes", ""];
    /// The request needs a session and has no session id.
    NoSession => InvalidRequest, "no_session", ["Header Mcp-Session-Id is missing", ""];
    /// The session id is invalid, expired, or was issued to another caller.
    UnknownSession => InvalidRequest, "unknown_session",
        ["Session not found: initialize again, without a session id", ""];
    /// The target is unknown to this process, and the session was opened by another replica or
    /// before a restart.
    Elsewhere => InvalidRequest, "elsewhere",
        ["Not known to this replica: the session needs affinity to the one that opened it", ""];
    /// The server does not have the method at this span.
    MethodNotFound(_: Span) => MethodNotFound, "method_not_found", ["Method not found", ""];
    /// A member of `params` is missing, of the wrong type, or repeated.
    Param(param: Param) => InvalidParams, "param", param.sentence();
    /// `_meta` lacks a key that revision 2026-07-28 requires in each request.
    Meta(missing: Missing) => InvalidParams, "meta",
        ["Missing or of the wrong type: params._meta.", missing.name()];
    /// No tool has the name at this span.
    UnknownTool(_: Span) => InvalidParams, "unknown_tool", ["Unknown tool", ""];
    /// No prompt has the name at this span.
    UnknownPrompt(_: Span) => InvalidParams, "unknown_prompt", ["Unknown prompt", ""];
    /// The prompt has no argument with the name at this span.
    UnknownArgument(_: Span) => InvalidParams, "unknown_argument", ["This prompt has no such argument", ""];
    /// The template, or the resource, has no variable with the name at this span.
    UnknownVariable(_: Span) => InvalidParams, "unknown_argument", ["This URI has no such variable", ""];
    /// No resource has the URI at this span.
    UnknownResource(_: Span) => InvalidParams, "unknown_resource", ["No such resource", ""];
    /// Like `UnknownResource`, for clients of revisions before 2026-07-28.
    UnknownResourceLegacy(_: Span) => ResourceNotFound, "unknown_resource", ["No such resource", ""];
    /// The prompt or resource of a completion request does not exist.
    UnknownReference => InvalidParams, "unknown_reference",
        ["There is no such prompt or resource to complete for", ""];
    /// The cursor was not issued by this server, or the list has changed since.
    UnknownCursor => InvalidParams, "unknown_cursor", ["Unknown cursor: start again without one", ""];
    /// The argument with this name, of a prompt or a completion, is missing, repeated or invalid.
    Argument(name: &'static str) => InvalidParams, "argument",
        ["Missing, repeated or not fitting: argument ", name];
    /// The server failed, for a reason that the peer may see.
    Failed(reason: &'static str) => InternalError, "failed", [reason, ""];
    /// The server has no capacity now, for this reason; the client may retry later.
    Busy(reason: &'static str) => InternalError, "busy", [reason, ""];
    /// The response to the method is a stream, which the client's `Accept` excludes.
    NotAcceptable => InvalidRequest, "not_acceptable",
        ["This method is answered by a stream: Accept must allow text/event-stream", ""];
    /// A header is missing, malformed, or contradicts the body.
    Header(header: Header, fault: HeaderFault) => HeaderMismatch, "header", [header.name(), fault.sentence()];
    /// The server does not support the version at this span, which covers the string with its
    /// quotes.
    UnsupportedVersion(_: Span) => UnsupportedProtocolVersion, "unsupported_version",
        ["Protocol version not supported", ""];
    /// The result does not fit into the response buffer.
    ResultTooLarge => InternalError, "result_too_large",
        ["Result is larger than this server's buffer for answers", ""];
    /// The adapter refused the request before it read the body, for this reason.
    Refused(reason: &'static str) => InvalidRequest, "refused", [reason, ""];
}

impl Error {
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

impl Param {
    const fn sentence(self) -> [&'static str; 2] {
        match self {
            Self::Params => ["Member 'params' must be an object", ""],
            param => ["Missing, repeated or of the wrong type: params.", param.name()],
        }
    }

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
