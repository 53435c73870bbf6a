//! Asking the client in the middle of a call (MCP 2026-07-28 basic/patterns/mrtr): the call ends with questions, and the client
//! makes it again with the answers. What was answered before travels with it, sealed.

use super::error::{Failure, ToolError};
use super::form;
use super::page::Page;
use crate::budget::{Permit, weight};
use crate::clock::now;
use crate::sink::Growing;
use attache_core::era::{Client, Version};
use attache_core::http::LOOPBACK;
use attache_core::json::Text;
use attache_core::seal::Key;
use attache_core::tool::{Asides, Call, Kind};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};

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
    fn check(&self) -> Result<(), String> {
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
    fn fits(&self, answer: &Value) -> Result<(), String> {
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
    const fn legacy(&self) -> (Version, Client) {
        match self {
            Self::Form { .. } => (Version::V2025_06_18, Client::FORMS),
            Self::Url { .. } => (Version::V2025_11_25, Client::PAGES),
            Self::Sample(_) => (Version::V2024_11_05, Client::SAMPLING),
            Self::Roots => (Version::V2024_11_05, Client::ROOTS),
        }
    }

    /// What the client must have declared, if it has not.
    // MCP 2026-07-28 basic/patterns/mrtr: only what this request's capabilities declare. An empty `elicitation` means forms.
    fn missing(&self, declared: &Value) -> Option<Value> {
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

    fn read(answer: &Value) -> Result<Self, String> {
        match answer["action"].as_str() {
            Some("accept") => Ok(Self::Accepted(answer["content"].as_object().cloned().unwrap_or_default())),
            Some("decline") => Ok(Self::Declined),
            Some("cancel") => Ok(Self::Cancelled),
            _ => Err("action must be accept, decline or cancel".to_owned()),
        }
    }
}

/// How a client is asked.
#[derive(Clone, Debug)]
enum Way {
    /// By the result of the call. These are the capabilities that it has declared, unread: few calls ask.
    Result(Bytes),
    /// By requests of their own, of what its handshake has declared.
    Requests(Version, Client),
    /// Not at all: it has made no handshake that is known here.
    None,
}

impl Way {
    /// What the client has not declared of what `ask` needs; `None` if it can be asked.
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

/// Why a client cannot be asked.
enum Missing {
    /// It has not declared this.
    Capability(Value),
    /// It is of an older revision and has not said that it can answer.
    Legacy,
}

/// The questions and answers of one call.
#[derive(Debug)]
pub(crate) struct Asking {
    asked: Way,
    /// What the client answered, now and before.
    answers: Map<String, Value>,
    /// What the handler gave to keep, before and now.
    kept: Mutex<Option<Value>>,
    before: bool,
    /// For the state that came with the call.
    memory: Permit,
}

impl Asking {
    /// Reads what came with the call, and charges it to the request of `permit`. The error is a sentence for the peer.
    pub(crate) fn of(
        body: &Bytes,
        version: Version,
        asides: &Asides<'_>,
        (key, binding): (&Key, &Binding),
        client: Option<Client>,
        permit: &Permit,
    ) -> Result<Self, String> {
        let mut memory = Permit::uncounted();
        let mut answers = Map::new();
        let mut kept = None;
        let state = asides.request_state;
        if let Some(state) = state {
            memory = permit.another();
            let State { a, s } = state
                .text()
                .and_then(|state| open(binding, key, state, &mut memory))
                .ok_or("requestState is void: make the request anew, without it")?;
            (answers, kept) = (a, s);
        }
        match asides.input_responses.map(|responses| parsed(responses.raw())) {
            None => {}
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
                    let declared = asides.client_capabilities;
                    Way::Result(declared.map(|declared| body.slice_ref(declared.raw())).unwrap_or_default())
                }
                (version, Some(client)) => Way::Requests(version, client),
                (_, None) => Way::None,
            },
            answers,
            kept: Mutex::new(kept),
            before: state.is_some(),
            memory,
        })
    }

    /// The answers to all of `questions`, or the failure that asks them.
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
                    return Err(ToolError::user(
                        "this needs an answer of the client, which has not said that it can give one",
                    ));
                }
            }
            open.insert((*key).to_owned(), ask.request());
        }
        if !open.is_empty() {
            return Err(ToolError::from_failure(Failure::Asks(open)));
        }
        Ok(questions.map(|(key, _)| self.answers.get(key).cloned().unwrap_or_default()))
    }

    /// What becomes of a call that needs a person at a page first.
    pub(super) fn page(&self, page: Page) -> ToolError {
        let Page { id, message, url } = page;
        let ask = Ask::Url { message: message.clone(), url: url.clone() };
        if let Err(fault) = ask.check() {
            return ToolError::from_failure(Failure::Internal(fault));
        }
        match (self.answers.get(&id).map(Elicited::read), self.asked.missing(&ask)) {
            (Some(Err(fault)), _) => ToolError::from_failure(Failure::Invalid(self.unfit(&id, &fault))),
            // MCP 2026-07-28 client/elicitation: to agree is not to have done it.
            (Some(Ok(Elicited::Accepted(_))), _) => {
                ToolError::user(format!("{message}: this is not done yet. Call again when it is."))
            }
            (Some(Ok(_)), _) => ToolError::user("The person did not want to open the page that this needs."),
            (None, Some(Missing::Capability(needed))) => ToolError::from_failure(Failure::Needs(needed)),
            (None, Some(Missing::Legacy)) => {
                ToolError::user(format!("{message}: a person has to open {url}. Call again when that is done."))
            }
            (None, None) => ToolError::from_failure(match self.asked {
                Way::Requests(..) => Failure::Page(Page { id, message, url }),
                _ => Failure::Asks([(id, ask.request())].into_iter().collect()),
            }),
        }
    }

    /// A sentence for the peer on an answer that does not fit.
    fn unfit(&self, key: &str, fault: &str) -> String {
        match self.asked {
            Way::Result(_) => format!("inputResponses.{key}: {fault}"),
            Way::Requests(..) | Way::None => format!("The answer to question {key}: {fault}"),
        }
    }

    /// The same call, run again with these answers too.
    pub(crate) fn with(&self, fresh: Map<String, Value>) -> Self {
        let mut answers = self.answers.clone();
        answers.extend(fresh);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { asked: self.asked.clone(), answers, kept: Mutex::new(kept), before: true, memory: self.memory.another() }
    }

    pub(crate) fn can(&self, ask: &Ask) -> bool {
        self.asked.missing(ask).is_none()
    }

    pub(crate) fn keep(&self, value: &impl Serialize) -> Result<(), ToolError> {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(serde_json::to_value(value)?);
        Ok(())
    }

    pub(crate) fn kept<T: DeserializeOwned>(&self) -> Option<T> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().and_then(|kept| serde_json::from_value(kept.clone()).ok())
    }

    /// What goes out with questions: the answers so far and what is kept; nothing if there is neither.
    pub(crate) fn state(&self) -> Option<Value> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let worth = self.before || kept.is_some() || !self.answers.is_empty();
        worth.then(|| json!({ "a": self.answers, "s": kept }))
    }
}

