//! Requests that belong to a call or a stream of another process, sent there.

use super::Neighbours;
use super::message::{Content, Missed, Parts, Request, What, next};
use crate::admission::parsed;
use crate::budget::Permit;
use crate::call::{Event, Forwarded, Outcome, ParkedCall, Suspended, ToolOutput, parked_gone};
use crate::session::{Client, Reader, ReplayBuffer, Writer, elsewhere, stream_of};
use attache_core::exchange::{Next, Standalone};
use attache_core::json::Item;
use attache_core::rpc::Error;
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::mpsc;

impl Client {
    /// Sends a cancellation or an answer for a call that is not in this process to the neighbours. Returns what is left to do with the
    /// message: it is unchanged if it is for this process, or if no neighbour can be reached.
    pub(crate) async fn forward(&self, next: Next, body: &[u8], permit: &Permit, neighbours: &dyn Neighbours) -> Next {
        let session = self.session.name;
        let (what, unknown) = match &next {
            Next::Cancel(id) if !self.runs(id.of(body)) => {
                // MCP 2025-11-25 basic/utilities/cancellation: what names no running request is ignored.
                (What::Cancel { session, id: json(id.of(body)) }, Next::Ack)
            }
            Next::Answer(question, outcome) if !self.awaits(*question) => {
                let Ok(_parsed) = parsed(body, permit) else { return next };
                let read = |item: &Item| serde_json::from_slice(item.of(body).raw()).unwrap_or_default();
                let outcome = outcome.as_ref().map(read).map_err(read);
                let unexpected = Standalone::error(Error::UnexpectedAnswer, self.session.version);
                (What::Answer { session, question: *question, outcome }, Next::Reply(unexpected.into()))
            }
            _ => return next,
        };
        match neighbours.ask(Request { home: self.session.home, what }).await {
            Ok(_) => Next::Ack,
            Err(Missed::Unknown) => unknown,
            Err(Missed::Unreached) => next,
            Err(Missed::Busy) => Next::Reply(Standalone::error(BUSY, self.session.version).into()),
        }
    }

    /// Asks the neighbours for what follows an event of a stream that is not in this process.
    ///
    /// # Errors
    /// Why there is no such stream.
    pub(crate) async fn replayed(
        &self,
        event: &str,
        unknown: Error,
        neighbours: &dyn Neighbours,
    ) -> Result<Reader, Error> {
        let Some((home, number, behind)) = stream_of(event) else { return Err(unknown) };
        let what = What::Events { session: self.session.name, after: event.to_owned() };
        match neighbours.ask(Request { home, what }).await {
            Ok(parts) => {
                let (log, writer) = ReplayBuffer::copied(self.session.name, (number, behind), self.account());
                let reader = log.read(behind);
                tokio::spawn(mirror(parts, writer));
                Ok(reader)
            }
            Err(Missed::Busy) => Err(BUSY),
            Err(Missed::Unreached) if !self.is_at_home() => Err(elsewhere("event")),
            Err(Missed::Unknown | Missed::Unreached) => Err(unknown),
        }
    }
}

const BUSY: Error = Error::Busy("The process that runs the call is short of memory: try again later");

/// Writes what another process sends into a log of this one, as long as there is a reader.
async fn mirror(mut parts: Parts, writer: Writer) {
    loop {
        let part = tokio::select! {
            part = next(&mut parts) => part,
            () = writer.abandoned() => return,
        };
        match part.map(|part| part.0) {
            Some(Content::Replayed { number, message, last: None }) => writer.push_as(number, message.into()).await,
            Some(Content::Replayed { number, message, last: Some(status) }) => {
                return writer.finish_as(number, message.into(), status);
            }
            _ => return,
        }
    }
}

/// Continues a parked call of another process with these answers. Events that wait here for the caller are charged to the request of
/// `permit`.
pub(crate) fn resume(
    neighbours: Arc<dyn Neighbours>,
    ParkedCall { home, call }: ParkedCall,
    answers: Map<String, Value>,
    token: Option<&[u8]>,
    permit: Permit,
) -> Suspended {
    let what = What::Resume { call, answers, token: token.map(json) };
    let (sender, events) = mpsc::channel(EVENTS);
    let run = Box::pin(async move {
        let Ok(mut parts) = neighbours.ask(Request { home, what }).await else { return parked_gone() };
        loop {
            let part = next(&mut parts).await;
            return match part.map(|part| part.0) {
                Some(Content::Event(message)) => {
                    match permit.hold(message.into_bytes()) {
                        Ok(message) => drop(sender.send(Event::Message(message)).await),
                        Err(short) => tracing::debug!(?short, "an event of another process was left out"),
                    }
                    continue;
                }
                Some(Content::Result { members, meta, is_error }) => {
                    Outcome::Forwarded(Forwarded { members, meta, is_error })
                }
                Some(Content::Failed(reason)) => Outcome::Tool(ToolOutput::failed(reason)),
                Some(Content::Error { code, message, data }) => Outcome::Failed { code, message, data },
                Some(Content::Asks { questions, state }) => Outcome::Asks(questions, state),
                Some(Content::Replayed { .. }) | None => parked_gone(),
            };
        }
    });
    Suspended { run, events: events.into(), permit: Permit::uncounted() }
}

/// Events that wait for a caller that does not read.
const EVENTS: usize = 4;

/// JSON of a message that was checked when it came in.
fn json(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
