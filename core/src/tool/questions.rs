//! Questions that a handler asks its client, with a sealed state (feature `seal`).

use super::call::unique;
use super::{Call, Catalogue, Kind, Operation, Output, ToolResult};
use crate::json::Value;
use crate::limits::{ASKED_SECONDS, ASKED_STATE};
use crate::rpc::Code;
use crate::seal::Key;

/// Asks a client questions, and recognises its answers (MCP 2026-07-28 basic/patterns/mrtr). The
/// server stores nothing in between.
///
/// A call that needs an answer ends with the question and a state. The client sends the call again,
/// with the answer and the state. The state is sealed: it counts only in a call by the same caller, of
/// the same tool and with the same arguments, and only for 15 minutes. A client can send the same
/// answer more than once in this time.
///
/// ```
/// use attache_core::prelude::*;
/// use attache_core::seal::Key;
/// use attache_core::tool::Questions;
///
/// tools! { pub mod tools for Board {
///     /// Erase the log
///     fn erase_log(Nothing, Call);
/// } }
/// static OFFERS: Tables<'static> = Tables::of_tools(tools::TOOLS);
///
/// /// The questions by key, as JSON on one line.
/// const SURE: &str = concat!(
///     r#"{"sure":{"method":"elicitation/create","params":{"mode":"form","message":"Erase the whole log?","#,
///     r#""requestedSchema":{"type":"object","properties":{"yes":{"type":"boolean"}},"required":["yes"]}}}}"#,
/// );
///
/// pub struct Board {
///     key: Key,
/// }
///
/// impl Board {
///     fn erase_log(&self, _: Nothing, call: Call<'_>, out: &mut Answer<'_>) -> ToolResult {
///         let questions = Questions::new(&OFFERS, &self.key, self.seconds());
///         let Some(answered) = questions.answered(&call) else {
///             return questions.ask(&call, out, SURE, b"");
///         };
///         let yes = answered.accepted("sure").and_then(|form| form.member("yes")?.bool());
///         out.text(if yes == Some(true) { "erased" } else { "kept" })
///     }
///
///     /// Seconds since 1970, or since the start.
///     fn seconds(&self) -> u64 {
///         1_800_000_000
///     }
/// }
/// # fn main() {}
/// ```
#[derive(Clone, Copy)]
pub struct Questions<'a> {
    offers: &'a dyn Catalogue,
    key: &'a Key,
    now: u64,
}

impl<'a> Questions<'a> {
    /// Questions of the tools, prompts and resources in `offers`. `now` is the time in seconds, of any
    /// clock. With a clock that begins at 0 at each start, use a key that is new at each start, too.
    pub const fn new(offers: &'a dyn Catalogue, key: &'a Key, now: u64) -> Self {
        Self { offers, key, now }
    }

