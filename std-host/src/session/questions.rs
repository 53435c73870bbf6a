//! Questions of a running call to its legacy client (MCP 2025-11-25 basic, server requests). They
//! are sent on the stream of the call. The answers arrive as separate messages, and then the
//! handler runs again with them, as in the modern era.

use super::RunningCall;
use crate::budget::Permit;
use crate::call::{Outcome, Question, Run};
use crate::limits;
use crate::offer::Rerun;
use crate::sink::Growing;
use attache_core::era::Version;
use attache_core::mcp;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// The additional state of a call by a legacy client.
pub(crate) struct Legacy {
    pub(crate) call: RunningCall,
    again: Rerun,
    waiting: Option<Waiting>,
    /// The permits for answers that the handler has received.
    held: Vec<Permit>,
    /// The questions to send.
    pub(crate) due: VecDeque<Bytes>,
}

struct Waiting {
    keys: Vec<String>,
    answers: Map<String, Value>,
    to: Takes,
    /// The permits for answers that have arrived.
    permits: Vec<Permit>,
}

/// The receiver of the answers.
enum Takes {
    /// The call is run again with the answers.
    Rerun,
    /// The call is alive and waits for the answers.
    Alive(oneshot::Sender<Result<Map<String, Value>, String>>),
}

/// The effect of a question or an answer on the call.
pub(crate) enum Asked {
    /// The call continues to wait.
    Waits,
    /// This future runs next: the handler again, or the timeout for the answers.
    Again(Run),
    /// The call ends with this outcome.
    Ends(Outcome),
}

impl Legacy {
    pub(crate) fn new(call: RunningCall, again: Rerun) -> Self {
        Self { call, again, waiting: None, held: Vec::new(), due: VecDeque::new() }
    }

    /// Sends the questions that the handler has returned: an object of requests, by key.
    pub(crate) fn ask(&mut self, questions: Map<String, Value>) -> Asked {
        if self.send(questions, Takes::Rerun).is_err() {
            return Asked::Ends(self.again.failed(TOO_MANY.to_owned()));
        }
        let late = self.again.failed("The client has not answered in time".to_owned());
        Asked::Again(Box::pin(async {
            sleep(limits::ANSWERS).await;
            late
        }))
    }

    /// Sends the questions of a call that stays alive while it waits.
    pub(crate) fn ask_alive(&mut self, question: Question) {
        let Question { requests, reply, .. } = question;
        // The call does not wait any more for what it has asked before.
        self.waiting.take_if(|waiting| matches!(&waiting.to, Takes::Alive(reply) if reply.is_closed()));
        let unsent = match &self.waiting {
            None => self.send(requests, Takes::Alive(reply)),
            Some(_) => Err(Takes::Alive(reply)),
        };
        if let Err(Takes::Alive(reply)) = unsent {
            let _ = reply.send(Err(TOO_MANY.to_owned()));
        }
    }

    /// Sends questions.
    ///
    /// # Errors
    /// The receiver of the answers, if the table of questions is full.
    fn send(&mut self, questions: Map<String, Value>, to: Takes) -> Result<(), Takes> {
        let Some(first) = self.call.ask(questions.len()) else { return Err(to) };
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
        self.waiting = Some(Waiting { keys, answers: Map::new(), to, permits: Vec::new() });
        Ok(())
    }

    /// Handles an answer to one of the questions.
    pub(crate) fn answered(&mut self, at: usize, outcome: Result<Value, Value>, permit: Permit) -> Asked {
        let Some(waiting) = &mut self.waiting else {
            return Asked::Waits;
        };
        match (outcome, waiting.keys.get(at)) {
            (Ok(answer), Some(key)) => {
                waiting.answers.insert(key.clone(), answer);
                waiting.permits.push(permit);
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                let said: String = error["message"].as_str().unwrap_or_default().chars().take(limits::ECHOED).collect();
                // JSON-RPC 2.0 §5.1: `message` is required, but not every client sends one.
                let said = if said.trim().is_empty() { "it gave no reason" } else { &said };
                return self.unanswered(format!("The client could not answer the question: {said}"));
            }
        }
        if waiting.answers.len() < waiting.keys.len() {
            return Asked::Waits;
        }
        let Some(Waiting { answers, to, permits, .. }) = self.waiting.take() else {
            return Asked::Waits;
        };
        // The handler may hold the answers until the call ends.
        self.held.extend(permits);
        match to {
            Takes::Rerun => Asked::Again(self.again.run(answers)),
            Takes::Alive(reply) => {
                let _ = reply.send(Ok(answers));
                Asked::Waits
            }
        }
    }

    fn unanswered(&mut self, reason: String) -> Asked {
        match self.waiting.take() {
            Some(Waiting { to: Takes::Alive(reply), .. }) => {
                let _ = reply.send(Err(reason));
                Asked::Waits
            }
            _ => Asked::Ends(self.again.failed(reason)),
        }
    }
}

const TOO_MANY: &str = "The call asks the client too many questions at once";

/// Returns the parameters of a question in the form of `version`.
fn adapted(request: &mut Value, version: Version, number: u64) -> Option<String> {
    let params = request.get_mut("params")?.as_object_mut()?;
    match params.get("mode").and_then(Value::as_str) {
        // MCP 2025-11-25 client/elicitation: pages have an id. Earlier revisions have forms only,
        // and no modes.
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
