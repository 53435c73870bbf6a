//! A finished server, and what it is at one moment.

use super::answer::Answer;
use crate::admission::Admission;
use crate::auth::Auth;
use crate::clock::now;
use crate::legacy::{Client, Logs, Memory};
use crate::limits::{self, Limits};
use crate::observe::{Observe, Observers, Transport, Watch};
use crate::sink::Growing;
use crate::tools::{Changes, Outcome, Registry};
use attache_core::auth::Authenticated;
use attache_core::era::{Client as Capabilities, Session, Version};
use attache_core::exchange::{Next, Reply, Ticket};
use attache_core::http::{LOOPBACK, Policy};
use attache_core::json::Escaped;
use attache_core::limits::SESSION_LIFE;
use attache_core::mcp;
use attache_core::rpc::Error;
use attache_core::seal::Key;
use attache_core::tool::{Operation, scopes};
use bytes::Bytes;
use core::fmt;
use std::sync::Arc;

/// A finished server, shared by all connections. What it offers may change, and nothing else does.
pub struct Engine {
    /// Escaped, as the version and the instructions are.
    name: String,
    version: String,
    instructions: Option<String>,
    pub(crate) page: usize,
    pub(crate) changes: Changes,
    /// The first one seals, all open.
    keys: Vec<Key>,
    /// Tells this process from others that have the same keys.
    home: [u8; 4],
    memory: Arc<Memory>,
    pub(crate) logs: Logs,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
    limits: Limits,
    pub(crate) admission: Admission,
    observers: Arc<Observers>,
    auth: Arc<Auth>,
    /// Whether lists show only what their caller may use.
    pub(crate) hides_forbidden: bool,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("name", &self.name).field("changes", &self.changes).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            name: escaped(name),
            version: escaped(version),
            instructions: None,
            page: usize::MAX,
            changes: Changes::new(),
            keys: vec![Key::new(random())],
            home: random(),
            memory: Arc::default(),
            logs: Logs::default(),
            hosts: LOOPBACK.iter().map(ToString::to_string).collect(),
            origins: Vec::new(),
            limits: Limits::default(),
            admission: Admission::new(&Limits::default()),
            observers: Arc::new(Observers { server: name.to_owned(), list: Vec::new() }),
            auth: Arc::new(Auth::anonymous()),
            hides_forbidden: false,
        }
    }

    pub(crate) fn limit(&mut self, limits: Limits) {
        self.admission = Admission::new(&limits);
        self.limits = limits;
    }

    /// What callers may cost.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn instruct(&mut self, text: &str) {
        self.instructions = Some(escaped(text));
    }

    pub(crate) fn observe(&mut self, observer: Arc<dyn Observe>) {
        Arc::make_mut(&mut self.observers).list.push(observer);
    }

    pub(crate) fn protect(&mut self, auth: Auth) {
        self.auth = Arc::new(auth);
    }

    /// What callers have to show.
    pub(crate) const fn auth(&self) -> &Arc<Auth> {
        &self.auth
    }

    /// The metadata of the endpoint, in JSON (RFC 9728), where access tokens are asked for. It belongs at
    /// `/.well-known/oauth-protected-resource`, followed by the path of the endpoint, for everybody to read.
    pub fn metadata(&self) -> Option<String> {
        let [origin, path] = self.auth.resource()?.url();
        self.auth.metadata(&format!("{origin}{path}"))
    }

    /// The record of a message that begins to come in.
    pub(crate) fn watch(&self, transport: Transport) -> Watch {
        Watch::new(&self.observers, transport)
    }

    /// Seals with the first of these keys, and opens what any of them has sealed.
    pub(crate) fn seal_with(&mut self, keys: Vec<Key>) {
        assert!(!keys.is_empty(), "a server needs a key to seal with");
        self.keys = keys;
    }

    /// The key that seals.
    pub(super) fn key(&self) -> &Key {
        // There is one from the beginning, and never none.
        &self.keys[0]
    }

    /// A new session of a client, with what its handshake has agreed on.
    pub(crate) fn session(&self, version: Version, client: Capabilities) -> Session {
        Session { version, client, name: random(), home: self.home, ends: now() + SESSION_LIFE }
    }

    /// What the server has to do with the client of a session.
    pub(crate) fn client(&self, session: Session) -> Client {
        Client::new(session, self.home, Arc::clone(&self.memory))
    }

    /// The id of a session, for this caller.
    pub(crate) fn session_id(&self, session: &Session, who: &Authenticated<'_>) -> Option<String> {
        let mut id = Growing::unlimited();
        session.seal(self.key(), who.identity(), &mut id).ok()?;
        String::from_utf8(id.bytes).ok()
    }

    /// The session with this id, if it is one of this caller and has not ended.
    pub(crate) fn open_session(&self, id: &[u8], who: &Authenticated<'_>) -> Option<Client> {
        let client = self.client(Session::open(&self.keys, who.identity(), now(), id)?);
        (!client.has_ended()).then_some(client)
    }

    /// The server as it is now.
    pub(crate) fn now(self: &Arc<Self>) -> Moment {
        Moment { engine: Arc::clone(self), offers: self.changes.offers() }
    }

    pub(crate) fn policy(&self) -> Policy<'_, String> {
        Policy { hosts: &self.hosts, origins: &self.origins, access: self.auth.gate() }
    }
}

