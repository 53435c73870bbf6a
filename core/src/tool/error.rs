//! The reasons why a call has no result.

use crate::json::Full;
use core::fmt;

/// The outcome of a handler: `Ok` if it has written the result to the [`Output`](super::Output).
pub type ToolResult = Result<(), ToolError>;

/// The reason why a call has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ToolError {
    /// The result does not fit into the buffer. The peer gets a protocol error, never a part of the result.
    Full,
    /// The handler failed, and the peer may see this text: in a tool's result with `isError`,
    /// otherwise in an internal error.
    Failed(&'static str),
    /// There is no resource with the requested URI.
    NotFound,
    /// The argument of this name of a prompt or a completion does not fit.
    Argument(&'static str),
}

impl From<Full> for ToolError {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

impl From<fmt::Error> for ToolError {
    /// Writing fails only if the buffer is full.
    fn from(fmt::Error: fmt::Error) -> Self {
        Self::Full
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the result does not fit into the buffer"),
            Self::Failed(reason) => f.write_str(reason),
            Self::NotFound => f.write_str("there is no such resource"),
            Self::Argument(name) => write!(f, "argument {name} does not fit"),
        }
    }
}

impl core::error::Error for ToolError {}
