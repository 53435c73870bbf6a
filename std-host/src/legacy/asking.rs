//! Questions of a running call to its legacy client (MCP 2025-11-25 basic, server requests): they go out on the call's own
//! stream, the answers come as messages of their own, and then the handler runs again with them, as in the modern era.

use super::InFlight;
use crate::limits;
use crate::sink::Growing;
use crate::tools::{Again, Outcome, Run};
use attache_core::era::Version;
use attache_core::mcp;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use tokio::time::sleep;

/// What a call of a legacy client has besides.
pub(crate) struct Legacy {
    pub(crate) call: InFlight,
    again: Again,
    waiting: Option<Waiting>,
    /// Questions that are to be sent.
    pub(crate) due: VecDeque<Bytes>,
}

struct Waiting {
    keys: Vec<String>,
    answers: Map<String, Value>,
}

/// What became of a signal.
pub(crate) enum Asked {
    /// The call goes on waiting.
    Waits,
    /// This runs now: the handler again, or the time for an answer.
    Again(Run),
    /// It ended like this.
    Ends(Outcome),
}

impl Legacy {
    pub(crate) fn new(call: InFlight, again: Again) -> Self {
        Self { call, again, waiting: None, due: VecDeque::new() }
    }

    /// Sends the questions that the handler has ended with: an object of requests, by key.
    pub(crate) fn ask(&mut self, questions: Map<String, Value>) -> Asked {
        let Some(first) = self.call.ask(questions.len()) else {
            return Asked::Ends(self.again.failed("it asks the client for too much at once".to_owned()));
        };
        let version = self.call.client.session.version;
        let mut keys = Vec::new();
        for (number, (key, mut request)) in (first..).zip(questions) {
            keys.push(key);
            let params = adapted(&mut request, version, number);
            let mut message = Growing::unlimited();
            let method = request["method"].as_str().unwrap_or_default();
            if mcp::question(number, method, params.as_deref(), &mut message).is_ok() {
                self.due.push_back(message.bytes.into());
            }
        }
        self.waiting = Some(Waiting { keys, answers: Map::new() });
        let late = self.again.failed("The client has not answered in time".to_owned());
        Asked::Again(Box::pin(async {
            sleep(limits::ANSWERS).await;
            late
        }))
    }

    /// Takes an answer.
    pub(crate) fn answered(&mut self, at: usize, outcome: Result<Value, Value>) -> Asked {
        let Some(waiting) = &mut self.waiting else {
            return Asked::Waits;
        };
        match (outcome, waiting.keys.get(at)) {
            (Ok(answer), Some(key)) => {
                waiting.answers.insert(key.clone(), answer);
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                let said: String = error["message"].as_str().unwrap_or_default().chars().take(limits::ECHOED).collect();
                // JSON-RPC 2.0 §5.1: `message` is required, but not every client has something to say.
                let said = if said.trim().is_empty() { "it gave no reason" } else { &said };
                return Asked::Ends(self.again.failed(format!("The client could not answer what was asked: {said}")));
            }
        }
        if waiting.answers.len() < waiting.keys.len() {
            return Asked::Waits;
        }
        let answers = self.waiting.take().map(|waiting| waiting.answers).unwrap_or_default();
        Asked::Again(self.again.run(answers))
    }
}

/// The parameters of a question as `version` has them.
fn adapted(request: &mut Value, version: Version, number: u64) -> Option<String> {
    let params = request.get_mut("params")?.as_object_mut()?;
    match params.get("mode").and_then(Value::as_str) {
        // MCP 2025-11-25 client/elicitation: pages have an id; before, there were forms alone, and no modes.
        Some("url") => {
            params.insert("elicitationId".to_owned(), json!(format!("question-{number}")));
        }
        Some(_) if version < Version::V2025_11_25 => {
            params.remove("mode");
        }
        _ => {}
    }
    Some(Value::from(core::mem::take(params)).to_string())
}
