//! This process as its neighbours see it.

use super::message::{Content, Missed, Parts, Request, Sender, What, channel};
use crate::budget::{Account, Budget, weight};
use crate::call::{Event, Forwarded, Outcome, Parking, Suspended, parked_too_many};
use crate::session::{Reader, ReplayBuffers, Replayed, SessionTables};
use bytes::Bytes;
use core::fmt;
use serde_json::{Map, Value};
use std::sync::Arc;

/// This process as its neighbours see it: what serves their requests.
#[derive(Clone)]
pub struct Local {
    pub(crate) home: [u8; 4],
    pub(crate) memory: Arc<SessionTables>,
    pub(crate) logs: Arc<ReplayBuffers>,
    pub(crate) parking: Parking,
    pub(crate) budget: Budget,
}

impl Local {
    /// A number that distinguishes this process from all others of the server. Each start of a process has another one.
    pub const fn home(&self) -> [u8; 4] {
        self.home
    }

    /// Serves a request of another process. The answer to a cancellation and to an answer has no parts.
    ///
    /// # Errors
    /// Why the request cannot be served here.
    pub fn serve(&self, request: Request) -> Result<Parts, Missed> {
        match request.what {
            What::Cancel { session, id } => self.done(self.memory.cancel(session, id.as_bytes())),
            What::Answer { session, question, outcome } => {
                let (Ok(value) | Err(value)) = &outcome;
                // The parsed answer is kept until all answers to its call have come.
                let size = weight(value.to_string().as_bytes());
                let permit = self.budget.reserve(Account::UNKNOWN, size).map_err(|_| Missed::Busy)?;
                self.done(self.memory.answer(session, question, outcome, permit))
            }
            What::Events { session, after } => {
                let reader = self.logs.resume(session, &after).ok_or(Missed::Unknown)?;
                Ok(sent(|sender| replay(reader, sender)))
            }
            What::Resume { call, answers, token } => self.resume(call, answers, token.as_deref()),
        }
    }

    fn done(&self, found: bool) -> Result<Parts, Missed> {
        if found { Ok(sent(|_| async {})) } else { Err(Missed::Unknown) }
    }

    fn resume(&self, call: u64, answers: Map<String, Value>, token: Option<&str>) -> Result<Parts, Missed> {
        let call = self.parking.take(call, answers, token.map(str::as_bytes)).ok_or(Missed::Unknown)?;
        let parking = self.parking.clone();
        Ok(sent(|sender| continued(call, parking, sender)))
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("home", &self.home).finish_non_exhaustive()
    }
}

/// The parts that `send` sends from a task of its own, which ends when their reader is gone.
fn sent<F>(send: impl FnOnce(Sender) -> F) -> Parts
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, parts) = channel();
    let closed = sender.clone();
    let sending = send(sender);
    tokio::spawn(async move {
        tokio::select! {
            () = sending => {}
            () = closed.closed() => {}
        }
    });
    Box::pin(parts)
}

async fn replay(mut reader: Reader, sender: Sender) {
    loop {
        let (number, message, last) = match reader.next().await {
            Replayed::Message(number, message) => (number, message, None),
            Replayed::Last(number, message, status) => (number, message, Some(status)),
            Replayed::Gone => return,
        };
        let part = Content::Replayed { number, message: text(&message), last };
        if sender.send(part).await.is_err() || last.is_some() {
            return;
        }
    }
}

/// Runs a call that was parked until it has an outcome, or asks again.
async fn continued(call: Suspended, parking: Parking, sender: Sender) {
    let Suspended { mut run, mut events, permit } = call;
    let outcome = loop {
        tokio::select! {
            biased;
            Some(event) = events.next() => match event {
                Event::Message(message) => {
                    let _ = sender.send(Content::Event(text(&message))).await;
                }
                Event::Ask(question) => {
                    let parked = parking.park(Suspended { run, events, permit }, question);
                    let asks = parked.map(|(questions, state)| Outcome::Asks(questions, Some(state)));
                    let _ = sender.send(part(asks.unwrap_or_else(parked_too_many))).await;
                    return;
                }
            },
            outcome = &mut run => break outcome,
        }
    };
    // The events that the call has sent before it ended.
    while let Some(Event::Message(message)) = events.sent() {
        let _ = sender.send(Content::Event(text(&message))).await;
    }
    let _ = sender.send(part(outcome)).await;
}

/// The outcome of a call that was resumed. Only backends have such calls, so the results of closures do not occur.
fn part(outcome: Outcome) -> Content {
    if let Outcome::Tool(output) = &outcome
        && let Some(reason) = output.failure()
    {
        return Content::Failed(reason.to_owned());
    }
    match outcome {
        Outcome::Forwarded(Forwarded { members, meta, is_error }) => Content::Result { members, meta, is_error },
        Outcome::Failed { code, message, data } => Content::Error { code, message, data },
        Outcome::Rejected(code, message) => Content::Error { code: code.digits().to_owned(), message, data: None },
        Outcome::Asks(questions, state) => Content::Asks { questions, state },
        _ => Content::Failed("The call ended with a result that cannot be sent to another process".to_owned()),
    }
}

/// A message, which is JSON.
fn text(message: &Bytes) -> String {
    String::from_utf8_lossy(message).into_owned()
}
