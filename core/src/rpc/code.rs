//! The single table of error codes.

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
}
