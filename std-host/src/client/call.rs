//! A running request: its events, its questions and its result.

use super::error::{Error, RpcError};
use super::inner::Inner;
use super::limits::{RETRY_FIRST, RETRY_MOST, ROUNDS};
use super::mailbox::{Answer, Incoming, Mailbox};
use super::outgoing::{Drive, Sending};
use super::question::{Answered, Question, QuestionMethod, is_declared, unanswered};
use super::raw::RawJson;
use super::request::Request;
use super::router::Purpose;
use attache_core::client::Outcome;
use attache_core::era;
use core::fmt;
use core::pin::Pin;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

/// A running request. Dropping it cancels the request in the way of its transport.
#[must_use]
pub struct Call {
    inner: Arc<Inner>,
    request: Request,
    drive: Drive,
    phase: Phase,
    rounds: u32,
    has_refreshed: bool,
    started: Instant,
    last: Instant,
}

/// An event of a running request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The parameters of `notifications/progress`: `progress`, `total`, `message`.
    Progress(RawJson),
    /// The parameters of `notifications/message`: `level`, `logger`, `data`.
    Log(RawJson),
    /// A question of the server. Only requests with [`Request::questions`] have these events.
    Question(Question),
    /// The end: the result in the server's own text, or the error.
    Done(Result<RawJson, Error>),
}

enum Phase {
    /// The server is working on the request.
    Waiting {
        id: u64,
        mailbox: Arc<Mailbox>,
        sending: Sending,
    },
    /// The server has asked questions, and the client collects the answers.
    Asking(Round),
    /// The server has asked to repeat the request a little later.
    Pausing(Instant, Option<RawJson>),
    /// The client is fetching the list of tools, because the server has refused the mirrored
    /// arguments.
    Refreshing(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>),
    Ended,
}

/// The questions of one result, and the answers so far.
struct Round {
    questions: VecDeque<Question>,
    open: Vec<(String, QuestionMethod, oneshot::Receiver<Answered>)>,
    answered: Vec<(String, RawJson)>,
    state: Option<RawJson>,
}

impl Call {
    pub(super) fn new(inner: Arc<Inner>, request: Request, drive: Drive) -> Self {
        let now = Instant::now();
        let (started, last) = (now, now);
        let (phase, rounds, has_refreshed) = (Phase::Ended, 0, false);
        let mut call = Self { inner, request, drive, phase, rounds, has_refreshed, started, last };
        call.begin_at(now, &[]);
        call
    }

    /// Waits for the next event. [`Event::Done`] is the last one.
    ///
    /// This method is cancel safe: you can use it in `select!`. Answer (or drop) a question before
    /// or while you wait for the next event.
    pub async fn next(&mut self) -> Event {
        loop {
            let done = match &mut self.phase {
                Phase::Ended => Some(Err(Error::Closed)),
                Phase::Waiting { .. } => match self.wait().await {
                    Ok(event) => return event,
                    Err(done) => done,
                },
                Phase::Asking(_) => match self.ask().await {
                    Ok(question) => return Event::Question(question),
                    Err(done) => done,
                },
                Phase::Pausing(until, state) => {
                    sleep_until(*until).await;
                    let state = state.take();
                    self.again(None, state)
                }
                Phase::Refreshing(refreshed) => match refreshed.await {
                    Ok(()) => {
                        self.begin(&[]);
                        None
                    }
                    Err(error) => Some(Err(error)),
                },
            };
            if let Some(done) = done {
                self.phase = Phase::Ended;
                return Event::Done(done);
            }
        }
    }

    /// Waits for the result. Ignores progress and log messages, and refuses questions.
    ///
    /// # Errors
    /// [`Error`] if the request fails.
    pub async fn result(mut self) -> Result<RawJson, Error> {
        loop {
            if let Event::Done(done) = self.next().await {
                return done;
            }
        }
    }

    /// Sends the request, with `further` parameters after its own.
    fn begin(&mut self, further: &[(&str, RawJson)]) {
        self.begin_at(Instant::now(), further);
    }

