//! Questions to a client in the middle of a call (MCP client/elicitation, client/sampling, client/roots), and what a person answers.

use super::error::{Failure, ToolError};
use super::form;
use attache_core::era::{Client, Version};
use attache_core::http::LOOPBACK;
use serde_json::{Map, Value, json};

/// A question to the client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ask {
    /// A form for the person (`elicitation/create`). `schema` is an object schema whose properties are flat. Never ask for
    /// secrets here: the client sees the answer.
    Form {
        /// What the person reads.
        message: String,
        /// What is asked for.
        schema: Value,
    },
    /// A page that the person is to open (`elicitation/create`, mode `url`).
    Url {
        /// What the person reads.
        message: String,
        /// The page.
        url: String,
    },
    /// Words of the client's model (`sampling/createMessage`): the parameters of the request.
    Sample(Value),
    /// The client's roots (`roots/list`).
    Roots,
}

impl Ask {
    /// A form.
    pub fn form(message: &str, schema: Value) -> Self {
        Self::Form { message: message.to_owned(), schema }
    }

    /// Words of the client's model for one message of a person.
    pub fn sample(prompt: &str, max_tokens: u32) -> Self {
        let message = json!({ "role": "user", "content": { "type": "text", "text": prompt } });
        Self::Sample(json!({ "messages": [message], "maxTokens": max_tokens }))
    }

    pub(super) fn request(&self) -> Value {
        match self {
            Self::Form { message, schema } => json!({
                "method": "elicitation/create",
                "params": { "mode": "form", "message": message, "requestedSchema": schema },
            }),
            Self::Url { message, url } => json!({
                "method": "elicitation/create",
                "params": { "mode": "url", "message": message, "url": url },
            }),
            Self::Sample(params) => json!({ "method": "sampling/createMessage", "params": params }),
            Self::Roots => json!({ "method": "roots/list" }),
        }
    }

    /// Checks that clients can show it. The error is for the log: the mistake is the handler's.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Form { schema, .. } => form::check(schema),
            // MCP 2026-07-28 client/elicitation: a valid URL, HTTPS outside of development.
            Self::Url { url, .. } => match url.parse::<http::Uri>().ok().filter(|url| url.scheme().is_some()) {
                Some(url) if url.scheme_str() == Some("https") || is_local(&url) => Ok(()),
                _ => Err(format!("page {url:?} must have an https URL")),
            },
            Self::Sample(_) | Self::Roots => Ok(()),
        }
    }

    /// Checks what came back. The error is a sentence for the peer.
    // MCP 2026-07-28 basic/patterns/mrtr: answers are validated, and malformed ones are an error.
    pub(super) fn fits(&self, answer: &Value) -> Result<(), String> {
        match self {
            Self::Form { schema, .. } => match Elicited::read(answer)? {
                Elicited::Accepted(content) => form::fits(schema, &content),
                Elicited::Declined | Elicited::Cancelled => Ok(()),
            },
            Self::Url { .. } => Elicited::read(answer).map(|_| ()),
            Self::Sample(_) => {
                let content = answer["content"].is_object() || answer["content"].is_array();
                match content && answer["role"].is_string() {
                    true => Ok(()),
                    false => Err("a message of the model must have role and content".to_owned()),
                }
            }
            Self::Roots => match answer["roots"].as_array() {
                Some(roots) if roots.iter().all(|root| root["uri"].is_string()) => Ok(()),
                _ => Err("roots must be an array of objects with a uri".to_owned()),
            },
        }
    }

    /// The first revision before 2026-07-28 that has it, and what its client must have declared.
    pub(super) const fn legacy(&self) -> (Version, Client) {
        match self {
            Self::Form { .. } => (Version::V2025_06_18, Client::FORMS),
            Self::Url { .. } => (Version::V2025_11_25, Client::PAGES),
            Self::Sample(_) => (Version::V2024_11_05, Client::SAMPLING),
            Self::Roots => (Version::V2024_11_05, Client::ROOTS),
        }
    }

    /// What the client must have declared, if it has not.
    // MCP 2026-07-28 basic/patterns/mrtr: only what this request's capabilities declare. An empty `elicitation` means forms.
    pub(super) fn missing(&self, declared: &Value) -> Option<Value> {
        let (there, needed) = match self {
            Self::Form { .. } => {
                let elicitation = declared["elicitation"].as_object();
                let forms = elicitation.is_some_and(|modes| modes.is_empty() || modes.contains_key("form"));
                (forms, json!({ "elicitation": {} }))
            }
            Self::Url { .. } => (declared["elicitation"]["url"].is_object(), json!({ "elicitation": { "url": {} } })),
            Self::Sample(_) => (declared["sampling"].is_object(), json!({ "sampling": {} })),
            Self::Roots => (declared["roots"].is_object(), json!({ "roots": {} })),
        };
        (!there).then_some(needed)
    }
}

/// Whether a page is one of this machine, as in development.
fn is_local(url: &http::Uri) -> bool {
    url.scheme_str() == Some("http") && url.host().is_some_and(|host| LOOPBACK.contains(&host))
}

/// What a person did with a form or a page.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Elicited {
    /// Filled it in, or agreed to open it.
    Accepted(Map<String, Value>),
    /// Said no.
    Declined,
    /// Went away.
    Cancelled,
}

impl Elicited {
    /// Reads the answer to an [`Ask::Form`] or an [`Ask::Url`].
    ///
    /// # Errors
    /// If it is no such answer.
    pub fn of(answer: &Value) -> Result<Self, ToolError> {
        Self::read(answer).map_err(|reason| ToolError::from_failure(Failure::Invalid(reason)))
    }

    pub(super) fn read(answer: &Value) -> Result<Self, String> {
        match answer["action"].as_str() {
            Some("accept") => Ok(Self::Accepted(answer["content"].as_object().cloned().unwrap_or_default())),
            Some("decline") => Ok(Self::Declined),
            Some("cancel") => Ok(Self::Cancelled),
            _ => Err("action must be accept, decline or cancel".to_owned()),
        }
    }
}
