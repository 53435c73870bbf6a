//! The reasons for which the bytes of a request are refused.

use core::fmt;

/// A framing or syntax error in a request. The connection is closed after the error response,
/// because the start of the next request is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// Not the head of an HTTP/1 request.
    Head,
    /// The head is larger than its buffer.
    HeadTooLarge,
    /// A version other than HTTP/1.1.
    Version,
    /// `Host` is missing, repeated, or differs from the authority of the target (RFC 9112 §3.2).
    Host,
    /// The end of the body is ambiguous (RFC 9112 §6.3).
    Framing,
    /// A transfer coding other than `chunked`.
    Coding,
    /// An expectation other than `100-continue`.
    Expectation,
    /// A chunk or its framing is malformed or too long.
    Chunk,
    /// The body is too large even to be skipped.
    BodyTooLarge,
}

impl Fault {
    /// Returns the status of the response.
    pub const fn status(self) -> u16 {
        match self {
            Self::Head | Self::Host | Self::Framing | Self::Chunk => 400,
            Self::BodyTooLarge => 413,
            Self::Expectation => 417,
            Self::HeadTooLarge => 431,
            Self::Coding => 501,
            Self::Version => 505,
        }
    }

    /// Returns the fault in words, for the error in the response.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Head => "The head is not one of HTTP/1.1",
            Self::HeadTooLarge => "The head is larger than this server takes",
            Self::Version => "Only HTTP/1.1 is served here",
            Self::Host => "Host must be there once, and be the authority of the target",
            Self::Framing => "Content-Length and Transfer-Encoding do not say where the body ends",
            Self::Coding => "The only transfer coding taken here is chunked",
            Self::Expectation => "The only expectation known here is 100-continue",
            Self::Chunk => "A chunk of the body is malformed",
            Self::BodyTooLarge => "The body is larger than this server takes",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for Fault {}
