//! Questions of a server to its client: forms and pages for the user, sampling, roots.

use super::raw::RawJson;
use attache_core::era;
use core::fmt;
use tokio::sync::oneshot;

/// The method of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuestionMethod {
    /// `elicitation/create`: a form to fill in, or a page to visit.
    Elicitation,
    /// `sampling/createMessage`: an answer of the client's language model.
    Sampling,
    /// `roots/list`: the directories that the server may use.
    Roots,
}

impl QuestionMethod {
    pub(super) fn named(method: &str) -> Option<Self> {
        match method {
            "elicitation/create" => Some(Self::Elicitation),
            "sampling/createMessage" => Some(Self::Sampling),
            "roots/list" => Some(Self::Roots),
            _ => None,
        }
    }

    /// The name of the method.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation/create",
            Self::Sampling => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }
}

/// A question of the server. Dropping it tells the server that the question is not answered.
#[must_use]
pub struct Question {
    /// The key of the question: the key in `inputRequests` for revision 2026-07-28, the id of the
    /// request for older revisions.
    pub key: String,
    /// The method.
    pub method: QuestionMethod,
    /// The parameters in the server's own text.
    pub params: RawJson,
    reply: oneshot::Sender<Answered>,
}

/// The answer to a question: a result, or why it is refused.
pub(super) type Answered = Result<RawJson, Refusal>;

/// Why a question is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the error that the server gets. -1 if the user refused.
    pub code: i64,
    /// The message of the error.
    pub message: String,
}

impl Question {
    pub(super) fn new(key: String, method: QuestionMethod, params: RawJson) -> (Self, oneshot::Receiver<Answered>) {
        let (reply, receiver) = oneshot::channel();
        (Self { key, method, params, reply }, receiver)
    }

    /// Answers with a result, such as `{"action":"accept","content":{…}}`.
    pub fn answer(self, result: RawJson) {
        let _ = self.reply.send(Ok(result));
    }

    /// Waits until the server withdraws the question. After that, an answer is ignored.
    pub async fn withdrawn(&mut self) {
        self.reply.closed().await;
    }

    /// Refuses the question.
    pub fn refuse(self, code: i64, message: impl Into<String>) {
        let _ = self.reply.send(Err(Refusal { code, message: message.into() }));
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("key", &self.key).field("method", &self.method).finish_non_exhaustive()
    }
}

/// The answer to a question that was dropped.
// MCP 2025-11-25 client/elicitation: "cancel" is a dismissal without a choice. client/sampling: a
// refusal is error -1.
pub(super) fn unanswered(method: QuestionMethod) -> Answered {
    match method {
        QuestionMethod::Elicitation => Ok(RawJson::parse(r#"{"action":"cancel"}"#).map_err(|_| Refusal::none())?),
        QuestionMethod::Sampling => {
            Err(Refusal { code: -1, message: "The sampling request was not answered".to_owned() })
        }
        QuestionMethod::Roots => Err(Refusal::none()),
    }
}

impl Refusal {
    fn none() -> Self {
        Self { code: -32601, message: "Not supported by this client".to_owned() }
    }
}

/// Checks a question against the capabilities that the client has declared.
pub(super) fn is_declared(method: QuestionMethod, params: &RawJson, declared: era::Client) -> Result<(), Refusal> {
    let forms_or_pages = declared.has(era::Client::FORMS) || declared.has(era::Client::PAGES);
    let mode = params.member("mode").and_then(|mode| mode.string());
    let (known, allowed) = match method {
        QuestionMethod::Roots => (declared.has(era::Client::ROOTS), true),
        QuestionMethod::Sampling => (declared.has(era::Client::SAMPLING), true),
        // MCP 2025-11-25 client/elicitation: no `mode` means a form; an undeclared mode gets
        // -32602.
        QuestionMethod::Elicitation => match mode.as_deref() {
            None | Some("form") => (forms_or_pages, declared.has(era::Client::FORMS)),
            Some("url") => (forms_or_pages, declared.has(era::Client::PAGES)),
            Some(_) => (forms_or_pages, false),
        },
    };
    match (known, allowed) {
        (true, true) => Ok(()),
        (true, false) => {
            let message = "This client has not declared this mode of elicitation".to_owned();
            Err(Refusal { code: -32602, message })
        }
        (false, _) => {
            Err(Refusal { code: -32601, message: format!("{} is not supported by this client", method.name()) })
        }
    }
}
