//! Why the bytes of a request are not understood.

use core::fmt;

/// What is wrong with the bytes. The connection ends with the answer to it: where the next request would begin is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// Not the head of a request of HTTP/1.
    Head,
    /// The head is larger than its buffer.
    HeadTooLarge,
    /// Another version than HTTP/1.1.
    Version,
    /// `Host` is missing, there more than once, or differs from the authority of the target (RFC 9112 §3.2).
    Host,
    /// Where the body ends could be read in two ways (RFC 9112 §6.3).
    Framing,
    /// A transfer coding other than `chunked`.
    Coding,
    /// An expectation other than `100-continue`.
    Expectation,
    /// A chunk, or what stands around it, is malformed or too long.
    Chunk,
    /// The body is so large that not even skipping it is worth while.
    BodyTooLarge,
}

impl Fault {
    /// The status of the answer.
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

    /// The same in words, for the error in the answer.
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
