//! A finished server: what is asked of the protocol engine on its behalf, and the answers.

use crate::limits;
use crate::tools::{Outcome, Registry, Run};
use attache_core::auth::{Access, Authenticated};
use attache_core::exchange::{Next, Reply, Ticket};
use attache_core::http::{LOOPBACK, Policy};
use attache_core::json::{Escaped, Full, Sink};
use attache_core::mcp;
use bytes::Bytes;

/// A finished server. It is shared by all connections and never changes.
#[derive(Debug)]
pub struct Engine {
    /// Escaped, as the version and the instructions are.
    name: String,
    version: String,
    instructions: Option<String>,
    pub(crate) offers: Registry,
    pub(crate) page: usize,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
    access: Access,
}

impl Engine {
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            name: escaped(name),
            version: escaped(version),
            instructions: None,
            offers: Registry::default(),
            page: usize::MAX,
            hosts: LOOPBACK.iter().map(ToString::to_string).collect(),
            origins: Vec::new(),
            access: Access::Anonymous,
        }
    }

    pub(crate) fn instruct(&mut self, text: &str) {
        self.instructions = Some(escaped(text));
    }

    /// The server as the protocol engine sees it.
    pub(crate) fn view(&self) -> mcp::Server<'_> {
        let text = Escaped::from_escaped;
        let server = mcp::Server::new(text(&self.name), text(&self.version), &self.offers).with_page(self.page);
        match &self.instructions {
            Some(instructions) => server.with_instructions(text(instructions)),
            None => server,
        }
    }

    pub(crate) fn policy(&self) -> Policy<'_, String> {
        Policy { hosts: &self.hosts, origins: &self.origins, access: self.access }
    }

    /// Starts what `next` asks for; `None` if there is nothing to answer.
    pub(crate) fn start(&self, next: Next, who: &Authenticated<'_>, body: Bytes) -> Option<Pending> {
        match next {
            Next::Ack => None,
            Next::Reply(reply) => Some(Pending::Ready(Answer::emitted(&reply, self, &body))),
            Next::Call(ticket) => {
                let run = self.offers.start(ticket.call(&body, who));
                Some(Pending::Running { ticket, body, run })
            }
        }
    }
}

/// An answer on its way. It needs nothing of the request any more but the body it holds.
pub(crate) enum Pending {
    Ready(Answer),
    Running { ticket: Ticket, body: Bytes, run: Run },
}

impl Pending {
    /// The answer, when the tool has ended.
    pub(crate) async fn answer(self, engine: &Engine) -> Answer {
        match self {
            Self::Ready(answer) => answer,
            Self::Running { ticket, body, run } => Answer::of_call(ticket, engine, &body, &run.await),
        }
    }
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn emitted(reply: &Reply, engine: &Engine, body: &[u8]) -> Self {
        let server = engine.view();
        let mut emission = reply.emit(&server, body, b"");
        let mut bytes = vec![0; emission.len()];
        emission.fill(&mut bytes);
        Self { status: reply.status(), bytes: bytes.into() }
    }

    fn of_call(mut ticket: Ticket, engine: &Engine, body: &[u8], outcome: &Outcome) -> Self {
        let mut sink = Growing(Vec::with_capacity(outcome.size_hint()));
        let reply = match ticket.begin(body, &mut sink) {
            Err(reply) => reply,
            Ok(mut out) => {
                let written = outcome.write(&mut out);
                ticket.finish(&engine.view(), out, written)
            }
        };
        match reply.error_reported() {
            Some(_) => Self::emitted(&reply, engine, body),
            None => Self { status: reply.status(), bytes: sink.0.into() },
        }
    }
}

/// A sink that grows, up to the largest result.
struct Growing(Vec<u8>);

impl Sink for Growing {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > limits::RESULT - self.0.len() {
            return Err(Full);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

/// `text` as it may stand between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}
