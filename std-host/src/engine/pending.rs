//! Starts the work that the protocol engine asks for.

use super::answer::Answer;
use super::listening::Listening;
use super::running::Running;
use super::server::Moment;
use crate::admission::{Place, parsed};
use crate::observe::Watch;
use crate::session::{Client, Legacy};
use attache_core::auth::Authenticated;
use attache_core::exchange::{Next, SessionChange, Standalone};
use attache_core::json::Item;
use attache_core::rpc::Error;
use bytes::Bytes;
use tokio::time::Instant;

/// An answer, a running call or an open subscription. Of the request, it only needs the body, which
/// it holds.
pub(crate) enum Pending {
    Ready(Answer),
    // In boxes, because they are large and are passed on several times before they run.
    Running(Box<Running>),
    Listening(Box<Listening>),
}

impl Moment {
    /// Starts the work that `next` asks for, which this moment's server has read from `body`.
    /// Returns `None` if there is nothing to answer. `place` is held until the work ends. `client`
    /// is set for a message of a legacy session.
    pub(crate) fn start(
        self,
        next: Next,
        who: &Authenticated<'_>,
        body: Bytes,
        place: Place,
        client: Option<&Client>,
        mut watch: Watch,
    ) -> Option<Pending> {
        match next {
            // The reader of a batch starts its messages one by one.
            Next::Ack | Next::Batch(_) => {
                watch.taken();
                None
            }
            Next::Cancel(id) => self.done(client?.cancel(id.of(&body)), client?, watch),
            Next::Answer(question, outcome) => {
                let read = |item: Item| serde_json::from_slice(item.of(&body).raw()).unwrap_or_default();
                // The parsed answer is kept until the call has all its answers.
                let answered = match parsed(&body, &place.permit) {
                    Ok(permit) => client?.answer(question, outcome.map(read).map_err(read), permit),
                    Err(short) => Err(Error::Busy(short.reason())),
                };
                self.done(answered, client?, watch)
            }
            Next::Remember(wish, reply) => {
                let uri = || match wish {
                    SessionChange::Subscribe(uri) | SessionChange::Unsubscribe(uri) => {
                        uri.of(&body).text().unwrap_or_default().chars().collect()
                    }
                    SessionChange::Level(_) => String::new(),
                };
                let reply = match client?.remember(wish, uri, &self.server.backends, &place.permit) {
                    Ok(()) => reply,
                    Err(error) => reply.instead(error),
                };
                Some(Pending::Ready(self.replied(&reply, &body, &place.permit, &mut watch)))
            }
            Next::Reply(reply) => Some(Pending::Ready(self.replied_to(who, &reply, &body, &place.permit, &mut watch))),
            Next::Call(ticket) => {
                let client = client.filter(|_| !ticket.version().is_modern());
                let call = match client.map(|client| client.begin(ticket.id(&body))).transpose() {
                    Ok(call) => call,
                    Err(error) => {
                        let reply = ticket.refuse_for(error);
                        return Some(Pending::Ready(self.replied(&reply, &body, &place.permit, &mut watch)));
                    }
                };
                let deadline = Instant::now() + self.server.limits().call_time;
                let (changes, parking, key) = (&self.server.changes, self.server.parking(), self.server.key());
                let known = client.map(Client::known);
                let call_of = ticket.call(&body, who);
                let shared = (changes, parking, key, self.request.as_ref(), watch.span());
                let mut started = self.offers.start(&body, call_of, shared, known, deadline, &place.permit);
                let legacy = call.zip(started.again.take()).map(|(call, again)| Box::new(Legacy::new(call, again)));
                let running = Running::new(self, (ticket, body), started, deadline, place, legacy, watch);
                Some(Pending::Running(Box::new(running)))
            }
            Next::Listen(listen) => {
                Some(Pending::Listening(Box::new(Listening::new(self.server, listen, body, place, watch))))
            }
        }
    }

    /// Returns the answer to a message that is not a request: `None` if it succeeded.
    fn done(&self, done: Result<(), Error>, client: &Client, mut watch: Watch) -> Option<Pending> {
        match done {
            Ok(()) => {
                watch.taken();
                None
            }
            Err(error) => {
                let reply = Standalone::error(error, client.session.version);
                Some(Pending::Ready(self.refused(reply, &mut watch)))
            }
        }
    }
}
