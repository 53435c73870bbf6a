//! A call that runs.

use super::answer::Step;
use super::piped::{Part, Piped, Way};
use super::server::Moment;
use super::stop::Stop;
use crate::admission::Place;
use crate::budget::Permit;
use crate::call::{Event, Outcome, Question, Run, Suspended, parked_too_many};
use crate::limits;
use crate::observe::Watch;
use crate::offer::Started;
use crate::session::{Asked, Legacy, Signal};
use attache_core::era::Version;
use attache_core::exchange::Ticket;
use attache_core::rpc::Code;
use bytes::Bytes;
use core::mem::replace;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// A call that runs.
pub(crate) struct Running {
    moment: Moment,
    version: Version,
    body: Bytes,
    state: State,
    way: Way,
    deadline: Instant,
    /// Ends the call before its deadline.
    stop: Stop,
    place: Place,
    /// For the memory that the call held already when it was parked.
    _held: Permit,
    /// How the call is cancelled by a legacy client, and asks it.
    legacy: Option<Box<Legacy>>,
    watch: Watch,
}

enum State {
    /// The handler runs.
    Running { ticket: Ticket, run: Run, events: mpsc::Receiver<Event> },
    /// The handler has ended; events that it sent before are still to go out.
    Draining { ticket: Ticket, outcome: Outcome, events: mpsc::Receiver<Event>, is_charged: bool },
    /// The answer is sent while it is written.
    Streaming(Piped),
    /// The last step has been taken.
    Ended,
}

/// What happens next to a handler that runs.
enum Next {
    Event(Event),
    Signal(Signal),
    Outcome(Outcome),
}

impl Running {
    /// The call of `ticket`, which was read from `body`, as it was started.
    pub(super) fn new(
        moment: Moment,
        (ticket, body): (Ticket, Bytes),
        Started { run, events, held, .. }: Started,
        deadline: Instant,
        place: Place,
        legacy: Option<Box<Legacy>>,
        watch: Watch,
    ) -> Self {
        let (version, way) = (ticket.version(), Way::Pieces);
        let state = State::Running { ticket, run, events };
        Self { moment, version, body, state, way, deadline, stop: Stop::default(), place, _held: held, legacy, watch }
    }

    /// The revision of the protocol that the caller speaks.
    pub(crate) const fn version(&self) -> Version {
        self.version
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
        loop {
            if let Some(message) = self.legacy.as_mut().and_then(|legacy| legacy.due.pop_front()) {
                return Step::Told(message);
            }
            let next = match &mut self.state {
                State::Running { run, events, .. } => {
                    Self::next(run, events, self.legacy.as_deref_mut(), (self.deadline, &mut self.stop)).await
                }
                State::Draining { events, .. } => match events.try_recv() {
                    Ok(Event::Message(message)) => {
                        self.charge_outcome();
                        return Step::Told(message);
                    }
                    // The handler that asked has ended.
                    Ok(Event::Ask(_)) => continue,
                    Err(_) => match self.finish() {
                        Some(step) => return step,
                        None => continue,
                    },
                },
                State::Streaming(piped) => return Self::piece(piped).await,
                State::Ended => return Step::Gone,
            };
            match next {
                Next::Event(Event::Message(message)) => return Step::Told(message),
                Next::Event(Event::Ask(question)) => self.ask(question),
                Next::Signal(Signal::Cancel) => return Step::Gone,
                Next::Signal(Signal::Answer(at, outcome, permit)) => {
                    let asked = self.legacy.as_mut().map(|legacy| legacy.answered(at, outcome, permit));
                    self.asked(asked);
                }
                Next::Outcome(outcome) => self.ran(outcome),
            }
        }
    }

    async fn next(
        run: &mut Run,
        events: &mut mpsc::Receiver<Event>,
        legacy: Option<&mut Legacy>,
        (deadline, stop): (Instant, &mut Stop),
    ) -> Next {
        let signal = async {
            match legacy {
                Some(legacy) => legacy.call.signal().await,
                None => core::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(event) = events.recv() => Next::Event(event),
            signal = signal => Next::Signal(signal),
            outcome = run => Next::Outcome(outcome),
            // Asked last, so that a call that does not wait needs no timer.
            () = async { sleep_until(deadline).await } => Next::Outcome(overdue()),
            () = stop.wait() => Next::Outcome(stopped()),
        }
    }

    /// The handler has ended: a legacy client is asked what it asks, and everything else is the answer.
    fn ran(&mut self, outcome: Outcome) {
        match (outcome, &mut self.legacy) {
            (Outcome::Asks(questions, _), Some(legacy)) => {
                // A person has the time of a person.
                self.deadline += limits::ANSWERS;
                let asked = legacy.ask(questions);
                self.asked(Some(asked));
            }
            (outcome, legacy) => {
                if let (Outcome::Page(page), Some(legacy)) = (&outcome, legacy) {
                    legacy.call.note_page(page.id());
                }
                self.ends(outcome);
            }
        }
    }

    /// The call asks its client and stays alive: a legacy client is sent the questions, and a modern one gets them as the answer and
    /// finds the parked call again with its retry.
    fn ask(&mut self, question: Question) {
        if let Some(legacy) = &mut self.legacy {
            self.deadline += limits::ANSWERS;
            legacy.ask_alive(question);
            return;
        }
        let State::Running { ticket, run, events } = replace(&mut self.state, State::Ended) else { return };
        let call = Suspended { run, events, permit: core::mem::take(&mut self.place.permit) };
        let outcome = match self.moment.engine.parking().park(call, question) {
            Some((questions, state)) => Outcome::Asks(questions, Some(state)),
            None => parked_too_many(),
        };
        // What the parked call sends from here on is for the retry.
        let (_, events) = mpsc::channel(1);
        self.watch.ran(&outcome);
        self.state = State::Draining { ticket, outcome, events, is_charged: true };
    }

    fn asked(&mut self, asked: Option<Asked>) {
        match (asked, &mut self.state) {
            (Some(Asked::Again(again)), State::Running { run, .. }) => *run = again,
            (Some(Asked::Ends(outcome)), _) => self.ends(outcome),
            _ => {}
        }
    }

    fn ends(&mut self, outcome: Outcome) {
        // The place in the table is free before the answer goes out.
        self.legacy = None;
        self.watch.ran(&outcome);
        if let State::Running { ticket, events, .. } = replace(&mut self.state, State::Ended) {
            self.state = State::Draining { ticket, outcome, events, is_charged: false };
        }
    }

    /// Charges the outcome, which waits until the caller has read the events before it.
    fn charge_outcome(&mut self) {
        if let State::Draining { outcome, is_charged, .. } = &mut self.state
            && !core::mem::replace(is_charged, true)
            && let Err(short) = self.place.permit.more(outcome.size_hint())
        {
            *outcome = Outcome::Rejected(Code::InternalError, short.reason().to_owned());
        }
    }

    /// Writes the answer; `None` if it is to be streamed.
    fn finish(&mut self) -> Option<Step> {
        let State::Draining { ticket, mut outcome, .. } = replace(&mut self.state, State::Ended) else {
            return Some(Step::Gone);
        };
        let Some(text) = outcome.take_stream() else {
            return Some(Step::Last(self.moment.of_call(ticket, &self.body, &outcome, &self.place.permit)));
        };
        let text = (text, self.deadline, self.stop.clone());
        let (moment, body) = (self.moment.clone(), self.body.clone());
        let piped = Piped::new(moment, ticket, body, text, self.way, &self.place.permit);
        self.state = State::Streaming(piped);
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
