//! The outcome of a call of any kind, and how it is written.

use super::page::UserPage;
use super::{Contents, Failure, PromptOutput, TextStream, ToolOutput};
use attache_core::rpc::Code;
use attache_core::tool::{Output, ToolError, ToolResult};
use core::fmt;
use core::future::{poll_fn, ready};
use core::panic::AssertUnwindSafe;
use core::pin::{Pin, pin};
use core::task::Poll;
use serde_json::{Map, Value, json};
use std::panic::catch_unwind;

/// A running call.
pub(crate) type Run = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The result of a call.
#[derive(Debug)]
pub(crate) enum Outcome {
    Tool(ToolOutput),
    Prompt(PromptOutput),
    Read(Contents),
    Values(Vec<String>),
    /// A protocol error. Only tools report failures in a result.
    Rejected(Code, String),
    /// The client has not declared a required capability, which this JSON names.
    Needs(String),
    /// Questions to the client: the requests and the sealed state.
    Asks(Map<String, Value>, Option<String>),
    /// The user must visit this page first; for clients of revision 2025-11-25.
    Page(UserPage),
    /// The resource does not exist.
    NotFound,
    /// The result of another server.
    Forwarded(Forwarded),
    /// The error of another server: an integer, a sentence, and JSON on one line.
    Failed {
        code: String,
        message: String,
        data: Option<String>,
    },
}

/// A result from another server.
#[derive(Debug)]
pub(crate) struct Forwarded {
    /// The members of the result object but `resultType` and `_meta`, on one line.
    pub(crate) members: String,
    /// The members of `_meta` that the protocol does not reserve, on one line.
    pub(crate) meta: String,
    /// Whether the tool failed.
    pub(crate) is_error: bool,
}

/// A text that is sent while it is produced: the contents of a resource of this media type, or,
/// without a media type, the result of a tool.
pub(crate) struct StreamedText {
    pub(crate) text: TextStream,
    pub(crate) mime_type: Option<String>,
}

impl StreamedText {
    /// Returns the outcome for a text that failed before any of it was sent.
    pub(crate) fn failed(&self, error: super::ToolError) -> Outcome {
        Outcome::of_failure(error.into_failure(), self.mime_type.is_none(), || None)
    }
}

impl Outcome {
    pub(crate) fn write(&self, out: &mut Output<'_>) -> ToolResult {
        match self {
            Self::Tool(output) => output.write(out),
            Self::Prompt(output) => output.write(&mut out.messages()),
            Self::Read(contents) => contents.write(&mut out.contents()),
            Self::Values(values) => values.iter().try_for_each(|value| out.values().value(value)),
            Self::Rejected(code, message) => out.reject(*code, message, None),
            Self::Needs(data) => out.reject(
                Code::MissingClientCapability,
                "The client has not declared a required capability",
                Some(data),
            ),
            Self::Asks(questions, state) => out.ask(&Value::from(questions.clone()).to_string(), state.as_deref()),
            // MCP 2025-11-25 client/elicitation, "URL Elicitation Required Error": the error may
            // list URL-mode elicitations only.
            Self::Page(UserPage { id, message, url }) => {
                let page = json!({ "mode": "url", "elicitationId": id, "message": message, "url": url });
                let data = json!({ "elicitations": [page] }).to_string();
                out.reject(Code::PageRequired, "A person has to open a page first", Some(&data))
            }
            Self::NotFound => Err(ToolError::NotFound),
            Self::Forwarded(Forwarded { members, meta, .. }) => out.forward_result(members, meta),
            Self::Failed { code, message, data } => out.forward_error(code, message, data.as_deref()),
        }
    }

    /// Takes the text that is sent while it is produced, if there is one.
    pub(crate) fn take_stream(&mut self) -> Option<StreamedText> {
        match self {
            Self::Tool(output) => output.take_stream().map(|text| StreamedText { text, mime_type: None }),
            Self::Read(contents) => {
                let mime_type = Some(contents.mime_type().to_owned());
                contents.take_stream().map(|text| StreamedText { text, mime_type })
            }
            _ => None,
        }
    }