    fn begin_at(&mut self, now: Instant, further: &[(&str, RawJson)]) {
        (self.started, self.last) = (now, now);
        let purpose = match &*self.request.method {
            "subscriptions/listen" => Purpose::Listen,
            _ => Purpose::Call(self.request.asks),
        };
        let (id, mailbox, sending) = self.inner.send(&self.request, purpose, further, self.drive);
        self.phase = Phase::Waiting { id, mailbox, sending };
    }

    /// Waits for the server. Returns an error if the request has ended, or `None` as the error if
    /// it continues in another phase.
    async fn wait(&mut self) -> Result<Event, Option<Result<RawJson, Error>>> {
        let time = self.request.time.unwrap_or(self.inner.limits.request_time);
        let total = self.request.total.unwrap_or(self.inner.limits.total_time);
        let deadline = (self.last + time).min(self.started + total);
        let Phase::Waiting { mailbox, sending, .. } = &mut self.phase else { return Err(None) };
        let Ok(next) = timeout_at(deadline, sending.until(mailbox.next())).await else {
            if self.inner.link.is_waiting_for_token() {
                let now = Instant::now();
                (self.started, self.last) = (now, now);
                return Err(None);
            }
            let time = if deadline == self.last + time { time } else { total };
            self.cancel("timeout");
            return Err(Some(Err(Error::Timeout(time))));
        };
        match next {
            Ok(incoming) => {
                self.last = Instant::now();
                match incoming {
                    Incoming::Progress(params) => Ok(Event::Progress(params)),
                    Incoming::Log(params) => Ok(Event::Log(params)),
                    Incoming::Question(question) => Ok(Event::Question(question)),
                    Incoming::Notification(..) => Err(None),
                }
            }
            Err(end) => {
                sending.finish();
                self.phase = Phase::Ended;
                Err(end.map_or_else(|error| Some(Err(error)), |answer| self.answered(&answer)))
            }
        }
    }

    /// Handles an answer. Returns `None` if the request continues.
    fn answered(&mut self, answer: &Answer) -> Option<Result<RawJson, Error>> {
        let result = match answer.outcome {
            Ok(result) => result.of(&answer.body),
            Err(error) => return self.refused(RpcError::of(RawJson::part(&answer.body, error.of(&answer.body)))),
        };
        let raw = RawJson::part(&answer.body, result);
        if !self.inner.is_modern() {
            return Some(Ok(raw));
        }
        match Outcome::of(result) {
            Outcome::Complete => Some(Ok(raw)),
            Outcome::Invalid => Some(Err(Error::Invalid("the result is of an unknown type".to_owned()))),
            Outcome::InputRequired { .. } if self.request.keeps_questions => Some(Ok(raw)),
            Outcome::InputRequired { .. } if !MAY_ASK.contains(&&*self.request.method) => {
                Some(Err(Error::Invalid(format!("{} must not ask for input", self.request.method))))
            }
            Outcome::InputRequired { .. } => self.questions(&raw),
        }
    }

    // MCP 2026-07-28 streamable-http: after -32020, the client fetches `tools/list` and retries
    // once.
    fn refused(&mut self, error: RpcError) -> Option<Result<RawJson, Error>> {
        let may_refresh = error.code == HEADER_MISMATCH
            && self.request.method == "tools/call"
            && self.inner.is_modern()
            && !core::mem::replace(&mut self.has_refreshed, true);
        if !may_refresh {
            return Some(Err(Error::Rpc(error)));
        }
        let inner = Arc::clone(&self.inner);
        self.phase = Phase::Refreshing(Box::pin(async move { inner.refresh_tools().await }));
        None
    }

