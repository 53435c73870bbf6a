//! Questions of an upstream in the middle of a call, on their way to the client of the gate.

use super::limits::TOGETHER;
use super::upstream::Upstream;
use crate::backend::Call;
use crate::client::{Question, QuestionMethod, RawJson};
use core::future::pending;
use core::pin::Pin;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

/// The answers by the keys of the questions, or a sentence that says why there are none.
type Answers = Result<Map<String, Value>, String>;

/// The questions of one call, which go to its client one set at a time.
pub(super) struct Dialogue<'c> {
    upstream: &'c Upstream,
    call: &'c Call,
    /// Questions that have come and are not asked yet.
    waiting: Vec<Question>,
    /// When the waiting questions are asked.
    due: Instant,
    /// Questions that the client has, by the keys under which it was asked.
    open: Vec<(String, Question)>,
    asking: Option<Pin<Box<dyn Future<Output = Answers> + Send + 'c>>>,
}

impl<'c> Dialogue<'c> {
    pub(super) fn new(upstream: &'c Upstream, call: &'c Call) -> Self {
        Self { upstream, call, waiting: Vec::new(), due: Instant::now(), open: Vec::new(), asking: None }
    }

    /// Adds a question. Questions that come together are asked together.
    pub(super) fn add(&mut self, question: Question) {
        if self.waiting.is_empty() {
            self.due = Instant::now() + TOGETHER;
        }
        self.waiting.push(question);
    }

    /// Asks the waiting questions, or waits for answers and gives them to the upstream. Nothing is lost if the future is dropped.
    pub(super) async fn step(&mut self) {
        let Some(asking) = &mut self.asking else {
            if self.waiting.is_empty() {
                pending().await
            }
            sleep_until(self.due).await;
            return self.ask();
        };
        let open = &mut self.open;
        let withdrawn = async {
            for (_, question) in open.iter_mut() {
                question.withdrawn().await;
            }
        };
        let answers = tokio::select! {
            answers = asking => answers,
            // MCP basic/utilities/cancellation: an upstream may withdraw what it has asked.
            () = withdrawn => Err("the question was withdrawn".to_owned()),
        };
        self.asking = None;
        self.answered(answers);
    }

    fn ask(&mut self) {
        let mut requests = Map::new();
        for question in self.waiting.drain(..) {
            let key = unused(&requests, &question.key);
            requests.insert(key.clone(), asked(self.upstream, &question));
            self.open.push((key, question));
        }
        let call = self.call;
        self.asking = Some(Box::pin(async move { call.ask(requests).await }));
    }

    fn answered(&mut self, answers: Answers) {
        for (key, question) in self.open.drain(..) {
            let answer = match &answers {
                Ok(answers) => answers.get(&key).map(without_metadata).ok_or("the client has not answered"),
                Err(reason) => Err(reason.as_str()),
            };
            match answer.and_then(|answer| RawJson::of(&answer).map_err(|_| "the answer is too deep")) {
                Ok(answer) => question.answer(answer),
                // MCP client/sampling: a refusal is error -1.
                Err(reason) => question.refuse(-1, reason),
            }
        }
    }
}

/// Makes a key for a question that differs from the keys in use.
fn unused(taken: &Map<String, Value>, key: &str) -> String {
    let further = (2..).map(|number| format!("{key}-{number}"));
    let mut keys = core::iter::once(key.to_owned()).chain(further);
    keys.find(|key| !taken.contains_key(key)).unwrap_or_default()
}

/// A question as the client of the gate gets it. It names the backend: the client shows the gate as the one who asks.
fn asked(upstream: &Upstream, question: &Question) -> Value {
    let mut params: Map<String, Value> = question.params.read().unwrap_or_default();
    params.remove("_meta");
    if question.method == QuestionMethod::Elicitation {
        // The host makes one for clients of the revision that has it.
        params.remove("elicitationId");
        name_backend(upstream, &mut params);
    }
    json!({ "method": question.method.name(), "params": params })
}

fn name_backend(upstream: &Upstream, params: &mut Map<String, Value>) {
    if let Some(Value::String(message)) = params.get_mut("message") {
        *message = format!("{} asks: {message}", upstream.name);
    }
}

fn without_metadata(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(members) = answer.as_object_mut() {
        members.remove("_meta");
    }
    answer
}

/// Sends the person to pages. `pages` are the parameters of elicitations with mode `url`.
///
/// # Errors
/// A sentence that says why the person has not agreed.
pub(super) async fn visit(upstream: &Upstream, call: &Call, pages: Vec<Map<String, Value>>) -> Result<(), String> {
    let mut requests = Map::new();
    for mut params in pages {
        let key = unused(&requests, params.get("elicitationId").and_then(Value::as_str).unwrap_or("page"));
        params.remove("elicitationId");
        params.insert("mode".to_owned(), json!("url"));
        name_backend(upstream, &mut params);
        requests.insert(key, json!({ "method": QuestionMethod::Elicitation.name(), "params": params }));
    }
    let answers = call.ask(requests).await?;
    match answers.values().all(|answer| answer["action"] == "accept") {
        true => Ok(()),
        false => Err("The person did not want to open the page that this needs.".to_owned()),
    }
}
