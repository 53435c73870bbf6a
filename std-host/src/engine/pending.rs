//! From what the protocol engine wants done to what is on its way to the peer.

use super::answer::Answer;
use super::listening::Listening;
use super::piped::Way;
use super::running::Running;
use super::server::Moment;
use super::stop::Stop;
use crate::admission::Place;
use crate::legacy::{Client, Legacy};
use crate::observe::Watch;
use crate::tools::Started;
use attache_core::auth::Authenticated;
use attache_core::exchange::{Next, Reply, Wish};
use attache_core::json::Item;
use attache_core::rpc::Error;
use bytes::Bytes;
use tokio::time::Instant;

/// What is on its way to a peer. It needs nothing of the request any more but the body it holds.
pub(crate) enum Pending {
    Ready(Answer),
    Running(Running),
    Listening(Listening),
}

impl Moment {
    /// Starts what `next` asks for, which this moment's server has made of `body`; `None` if there is nothing to answer. It keeps
    /// its `place` until its end. `client` is that of a legacy session, whose message it is.
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
            // Whoever reads batches has its messages started one by one.
            Next::Ack | Next::Batch(_) => {
                watch.taken();
                None
            }
            Next::Cancel(id) => self.done(client?.cancel(id.of(&body)), client?, watch),
            Next::Answer(question, outcome) => {
                let read = |item: Item| serde_json::from_slice(item.of(&body).raw()).unwrap_or_default();
                self.done(client?.answer(question, outcome.map(read).map_err(read)), client?, watch)
            }
            Next::Remember(wish, reply) => {
                let uri = || match wish {
                    Wish::Subscribe(uri) | Wish::Unsubscribe(uri) => {
                        uri.of(&body).text().unwrap_or_default().chars().collect()
                    }
                    Wish::Level(_) => String::new(),
                };
                let reply = match client?.remember(wish, uri) {
                    Ok(()) => reply,
                    Err(error) => reply.instead(error),
                };
                Some(Pending::Ready(self.replied(&reply, &body, &mut watch)))
            }
            Next::Reply(reply) => Some(Pending::Ready(self.replied(&reply, &body, &mut watch))),
            Next::Call(ticket) => {
                let client = client.filter(|_| !ticket.version().is_modern());
                let call = match client.map(|client| client.begin(ticket.id(&body))).transpose() {
                    Ok(call) => call,
                    Err(error) => {
                        let reply = ticket.refuse_for(error);
                        return Some(Pending::Ready(self.replied(&reply, &body, &mut watch)));
                    }
                };
                let (changes, key) = (&self.engine.changes, self.engine.key());
                let Started { run, told, again } =
                    self.offers.start(&body, ticket.call(&body, who), changes, key, client.map(Client::known));
                let legacy = call.zip(again).map(|(call, again)| Box::new(Legacy::new(call, again)));
                let deadline = Instant::now() + self.engine.limits().call_time;
                let ticket = Some(ticket);
                Some(Pending::Running(Running {
                    moment: self,
                    ticket,
                    body,
                    run,
                    told,
                    outcome: None,
                    piped: None,
                    way: Way::Pieces,
                    deadline,
                    stop: Stop::default(),
                    place,
                    legacy,
                    watch,
                }))
            }
            Next::Listen(listen) => Some(Pending::Listening(Listening::new(self.engine, listen, body, place, watch))),
        }
    }

    /// The answer to a message that is not a request: none, if all went well.
    fn done(&self, done: Result<(), Error>, client: &Client, mut watch: Watch) -> Option<Pending> {
        match done {
            Ok(()) => {
                watch.taken();
                None
            }
            Err(error) => {
                let reply = Reply::refusing(error, None, client.session.version);
                Some(Pending::Ready(self.replied(&reply, b"", &mut watch)))
            }
        }
    }
}