    /// Starts a round with the questions of an `input_required` result.
    fn questions(&mut self, result: &RawJson) -> Option<Result<RawJson, Error>> {
        self.rounds += 1;
        if self.rounds > ROUNDS {
            return Some(Err(Error::TooManyRounds(ROUNDS)));
        }
        let state = result.member("requestState");
        let Some(requests) = result.member("inputRequests") else {
            let pause = RETRY_FIRST.saturating_mul(1 << (self.rounds - 1).min(8)).min(RETRY_MOST);
            self.phase = Phase::Pausing(Instant::now() + pause, state);
            return None;
        };
        let own = self.request.capabilities.as_ref().map(|own| era::Client::declared(own.value()));
        let declared = own.unwrap_or_else(|| self.inner.router.declared());
        let mut round = Round { questions: VecDeque::new(), open: Vec::new(), answered: Vec::new(), state };
        for (key, request) in requests.members() {
            let method = request.member("method").and_then(|method| method.string()).unwrap_or_default();
            let params = request.member("params").unwrap_or_else(RawJson::empty_object);
            let Some(method) = QuestionMethod::named(&method) else {
                return Some(Err(Error::Invalid(format!("{method:?} is not a question to a client"))));
            };
            // A server asks only for what the request has declared.
            if let Err(refusal) = is_declared(method, &params, declared) {
                return Some(Err(Error::Unanswered(refusal.message)));
            }
            let (question, answer) = Question::new(key.clone(), method, params);
            round.questions.push_back(question);
            round.open.push((key, method, answer));
        }
        self.phase = Phase::Asking(round);
        None
    }

    /// Returns the questions one by one. Then collects the answers and repeats the request.
    async fn ask(&mut self) -> Result<Question, Option<Result<RawJson, Error>>> {
        let Phase::Asking(round) = &mut self.phase else { return Err(None) };
        while let Some(question) = round.questions.pop_front() {
            if self.request.asks.is_some() {
                return Ok(question);
            }
            let Some(answers) = self.inner.router.answers() else {
                let what = question.params.member("message").and_then(|message| message.string());
                return Err(Some(Err(Error::Unanswered(what.unwrap_or_else(|| question.method.name().to_owned())))));
            };
            tokio::spawn(answers(question));
        }
        while let Some((_, method, answer)) = round.open.last_mut() {
            let (method, answered) = (*method, answer.await);
            let answered = answered.unwrap_or_else(|_| unanswered(method));
            let Some((key, ..)) = round.open.pop() else { break };
            match answered {
                Ok(result) => round.answered.push((key, result)),
                // The protocol has no refusal here. MCP client/elicitation: "decline" is a choice of
                // the user, and "cancel" means that the user has made none.
                Err(_) if method == QuestionMethod::Elicitation => match unanswered(method) {
                    Ok(cancelled) => round.answered.push((key, cancelled)),
                    Err(refusal) => return Err(Some(Err(Error::Unanswered(refusal.message)))),
                },
                Err(refusal) => return Err(Some(Err(Error::Unanswered(refusal.message)))),
            }
        }
        let (answered, state) = (core::mem::take(&mut round.answered), round.state.take());
        Err(self.again(Some(answered), state))
    }

    // MCP 2026-07-28 basic/patterns/mrtr: the client retries with a new id, the same parameters,
    // the answers under the same keys, and the unchanged state, if there is one.
    /// Repeats the request with answers and state.
    fn again(
        &mut self,
        answers: Option<Vec<(String, RawJson)>>,
        state: Option<RawJson>,
    ) -> Option<Result<RawJson, Error>> {
        let answers = answers.map(|answers| object(&answers));
        let further = answers.map(|answers| ("inputResponses", answers));
        let further: Vec<_> = further.into_iter().chain(state.map(|state| ("requestState", state))).collect();
        self.begin(&further);
        None
    }

    /// Gives up the request, and notifies the server.
    fn cancel(&mut self, reason: &str) {
        if let Phase::Waiting { id, .. } = core::mem::replace(&mut self.phase, Phase::Ended) {
            self.inner.cancel(id, reason);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.cancel("the caller has given up");
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("method", &self.request.method).finish_non_exhaustive()
    }
}

/// The methods that may ask for input (MCP 2026-07-28 basic/patterns/mrtr).
const MAY_ASK: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];

const HEADER_MISMATCH: i64 = -32020;

/// Builds a JSON object with these members.
fn object(members: &[(String, RawJson)]) -> RawJson {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", RawJson::text(name))).collect();
    RawJson::parse(format!("{{{}}}", members.join(","))).unwrap_or_else(|_| RawJson::empty_object())
}
