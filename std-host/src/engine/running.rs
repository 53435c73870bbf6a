//! Running calls.

use super::answer::Step;
use super::piped::{Part, Piped, Way};
use super::server::Moment;
use super::stop::{STOPPED, Stop};
use crate::admission::Place;
use crate::budget::Permit;
use crate::call::{Event, EventReceiver, Outcome, Question, Run, Suspended, parked_too_many};
use crate::limits;
use crate::observe::Watch;
use crate::offer::Started;
use crate::session::{Asked, Legacy, Signal};
use attache_core::era::Version;
use attache_core::exchange::Ticket;
use attache_core::rpc::Code;
use bytes::Bytes;
use core::mem::replace;
use tokio::time::{Instant, sleep_until};

/// A running call.
pub(crate) struct Running {
    moment: Moment,
    version: Version,
    body: Bytes,
    state: State,
    way: Way,
    deadline: Instant,
    /// The latest deadline, however often the call asks.
    latest: Instant,
    /// Ends the call before its deadline.
    stop: Stop,
    place: Place,
    /// The permit for memory that the call already held when it was parked.
    held: Permit,
    /// The connection to a legacy client, which can cancel the call and answer its questions.
    legacy: Option<Box<Legacy>>,
    watch: Watch,
}

enum State {
    /// The handler is running.
    Running { ticket: Ticket, run: Run, events: EventReceiver },
    /// The handler has ended; its earlier events are still to be sent.
    Draining { ticket: Ticket, outcome: Outcome, events: EventReceiver, is_charged: bool },
    /// The answer is being streamed.
    Streaming(Piped),
    /// The last step was returned.
    Ended,
}

/// The next event of a running handler.
enum Next {
    Event(Event),
    Signal(Signal),
    Outcome(Outcome),
}

impl Running {
    /// Creates the running call of `ticket`, which was read from `body`.
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
        let (latest, stop) = (deadline + limits::ANSWERS_TOTAL, Stop::default());
        Self { moment, version, body, state, way, deadline, latest, stop, place, held, legacy, watch }
    }

    /// Returns the protocol revision of the caller.
    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// Sends each message as a whole, not in pieces.
    pub(crate) const fn whole(&mut self) {
        self.way = Way::Whole;
    }

    /// Makes the call end with an error when `stop` is signalled.
    pub(crate) fn ends_with(&mut self, stop: Stop) {
        self.stop = stop;
    }

    /// Returns the next data to send. Nothing is lost if the future is dropped.
    pub(crate) async fn step(&mut self) -> Step {
        let step = self.advance().await;
        match &step {
            Step::Told(bytes) | Step::Piece(bytes) => self.watch.sent(bytes),
            Step::Last(answer) => {
                self.watch.sent(&answer.bytes);
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
                State::Draining { events, .. } => match events.sent() {
                    Some(Event::Message(message)) => {
                        self.charge_outcome();
                        return Step::Told(message);
                    }
                    // The handler that asked has already ended.
                    Some(Event::Ask(_)) => continue,
                    None => match self.finish() {
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
        events: &mut EventReceiver,
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
            Some(event) = events.next() => Next::Event(event),
            signal = signal => Next::Signal(signal),
            outcome = run => Next::Outcome(outcome),
            // Polled after the handler, so that a call that never waits needs no timer.
            () = async { sleep_until(deadline).await } => Next::Outcome(overdue()),
            () = stop.wait() => Next::Outcome(stopped()),
        }
    }

    /// Handles the end of the handler: asks a legacy client the questions in the outcome, or
    /// answers with the outcome.
    fn ran(&mut self, outcome: Outcome) {
        match (outcome, &mut self.legacy) {
            (Outcome::Asks(questions, _), Some(legacy)) => {
                self.deadline = extended(self.deadline, self.latest);
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

    /// Asks the client while the call stays alive. A legacy client is sent the questions. A modern
    /// client gets them as the answer, and its retry continues the parked call.
    fn ask(&mut self, question: Question) {
        if let Some(legacy) = &mut self.legacy {
            self.deadline = extended(self.deadline, self.latest);
            legacy.ask_alive(question);
            return;
        }
        let State::Running { ticket, run, events } = replace(&mut self.state, State::Ended) else { return };
        // The answer with the questions is charged to the same caller, as long as it is not read.
        let of_answer = self.place.permit.another();
        let mut permit = replace(&mut self.place.permit, of_answer);
        let absorbed = permit.absorb(replace(&mut self.held, Permit::uncounted()));
        let call = Suspended { run, events, permit };
        let parked = absorbed.map(|()| self.moment.server.parking().park(call, question));
        let outcome = match parked {
            Ok(Some((questions, state))) => Outcome::Asks(questions, Some(state)),
            Ok(None) => parked_too_many(),
            Err(short) => Outcome::Rejected(Code::InternalError, short.reason().to_owned()),
        };
        // Later events of the parked call are sent in the answer to the retry.
        self.watch.ran(&outcome);
        self.state = State::Draining { ticket, outcome, events: EventReceiver::NONE, is_charged: true };
    }

    fn asked(&mut self, asked: Option<Asked>) {
        match (asked, &mut self.state) {
            (Some(Asked::Again(again)), State::Running { run, .. }) => *run = again,
            (Some(Asked::Ends(outcome)), _) => self.ends(outcome),
            _ => {}
        }
    }

    fn ends(&mut self, outcome: Outcome) {
        // Frees the place in the table before the answer is sent.
        self.legacy = None;
        self.watch.ran(&outcome);
        if let State::Running { ticket, events, .. } = replace(&mut self.state, State::Ended) {
            self.state = State::Draining { ticket, outcome, events, is_charged: false };
        }
    }

    /// Charges the outcome, which waits until the caller has read the earlier events.
    fn charge_outcome(&mut self) {
        if let State::Draining { outcome, is_charged, .. } = &mut self.state
            && !core::mem::replace(is_charged, true)
            && let Err(short) = self.place.permit.more(outcome.size_hint())
        {
            *outcome = Outcome::Rejected(Code::InternalError, short.reason().to_owned());
        }
    }

    /// Writes the answer, or returns `None` if it is to be streamed.
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

/// Returns the deadline of a call that has asked a question: its user gets additional time to answer.
fn extended(deadline: Instant, latest: Instant) -> Instant {
    (deadline + limits::ANSWERS).min(latest)
}

/// Returns the outcome of a call that has exceeded its deadline. Its handler is dropped.
fn overdue() -> Outcome {
    tracing::warn!("a call took longer than the limit and was ended");
    Outcome::Rejected(Code::InternalError, "The call took longer than this server allows, and was ended".to_owned())
}

/// Returns the outcome of a call that is still running when the program ends. Its handler is
/// dropped.
fn stopped() -> Outcome {
    Outcome::Rejected(Code::InternalError, STOPPED.to_owned())
}
