//! A call that runs.

use super::answer::{Answer, Step};
use super::piped::{Part, Piped, Way};
use super::server::Moment;
use super::stop::Stop;
use crate::admission::Place;
use crate::legacy::{Asked, Legacy, Signal};
use crate::limits;
use crate::observe::Watch;
use crate::tools::{Outcome, Run};
use attache_core::era::Version;
use attache_core::exchange::Ticket;
use attache_core::http::OK;
use attache_core::rpc::Code;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// A call that runs.
pub(crate) struct Running {
    pub(super) moment: Moment,
    pub(super) ticket: Option<Ticket>,
    pub(super) body: Bytes,
    pub(super) run: Run,
    /// What the handler tells meanwhile.
    pub(super) told: mpsc::Receiver<Bytes>,
    /// How it ended, while something that was told before is still to be sent.
    pub(super) outcome: Option<Outcome>,
    /// Its answer, once that is sent while it is written.
    pub(super) piped: Option<Box<Piped>>,
    pub(super) way: Way,
    pub(super) deadline: Instant,
    /// Ends the call before its deadline.
    pub(super) stop: Stop,
    #[expect(dead_code, reason = "held until the call has ended")]
    pub(super) place: Place,
    pub(super) legacy: Option<Box<Legacy>>,
    pub(super) watch: Watch,
}

impl Running {
    /// The revision of the protocol that the caller speaks.
    pub(crate) fn version(&self) -> Option<Version> {
        self.ticket.as_ref().map(Ticket::version)
    }

    /// Has each message come whole.
    pub(crate) const fn whole(&mut self) {
        self.way = Way::Whole;
    }

    /// Has the call end with an error when `stop` says so.
    pub(crate) fn ends_with(&mut self, stop: Stop) {
        self.stop = stop;
    }

    /// The next thing to be sent. Nothing is lost if the future is dropped.
    pub(crate) async fn step(&mut self) -> Step {
        let step = self.advance().await;
        match &step {
            Step::Told(bytes) | Step::Piece(bytes) => self.watch.sent(bytes.len()),
            Step::Last(answer) => {
                self.watch.sent(answer.bytes.len());
                self.watch.answered(answer.status, answer.spoilt);
            }
            Step::Broken => self.watch.broke(),
            Step::Gone => self.watch.gone(),
        }
        step
    }

    async fn advance(&mut self) -> Step {
        if let Some(piped) = &mut self.piped {
            return Self::piece(piped).await;
        }
        if let Some(step) = self.legacy_step().await {
            return step;
        }
        while self.outcome.is_none() {
            tokio::select! {
                biased;
                Some(message) = self.told.recv() => return Step::Told(message),
                outcome = &mut self.run => self.outcome = Some(outcome),
                // Asked last, so that a call that does not wait needs no timer.
                () = async { sleep_until(self.deadline).await } => self.outcome = Some(overdue()),
                () = self.stop.wait() => self.outcome = Some(stopped()),
            }
        }
        // Its place in the table is free before its answer goes out.
        self.legacy = None;
        if let Some(outcome) = &self.outcome {
            self.watch.ran(outcome);
        }
        match (self.told.try_recv(), self.outcome.take(), self.ticket.take()) {
            (Ok(message), outcome, ticket) => {
                (self.outcome, self.ticket) = (outcome, ticket);
                Step::Told(message)
            }
            (Err(_), Some(mut outcome), Some(ticket)) => match outcome.take_stream() {
                None => Step::Last(self.moment.of_call(ticket, &self.body, &outcome)),
                Some(text) => {
                    let piped = Piped::new(
                        self.moment.clone(),
                        ticket,
                        self.body.clone(),
                        (text, self.deadline, self.stop.clone()),
                        self.way,
                    );
                    Self::piece(self.piped.insert(Box::new(piped))).await
                }
            },
            // Asked again behind its last step, it has nothing to say.
            _ => Step::Last(Answer::new(OK, Vec::new())),
        }
    }

    /// The next step of a call that a legacy client can cancel and be asked by; nothing once its outcome is there.
    async fn legacy_step(&mut self) -> Option<Step> {
        let legacy = self.legacy.as_deref_mut()?;
        while self.outcome.is_none() {
            if let Some(question) = legacy.due.pop_front() {
                return Some(Step::Told(question));
            }
            let asked = tokio::select! {
                biased;
                Some(message) = self.told.recv() => return Some(Step::Told(message)),
                signal = legacy.call.signal() => match signal {
                    Signal::Cancel => return Some(Step::Gone),
                    Signal::Answer(at, outcome) => legacy.answered(at, outcome),
                },
                outcome = &mut self.run => match outcome {
                    Outcome::Asks(questions, _) => {
                        // A person has the time of a person.
                        self.deadline += limits::ANSWERS;
                        legacy.ask(questions)
                    }
                    outcome => {
                        if let Outcome::Page(page) = &outcome {
                            legacy.call.note_page(page.id());
                        }
                        Asked::Ends(outcome)
                    }
                },
                () = async { sleep_until(self.deadline).await } => Asked::Ends(overdue()),
                () = self.stop.wait() => Asked::Ends(stopped()),
            };
            match asked {
                Asked::Waits => {}
                Asked::Again(run) => self.run = run,
                Asked::Ends(outcome) => self.outcome = Some(outcome),
            }
        }
        None
    }

    async fn piece(piped: &mut Piped) -> Step {
        match piped.next().await {
            Part::Piece(bytes) => Step::Piece(bytes),
            Part::Last(answer) => Step::Last(answer),
            Part::Broken => Step::Broken,
        }
    }
}

/// The outcome of a call that takes longer than it may; its handler is dropped.
fn overdue() -> Outcome {
    tracing::warn!("a call took longer than the limit and was ended");
    Outcome::Rejected(Code::InternalError, "The call took longer than this server allows, and was ended".to_owned())
}

/// The outcome of a call that still runs when the program ends; its handler is dropped.
fn stopped() -> Outcome {
    Outcome::Rejected(Code::InternalError, STOPPED.to_owned())
}

/// What clients are told whose calls cannot be answered any more.
pub(crate) const STOPPED: &str = "The server is stopping, and has not finished the call";