    /// Returns the state and the answers, if the client repeats a call that has asked a question.
    /// `None` for the first try, and if the state was changed, has expired or belongs to another call:
    /// then ask again.
    pub fn answered<'b>(&self, call: &Call<'b>) -> Option<Answered<'b>> {
        let meta = call.request_meta();
        let mut opened = [0; SEALED];
        let sealed = meta.request_state?.text()?;
        let value = self.key.open(&self.binding(call)?, self.now, sealed, &mut opened)?;
        let mut answered = Answered { state: [0; ASKED_STATE], len: value.len(), responses: meta.input_responses };
        for (slot, byte) in answered.state.get_mut(..value.len())?.iter_mut().zip(value) {
            *slot = *byte;
        }
        Some(answered)
    }

    /// Ends the call with questions: `requests` is a JSON object of them by key, on one line. The
    /// client returns `state`, of at most 64 bytes, with its answers. The client can read it.
    ///
    /// A client of an earlier revision gets a failure, and a client that has not declared a capability
    /// for one of the questions gets an error that names the capability.
    ///
    /// # Errors
    /// [`ToolError::Full`](super::ToolError::Full) if the state is too long, or if the questions do not
    /// fit into the buffer.
    pub fn ask(&self, call: &Call<'_>, out: &mut Output<'_>, requests: &str, state: &[u8]) -> ToolResult {
        let binding = match self.binding(call) {
            Some(binding) if call.version().is_modern() => binding,
            _ => return out.fail("This call asks a question, for which the client must speak MCP 2026-07-28"),
        };
        // MCP 2026-07-28 basic/patterns/mrtr: "servers MUST NOT send" a request whose capability the
        // client has not declared.
        if let Some(data) = missing(call, requests) {
            let message = "The client has not declared a required capability";
            return out.reject(Code::MissingClientCapability, message, Some(data));
        }
        let expires = self.now.saturating_add(ASKED_SECONDS);
        let state = state.get(..state.len().min(ASKED_STATE + 1)).unwrap_or_default();
        out.ask_sealed(requests, |sink| self.key.seal(&binding, expires, state, &mut [0; SEALED], sink))
    }

    // MCP 2026-07-28 basic/patterns/mrtr: the state is bound to the principal and to the request.
    fn binding<'c>(&'c self, call: &Call<'c>) -> Option<[&'c [u8]; 4]> {
        let (kind, index) = call.operation().entry();
        let name: &[u8] = match (kind, call.operation()) {
            (_, Operation::Complete(..)) => return None,
            (Kind::Tool, _) => b"tool",
            (Kind::Prompt, _) => b"prompt",
            (Kind::Resource, _) => b"resource",
            (Kind::Template, _) => b"template",
        };
        let subject = call.subject().map_or(b"{}".as_slice(), |subject| subject.raw());
        Some([name, self.offers.key(kind, index)?.as_bytes(), subject, call.who().identity()])
    }
}

/// Returns the first capability that one of the questions needs and the client has not declared, as
/// the `data` of the error.
fn missing(call: &Call<'_>, requests: &str) -> Option<&'static str> {
    let declared = call.request_meta().client_capabilities;
    let has = |capability| declared.and_then(|declared| unique(declared, capability)).is_some();
    let questions = Value::parse(requests.as_bytes()).ok()?;
    let mut reader = questions.reader();
    reader.enter_object().ok()??;
    while let Some((_, question)) = reader.member().ok()? {
        let method = question.of(questions.raw()).member("method").and_then(|method| method.text()?.plain());
        let (capability, data) = match method {
            Some("elicitation/create") => ("elicitation", r#"{"requiredCapabilities":{"elicitation":{}}}"#),
            Some("sampling/createMessage") => ("sampling", r#"{"requiredCapabilities":{"sampling":{}}}"#),
            Some("roots/list") => ("roots", r#"{"requiredCapabilities":{"roots":{}}}"#),
            _ => continue,
        };
        if !has(capability) {
            return Some(data);
        }
    }
    None
}

/// The answers of a client to the questions of an earlier try of its call.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answered<'b> {
    state: [u8; ASKED_STATE],
    len: usize,
    responses: Option<Value<'b>>,
}

impl<'b> Answered<'b> {
    /// Returns the state that was given to [`Questions::ask`].
    pub fn state(&self) -> &[u8] {
        self.state.get(..self.len).unwrap_or_default()
    }

    /// Returns the answer to the question with this key, as the client sent it. Its content is from
    /// outside: check it.
    pub fn response(&self, key: &str) -> Option<Value<'b>> {
        unique(self.responses?, key)
    }

    /// Returns the form that the user has filled in and accepted; `None` if the user has declined.
    // MCP 2026-07-28 client/elicitation, "Response Actions".
    pub fn accepted(&self, key: &str) -> Option<Value<'b>> {
        let answer = self.response(key)?;
        let action = unique(answer, "action")?.text()?;
        if action.is("accept") { unique(answer, "content") } else { None }
    }
}

/// The length of the longest sealed state before Base64: its format, its expiry time and its MAC take
/// 41 bytes.
const SEALED: usize = ASKED_STATE + 41;

#[cfg(test)]
#[path = "questions_tests.rs"]
mod tests;