/// A server at one moment. A request is served by what was offered when it came, whatever is added or removed meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(super) engine: Arc<Engine>,
    pub(super) offers: Arc<Registry>,
}

impl Moment {
    /// The server as the protocol engine sees it.
    pub(crate) fn server(&self) -> mcp::Server<'_> {
        let text = Escaped::from_escaped;
        let Engine { name, version, instructions, page, .. } = &*self.engine;
        let server = mcp::Server::escaped(text(name), text(version), &*self.offers).with_page(*page).with_sessions();
        let server = if self.engine.hides_forbidden { server.with_private_lists() } else { server };
        let server = match instructions {
            Some(instructions) => server.with_escaped_instructions(text(instructions)),
            None => server,
        };
        match self.offers.extensions.printed() {
            Some(extensions) => server.with_extensions(extensions),
            None => server,
        }
    }

    /// What `open` makes of a message; where it is a list that is to show no more than the caller may use, once more of a server that
    /// offers nothing else.
    pub(crate) fn open(self, who: &Authenticated<'_>, open: impl Fn(&mcp::Server<'_>) -> Next) -> (Self, Next) {
        let next = open(&self.server());
        match &next {
            Next::Reply(reply) if reply.is_list() && self.engine.hides_forbidden => match self.offers.allowed_to(who) {
                Some(allowed) => {
                    let moment = Self { offers: Arc::new(allowed), ..self };
                    let next = open(&moment.server());
                    (moment, next)
                }
                None => (self, next),
            },
            _ => (self, next),
        }
    }

    /// The scopes that `operation` needs.
    pub(crate) fn scopes_of(&self, operation: Operation) -> impl Iterator<Item = &str> {
        scopes(&*self.offers, operation)
    }

    /// Notes for those who observe what a message is.
    pub(crate) fn opened(&self, next: &Next, who: &Authenticated<'_>, body: &Bytes, watch: &mut Watch) {
        watch.opened(next, who, &self.offers, body);
    }

    /// A reply that is emitted, whole, and noted.
    pub(crate) fn replied(&self, reply: &Reply, body: &[u8], watch: &mut Watch) -> Answer {
        let answer = self.emitted(reply, body);
        watch.replied(reply);
        watch.status(answer.status);
        watch.sent(answer.bytes.len());
        answer
    }

    /// A reply that is emitted, whole.
    pub(crate) fn emitted(&self, reply: &Reply, body: &[u8]) -> Answer {
        let server = self.server();
        let mut emission = reply.emit(&server, body, b"");
        let mut bytes = vec![0; emission.len()];
        emission.fill(&mut bytes);
        Answer { status: reply.status(), bytes: bytes.into(), spoilt: reply.error_reported().map(Error::code) }
    }

    pub(crate) fn of_call(&self, mut ticket: Ticket, body: &[u8], outcome: &Outcome) -> Answer {
        let mut sink = Growing::new(outcome.size_hint(), limits::RESULT);
        let reply = match ticket.begin(body, &mut sink) {
            Err(reply) => reply,
            Ok(mut out) => {
                let written = outcome.write(&mut out);
                ticket.finish(&self.server(), out, written)
            }
        };
        match reply.error_reported() {
            Some(_) => self.emitted(&reply, body),
            None => Answer::new(reply.status(), sink.bytes),
        }
    }
}

/// Random bytes: a key made of them lives as long as the process, and what it has sealed is void after a restart.
///
/// # Panics
/// If the operating system has no randomness, for then nothing that is sealed could be trusted.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// `text` as it may stand between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}
