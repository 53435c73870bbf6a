//! Questions of a server, and their answers.

use serde_json::{Value, json};

/// A question of a server: see [`Client::answers`](super::Client::answers).
#[derive(Clone, Debug)]
pub struct Question {
    pub(super) key: Option<String>,
    pub(super) request: Value,
}

impl Question {
    /// Returns the key that the handler has given to [`Ctx::ask`](crate::Ctx::ask). `None` before
    /// revision 2026-07-28, where questions have numbers.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the method: `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub fn method(&self) -> &str {
        self.request["method"].as_str().unwrap_or_default()
    }

    /// Returns the text that the user reads. Empty if the question is not for the user.
    pub fn message(&self) -> &str {
        self.params()["message"].as_str().unwrap_or_default()
    }

    /// Returns the parameters of the question.
    pub fn params(&self) -> &Value {
        &self.request["params"]
    }
}

/// The answer to a question: see [`Client::answers`](super::Client::answers).
#[derive(Clone, Debug, PartialEq)]
pub struct Answer(pub(super) Value);

impl Answer {
    /// The user has filled in the form.
    pub fn accept(content: Value) -> Self {
        Self(json!({ "action": "accept", "content": content }))
    }

    /// The user has agreed to open the page.
    pub fn open_page() -> Self {
        Self(json!({ "action": "accept" }))
    }

    /// The user says no.
    pub fn decline() -> Self {
        Self(json!({ "action": "decline" }))
    }

    /// The user dismisses the question.
    pub fn cancel() -> Self {
        Self(json!({ "action": "cancel" }))
    }

    /// The client's model writes this text.
    pub fn sampled(text: &str) -> Self {
        Self(json!({ "role": "assistant", "model": "test", "content": { "type": "text", "text": text } }))
    }

    /// The client has these roots, by their URIs.
    pub fn roots<'u>(uris: impl IntoIterator<Item = &'u str>) -> Self {
        let roots: Vec<_> = uris.into_iter().map(|uri| json!({ "uri": uri })).collect();
        Self(json!({ "roots": roots }))
    }

    /// Any other result of the question's method, for example one that a server must refuse.
    pub const fn raw(result: Value) -> Self {
        Self(result)
    }
}
