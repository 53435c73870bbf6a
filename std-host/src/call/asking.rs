//! The questions and answers of one call.

use super::ask::{Ask, Elicited};
use super::error::{Failure, ToolError};
use super::page::UserPage;
use super::state::{Binding, ParkedCall, open};
use crate::budget::Permit;
use attache_core::era::{Client, Version};
use attache_core::json::Kind as Json;
use attache_core::seal::Key;
use attache_core::tool::RequestMeta;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::sync::{Mutex, PoisonError};

/// The way in which a client can be asked.
#[derive(Clone, Debug)]
enum Way {
    /// Through the result of the call. Holds the capabilities that the client has declared,
    /// unparsed, because few calls ask.
    Result(Bytes),
    /// Through separate requests, within the capabilities declared in the client's handshake.
    Requests(Version, Client),
    /// The client cannot be asked, because no handshake of it is known here.
    None,
}

impl Way {
    /// Returns the reason why the client cannot be asked `ask`, or `None` if it can.
    fn missing(&self, ask: &Ask) -> Option<Missing> {
        match self {
            Self::Result(declared) => ask.missing(&parsed(declared)).map(Missing::Capability),
            Self::Requests(version, client) => {
                let (since, needed) = ask.legacy();
                (*version < since || !client.has(needed)).then_some(Missing::Legacy)
            }
            Self::None => Some(Missing::Legacy),
        }
    }
}

/// The reason why a client cannot be asked.
enum Missing {
    /// The client has not declared this capability.
    Capability(Value),
    /// The client uses an older revision and has not declared that it can answer.
    Legacy,
}

/// The questions and answers of one call.
#[derive(Debug)]
pub(crate) struct Asking {
    asked: Way,
    /// The answers of the client, from this request and earlier ones.
    answers: Map<String, Value>,
    /// The value that the handler has saved, in this run or an earlier one.
    kept: Mutex<Option<Value>>,
    before: bool,
    /// The permit for the state that came with the call.
    memory: Permit,
    /// The parked call that this request continues.
    parked: Option<ParkedCall>,
}

impl Asking {
    /// Reads the answers and the state that came with the call, and charges the state to the
    /// request of `permit`. The error is a sentence for the peer.
    pub(crate) fn of(
        body: &Bytes,
        version: Version,
        request_meta: &RequestMeta<'_>,
        (key, binding): (&Key, &Binding),
        client: Option<Client>,
        permit: &Permit,
    ) -> Result<Self, String> {
        let mut memory = Permit::uncounted();
        let mut answers = Map::new();
        let (mut kept, mut parked) = (None, None);
        let state = request_meta.request_state.filter(|state| state.kind() != Json::Null);
        if let Some(state) = state {
            memory = permit.another();
            let opened = state
                .text()
                .and_then(|state| open(binding, key, state, &mut memory))
                .ok_or("requestState is invalid or expired; retry the request without it")?;
            (answers, kept, parked) = (opened.answers, opened.saved, opened.parked);
        }
        match request_meta.input_responses.map(|responses| parsed(responses.raw())) {
            None | Some(Value::Null) => {}
            Some(Value::Object(fresh)) => {
                if let Some((key, _)) = fresh.iter().find(|(_, answer)| !answer.is_object()) {
                    return Err(format!(
                        "inputResponses.{} must be an object",
                        key.chars().take(64).collect::<String>()
                    ));
                }
                answers.extend(fresh);
            }
            Some(_) => return Err("inputResponses must be an object".to_owned()),
        }
        Ok(Self {
            asked: match (version, client) {
                (version, _) if version.is_modern() => {
                    let declared = request_meta.client_capabilities;
                    Way::Result(declared.map(|declared| body.slice_ref(declared.raw())).unwrap_or_default())
                }
                (version, Some(client)) => Way::Requests(version, client),
                (_, None) => Way::None,
            },
            answers,
            kept: Mutex::new(kept),
            before: state.is_some(),
            memory,
            parked,
        })
    }

    /// Whether the client has declared no capability.
    #[cfg(feature = "client")]
    pub(crate) fn declares_nothing(&self) -> bool {
        match &self.asked {
            Way::Result(declared) => matches!(&**declared, b"" | b"{}"),
            Way::Requests(_, client) => *client == Client::NONE,
            Way::None => true,
        }
    }

    /// Returns the capabilities of the client, in the shape of `ClientCapabilities`.
    pub(crate) fn capabilities(&self) -> Value {
        match &self.asked {
            Way::Result(declared) if declared.is_empty() => json!({}),
            Way::Result(declared) => parsed(declared),
            Way::Requests(_, client) => {
                let mut declared = json!({});
                let has = |capability| client.has(capability);
                if has(Client::FORMS) {
                    declared["elicitation"]["form"] = json!({});
                }
                if has(Client::PAGES) {
                    declared["elicitation"]["url"] = json!({});
                }
                if has(Client::SAMPLING) {
                    declared["sampling"] = json!({});
                }
                if has(Client::ROOTS) {
                    declared["roots"] = json!({});
                }
                declared
            }
            Way::None => json!({}),
        }
    }

