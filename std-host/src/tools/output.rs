//! What a tool answers with.

use attache_core::tool::{Output, ToolResult};
use core::fmt;

/// The result of a tool: blocks of content, and whether they tell of a failure.
#[derive(Clone, Debug, Default)]
pub struct ToolOutput {
    content: Vec<Content>,
    failed: bool,
}

/// One block of a result (MCP server/tools, "Tool Result").
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// Text for the model.
    Text(String),
}

impl ToolOutput {
    /// A result of these blocks.
    pub fn new(content: impl IntoIterator<Item = Content>) -> Self {
        Self { content: content.into_iter().collect(), failed: false }
    }

    /// A failure that the model can read and act on.
    pub fn failed(reason: String) -> Self {
        Self { content: vec![Content::Text(reason)], failed: true }
    }

    pub(crate) fn write(&self, out: &mut Output<'_>) -> ToolResult {
        if self.failed {
            out.mark_failed();
        }
        self.content.iter().try_for_each(|Content::Text(text)| out.text(text))
    }

    /// About how many bytes the whole answer will have.
    pub(crate) fn size_hint(&self) -> usize {
        const AROUND: usize = 256;
        self.content.iter().map(|Content::Text(text)| text.len() + text.len() / 8).sum::<usize>() + AROUND
    }
}

/// What a tool's closure may end with.
pub trait IntoToolOutput: Send + 'static {
    /// The result that the peer gets.
    fn into_output(self) -> ToolOutput;
}

impl IntoToolOutput for ToolOutput {
    fn into_output(self) -> ToolOutput {
        self
    }
}

impl IntoToolOutput for String {
    fn into_output(self) -> ToolOutput {
        ToolOutput::new([Content::Text(self)])
    }
}

impl IntoToolOutput for &'static str {
    fn into_output(self) -> ToolOutput {
        self.to_owned().into_output()
    }
}

impl IntoToolOutput for () {
    fn into_output(self) -> ToolOutput {
        ToolOutput::default()
    }
}

impl<T: IntoToolOutput> IntoToolOutput for Result<T, ToolError> {
    fn into_output(self) -> ToolOutput {
        match self {
            Ok(output) => output.into_output(),
            Err(error) => error.into_output(),
        }
    }
}

/// Why a tool failed.
///
/// What `user` is given reaches the model. Any other error stays here: `?` turns it into one fixed sentence with an
/// identifier, and its text goes to the log under that identifier, because it may hold what a peer must not see.
#[derive(Clone, Debug)]
pub struct ToolError(Cause);

#[derive(Clone, Debug)]
enum Cause {
    User(String),
    Internal(String),
}

impl ToolError {
    /// A failure that the model may read, in words that let it do better.
    pub fn user(text: impl Into<String>) -> Self {
        Self(Cause::User(text.into()))
    }

    pub(super) fn internal(cause: &dyn fmt::Display) -> Self {
        Self(Cause::Internal(cause.to_string()))
    }
}

impl<E: core::error::Error> From<E> for ToolError {
    fn from(error: E) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        Self(Cause::Internal(cause))
    }
}

impl IntoToolOutput for ToolError {
    fn into_output(self) -> ToolOutput {
        self.0.into_output()
    }
}

impl IntoToolOutput for Cause {
    fn into_output(self) -> ToolOutput {
        match self {
            Self::User(text) => ToolOutput::failed(text),
            Self::Internal(cause) => {
                let id = correlation_id();
                tracing::error!(correlation = %id, %cause, "a tool failed");
                ToolOutput::failed(format!("The tool failed. The server's log has the cause under {id}."))
            }
        }
    }
}

/// A name for one failure, to be found again in the log. It is no secret and guards nothing.
fn correlation_id() -> String {
    use core::hash::{BuildHasher, Hasher};
    // Each `RandomState` has other keys, so the hash of nothing differs each time.
    format!("{:016x}", std::hash::RandomState::new().build_hasher().finish())
}