    /// Estimates the size of the whole answer in bytes.
    pub(crate) fn size_hint(&self) -> usize {
        const AROUND: usize = 256;
        let inside = match self {
            Self::Tool(output) => output.size_hint(),
            Self::Prompt(output) => output.size_hint(),
            Self::Read(contents) => contents.size_hint(),
            Self::Values(values) => values.iter().map(|value| value.len() + 3).sum(),
            Self::Asks(questions, state) => questions.len() * AROUND + state.as_ref().map_or(0, String::len),
            Self::Forwarded(Forwarded { members, meta, .. }) => members.len() + meta.len(),
            Self::Failed { message, data, .. } => message.len() + data.as_ref().map_or(0, String::len),
            Self::Needs(_) | Self::Rejected(..) | Self::Page(_) | Self::NotFound => 0,
        };
        inside + AROUND
    }

    /// Returns the outcome for a failure. A tool's failure is reported to the model in a result.
    /// `seal` creates the state that is sent with questions.
    pub(crate) fn of_failure(failure: Failure, of_tool: bool, seal: impl FnOnce() -> Option<String>) -> Self {
        match failure {
            Failure::User(text) if of_tool => Self::Tool(ToolOutput::failed(text)),
            Failure::User(text) | Failure::Invalid(text) => Self::Rejected(Code::InvalidParams, text),
            Failure::Internal(cause) if of_tool => tool_crashed(&cause),
            Failure::Internal(cause) => crashed(&cause),
            Failure::NotFound if of_tool => Self::Tool(ToolOutput::failed("There is no such thing.".to_owned())),
            Failure::NotFound => Self::NotFound,
            Failure::Asks(questions) => Self::Asks(questions, seal()),
            Failure::Page(page) => Self::Page(page),
            Failure::Needs(capability) => Self::Needs(json!({ "requiredCapabilities": capability }).to_string()),
        }
    }
}

/// Returns the outcome for a tool that failed for a reason that the peer must not see.
pub(crate) fn tool_crashed(cause: &dyn fmt::Display) -> Outcome {
    Outcome::Tool(ToolOutput::failed(logged("tool", cause)))
}

/// Returns the outcome for a request that failed for a reason that the peer must not see: one fixed
/// sentence, with an identifier under which the log has the reason.
pub(crate) fn crashed(cause: &dyn fmt::Display) -> Outcome {
    Outcome::Rejected(Code::InternalError, logged("request", cause))
}

/// Writes `cause` to the log, and returns the sentence for the peer.
fn logged(what: &str, cause: &dyn fmt::Display) -> String {
    use core::hash::{BuildHasher, Hasher};
    // An identifier to find this failure in the log. It is not a secret. Each `RandomState` has
    // different keys, so the hash of nothing differs each time.
    let id = format!("{:016x}", std::hash::RandomState::new().build_hasher().finish());
    tracing::error!(correlation = %id, %cause, "a {what} failed");
    format!("The {what} failed. The server's log has the cause under {id}.")
}

/// Runs the future that `begin` returns so that a panic ends only this call. `failed` makes the
/// outcome of a panic.
pub(crate) fn guarded<Fut>(
    begin: impl FnOnce() -> Result<Fut, Outcome>,
    failed: fn(&dyn fmt::Display) -> Outcome,
) -> Run
where
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let panicked = move |_| failed(&"the handler panicked");
    let run = match catch_unwind(AssertUnwindSafe(begin)) {
        Ok(Ok(run)) => run,
        Ok(Err(outcome)) => return Box::pin(ready(outcome)),
        Err(panic) => return Box::pin(ready(panicked(panic))),
    };
    Box::pin(async move {
        let mut run = pin!(run);
        // A future that panicked is never polled again, so its broken state is never observed.
        poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(panicked(panic)),
        })
        .await
    })
}