/// A value that was checked with the message it came in.
fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_default()
}

#[derive(serde::Deserialize)]
struct State {
    a: Map<String, Value>,
    s: Option<Value>,
}

/// Seals the state of a call.
pub(crate) fn seal(binding: &Binding, key: &Key, state: &Value) -> Option<String> {
    let value = state.to_string();
    let expires = now() + LIFE;
    let mut scratch = vec![0; value.len() + 64];
    let mut sealed = Growing::unlimited();
    key.seal(&binding.parts(), expires, value.as_bytes(), &mut scratch, &mut sealed).ok()?;
    String::from_utf8(sealed.bytes).ok()
}

/// The state that was sealed. What it takes when it is parsed, which its text does not show, draws from `permit`.
fn open(binding: &Binding, key: &Key, sealed: Text<'_>, permit: &mut Permit) -> Option<State> {
    let mut scratch = vec![0; sealed.raw().len()];
    let value = key.open(&binding.parts(), now(), sealed, &mut scratch)?;
    permit.more(weight(value)).ok()?;
    serde_json::from_slice(value).ok()
}

/// What a state belongs to: another call cannot use it.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    kind: Kind,
    /// What is called: its name, not its number, which another may have by the time the client is back.
    key: Arc<str>,
    /// The arguments or the URI: a part of the body, not a copy.
    subject: Bytes,
    /// What tells the caller from all others; nothing for an anonymous one.
    caller: Bytes,
}

impl Binding {
    /// What the state of `call` belongs to, which was read from `body` and calls what is found by `key`.
    pub(crate) fn of(body: &Bytes, call: &Call<'_>, kind: Kind, key: &Arc<str>) -> Self {
        let subject = match (call.read().uri().raw(), call.arguments().value()) {
            ([], Some(arguments)) => body.slice_ref(arguments.raw()),
            ([], None) => Bytes::from_static(b"{}"),
            (uri, _) => body.slice_ref(uri),
        };
        Self { kind, key: Arc::clone(key), subject, caller: Bytes::copy_from_slice(call.who().identity()) }
    }

    /// The arguments or the URI as they were written.
    pub(crate) fn subject(&self) -> &[u8] {
        &self.subject
    }

    // MCP 2026-07-28 basic/patterns/mrtr: bound to the principal and to the request.
    fn parts(&self) -> [&[u8]; 4] {
        let kind: &[u8] = match self.kind {
            Kind::Tool => b"tool",
            Kind::Prompt => b"prompt",
            Kind::Resource => b"resource",
            Kind::Template => b"template",
        };
        [kind, self.key.as_bytes(), &self.subject, &self.caller]
    }
}

/// Seconds that a person may take to answer.
const LIFE: u64 = 15 * 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ctx, NoArgs, Server};
    use attache_core::auth::{Access, ApiKey, Authenticated, Shown, digest};
    use attache_core::exchange::{Next, Origin, open};

    // MRTR-07
    #[test]
    fn state_of_one_caller_is_void_for_another() {
        let engine = Server::new("s", "1").tool("t", "d", |_: NoArgs, _: Ctx| async {}).build();
        let (moment, name) = (engine.now(), Arc::from("t"));
        let body = Bytes::from_static(
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        );
        let bound = |who: &Authenticated<'_>| match open(&moment.server(), who, Origin::Line(None), &body) {
            Next::Call(ticket) => Binding::of(&body, &ticket.call(&body, who), Kind::Tool, &name),
            other => panic!("{other:?}"),
        };
        let keys = [ApiKey::new("a", digest(b"first")), ApiKey::new("b", digest(b"second"))];
        let shown = |secret| Shown::new(secret).check(&keys).expect("a known key");
        let callers = [Authenticated::anonymous(&Access::Anonymous), shown(b"first"), shown(b"second")];
        let key = Key::new([7; 32]);
        for (of, giver) in callers.iter().enumerate() {
            let sealed = seal(&bound(giver), &key, &json!({ "a": {}, "s": 1 })).expect("a state");
            let quoted = Value::from(sealed).to_string();
            let state = attache_core::json::Value::parse(quoted.as_bytes()).expect("JSON");
            for (by, taker) in callers.iter().enumerate() {
                let opened = super::open(&bound(taker), &key, state.text().expect("a text"), &mut Permit::uncounted());
                assert_eq!(opened.is_some(), of == by, "of caller {of}, by caller {by}");
            }
        }
    }
}