    /// Checks that the client can be asked all of `requests`.
    ///
    /// # Errors
    /// A sentence for the peer, if the client cannot be asked one of them.
    pub(crate) fn refuse(&self, requests: &Map<String, Value>) -> Result<(), String> {
        for request in requests.values() {
            let params = &request["params"];
            let ask = match (request["method"].as_str(), params["mode"].as_str()) {
                (Some("elicitation/create"), Some("url")) => Ask::Url { message: String::new(), url: String::new() },
                (Some("elicitation/create"), _) => Ask::Form { message: String::new(), schema: Value::Null },
                (Some("sampling/createMessage"), _) => Ask::Sample(Value::Null),
                (Some("roots/list"), _) => Ask::Roots,
                (method, _) => return Err(format!("a client cannot be asked {}", method.unwrap_or_default())),
            };
            if !self.can(&ask) {
                return Err(UNASKABLE.to_owned());
            }
        }
        Ok(())
    }

    /// The parked call that this request continues.
    pub(crate) const fn parked(&self) -> Option<ParkedCall> {
        self.parked
    }

    /// The answers that came with the request.
    pub(crate) fn into_answers(self) -> Map<String, Value> {
        self.answers
    }

    /// Returns the answers to all of `questions`. Fails with [`Failure::Asks`] if some are still to
    /// be asked.
    pub(crate) fn ask<const N: usize>(&self, questions: [(&str, Ask); N]) -> Result<[Value; N], ToolError> {
        let mut open = Map::new();
        for (key, ask) in &questions {
            if let Some(answer) = self.answers.get(*key) {
                let unfit = |fault: String| Failure::Invalid(self.unfit(key, &fault));
                ask.fits(answer).map_err(|fault| ToolError::from_failure(unfit(fault)))?;
                continue;
            }
            ask.check().map_err(|fault| ToolError::from_failure(Failure::Internal(fault)))?;
            match self.asked.missing(ask) {
                None => {}
                Some(Missing::Capability(needed)) => return Err(ToolError::from_failure(Failure::Needs(needed))),
                Some(Missing::Legacy) => {
                    return Err(ToolError::user(UNASKABLE));
                }
            }
            open.insert((*key).to_owned(), ask.request());
        }
        if !open.is_empty() {
            return Err(ToolError::from_failure(Failure::Asks(open)));
        }
        Ok(questions.map(|(key, _)| self.answers.get(key).cloned().unwrap_or_default()))
    }

    /// Returns the failure of a call that needs the user to visit a page first.
    pub(crate) fn page(&self, page: UserPage) -> ToolError {
        let UserPage { id, message, url } = page;
        let ask = Ask::Url { message: message.clone(), url: url.clone() };
        if let Err(fault) = ask.check() {
            return ToolError::from_failure(Failure::Internal(fault));
        }
        match (self.answers.get(&id).map(Elicited::read), self.asked.missing(&ask)) {
            (Some(Err(fault)), _) => ToolError::from_failure(Failure::Invalid(self.unfit(&id, &fault))),
            // MCP 2026-07-28 client/elicitation: an accepted page means that the user agreed to
            // open it, not that the interaction is complete.
            (Some(Ok(Elicited::Accepted(_))), _) => {
                ToolError::user(format!("{message}: this is not done yet. Call again when it is."))
            }
            (Some(Ok(_)), _) => ToolError::user("The person did not want to open the page that this needs."),
            (None, Some(Missing::Capability(needed))) => ToolError::from_failure(Failure::Needs(needed)),
            (None, Some(Missing::Legacy)) => {
                ToolError::user(format!("{message}: a person has to open {url}. Call again when that is done."))
            }
            (None, None) => ToolError::from_failure(match self.asked {
                Way::Requests(..) => Failure::Page(UserPage { id, message, url }),
                _ => Failure::Asks([(id, ask.request())].into_iter().collect()),
            }),
        }
    }

    /// Returns the sentence for the peer about an answer that does not fit.
    fn unfit(&self, key: &str, fault: &str) -> String {
        match self.asked {
            Way::Result(_) => format!("inputResponses.{key}: {fault}"),
            Way::Requests(..) | Way::None => format!("The answer to question {key}: {fault}"),
        }
    }

    /// Returns the state for another run of the same call, with these answers added.
    pub(crate) fn with(&self, fresh: Map<String, Value>) -> Self {
        let mut answers = self.answers.clone();
        answers.extend(fresh);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self {
            asked: self.asked.clone(),
            answers,
            kept: Mutex::new(kept),
            before: true,
            memory: self.memory.another(),
            parked: None,
        }
    }

    pub(crate) fn can(&self, ask: &Ask) -> bool {
        self.asked.missing(ask).is_none()
    }

    pub(crate) fn save(&self, value: &impl Serialize) -> Result<(), ToolError> {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(serde_json::to_value(value)?);
        Ok(())
    }

    pub(crate) fn saved<T: DeserializeOwned>(&self) -> Option<T> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().and_then(|kept| serde_json::from_value(kept.clone()).ok())
    }

    /// Returns the state that is sent with questions: the answers so far and the saved value.
    /// `None` if there is neither.
    pub(crate) fn state(&self) -> Option<Value> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let worth = self.before || kept.is_some() || !self.answers.is_empty();
        worth.then(|| json!({ "a": self.answers, "s": kept }))
    }
}

const UNASKABLE: &str = "This tool must ask the client or its user, and this client does not support such questions";

/// Parses JSON that was already checked with its message.
fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_default()
}
