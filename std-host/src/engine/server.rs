//! A finished server, and what it is at one moment.

use super::answer::Answer;
use crate::admission::Admission;
use crate::auth::Auth;
use crate::backend::Backends;
use crate::budget::{Account, Budget, Cache, Overdrawn, Permit};
use crate::call::{Outcome, Parking};
use crate::clock::now;
use crate::limits::{self, Limits};
use crate::observe::{Observe, Observers, Transport, Watch};
use crate::offer::{Changes, Registry};
use crate::session::{Client, Logs, Memory};
use crate::sink::Growing;
use attache_core::auth::Authenticated;
use attache_core::era::{Client as Capabilities, Session, Version};
use attache_core::exchange::{Opened, Reply, Standalone, Ticket};
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
    pub(crate) backends: Backends,
    parking: Parking,
    /// The first one seals, all open.
    keys: Vec<Key>,
    /// Tells this process from others that have the same keys.
    home: [u8; 4],
    memory: Arc<Memory>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
    limits: Limits,
    budget: Budget,
    /// Whether other servers draw from it, too.
    has_common_budget: bool,
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
        let changes = Changes::new();
        Self {
            name: escaped(name),
            version: escaped(version),
            instructions: None,
            page: usize::MAX,
            backends: Backends::new(changes.clone()),
            changes,
            parking: Parking::default(),
            keys: vec![Key::new(random())],
            home: random(),
            memory: Arc::new(Memory::new(&Limits::default())),
            logs: Arc::new(Logs::new(&Limits::default())),
            hosts: LOOPBACK.iter().map(ToString::to_string).collect(),
            origins: Vec::new(),
            limits: Limits::default(),
            budget: Budget::new(&Limits::default()),
            has_common_budget: false,
            admission: Admission::new(&Limits::default()),
            observers: Arc::new(Observers::of(name)),
            auth: Arc::new(Auth::anonymous()),
            hides_forbidden: false,
        }
    }

    pub(crate) fn limit(&mut self, limits: Limits) {
        self.admission = Admission::new(&limits);
        self.memory = Arc::new(Memory::new(&limits));
        self.logs = Arc::new(Logs::new(&limits));
        if !self.has_common_budget {
            self.budget = Budget::new(&limits);
        }
        self.limits = limits;
    }

    /// Draws memory from a budget that other servers draw from, too.
    pub(crate) fn draw_from(&mut self, budget: Budget) {
        self.budget = budget;
        self.has_common_budget = true;
    }

    /// Has what is kept for comfort freed when memory is short.
    pub(crate) fn keeps_within_budget(&self) {
        let logs: Arc<dyn Cache> = Arc::clone(&self.logs) as _;
        self.budget.watch_over(Arc::downgrade(&logs));
        self.auth.draw_from(&self.budget);
    }

    /// What callers may make the process hold.
    pub(crate) const fn budget(&self) -> &Budget {
        &self.budget
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

    /// The calls that wait for the answers of modern clients.
    pub(super) const fn parking(&self) -> &Parking {
        &self.parking
    }

    /// The record of a message that begins to come in.
    pub(crate) fn watch(&self, transport: Transport) -> Watch {
        Watch::new(&self.observers, transport)
    }

    /// Seals with the first of these keys, and opens what any of them has sealed.
    #[track_caller]
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
    pub(crate) fn client(&self, session: Session, account: Account) -> Client {
        Client::new(session, self.home, Arc::clone(&self.memory), account)
    }

    /// The id of a session, for this caller. `None` for a caller that cannot be told from others: every one of them could use the id.
    pub(crate) fn session_id(&self, session: &Session, who: &Authenticated<'_>) -> Option<String> {
        if !who.is_distinct() {
            return None;
        }
        let mut id = Growing::unlimited();
        session.seal(self.key(), who.identity(), &mut id).ok()?;
        String::from_utf8(id.bytes).ok()
    }

    /// The session with this id, if it is one of this caller and has not ended.
    pub(crate) fn open_session(&self, id: &[u8], who: &Authenticated<'_>, account: Account) -> Option<Client> {
        if !who.is_distinct() {
            return None;
        }
        let client = self.client(Session::open(&self.keys, who.identity(), now(), id)?, account);
        (!client.has_ended()).then_some(client)
    }

    /// A permit for what the request of `door` holds beyond its head: it is charged to its caller, as far as that is known.
    ///
    /// # Errors
    /// If the caller holds its share.
    pub(crate) fn permit_of(&self, who: &Authenticated<'_>, door: &Permit) -> Result<Permit, Overdrawn> {
        match who.identity() {
            b"" => Ok(door.another()),
            identity => {
                // One copy with the checked token, one for the handler.
                let claims = who.claims().map_or(0, |claims| 2 * claims.json().len());
                self.budget.reserve(Account::identity(identity), claims)
            }
        }
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
        let server = mcp::Server::new(text(name), text(version), &*self.offers).with_page(*page).with_sessions();
        let server = match instructions {
            Some(instructions) => server.with_instructions(text(instructions)),
            None => server,
        };
        match self.offers.extensions.printed() {
            Some(extensions) => server.with_extensions(extensions),
            None => server,
        }
    }

    /// The same for requests of `who`, which lists show no more than it may use where the server hides the rest.
    pub(crate) fn server_for<'a>(&'a self, who: &'a Authenticated<'a>) -> mcp::Server<'a> {
        match self.engine.hides_forbidden {
            true => self.server().with_lists_for(who),
            false => self.server(),
        }
    }

    /// The scopes that `operation` needs.
    pub(crate) fn scopes_of(&self, operation: Operation) -> impl Iterator<Item = &str> {
        scopes(&*self.offers, operation)
    }

    /// Records in `watch` what a message is.
    pub(crate) fn opened(&self, opened: &Opened, who: &Authenticated<'_>, body: &Bytes, watch: &mut Watch) {
        watch.opened(opened, who, &self.offers, body);
    }

    /// An answer that quotes nothing of a message, whole, and noted.
    pub(crate) fn refused(&self, refusal: Standalone, watch: &mut Watch) -> Answer {
        self.replied(&refusal.into(), b"", &Permit::uncounted(), watch)
    }

    /// The answer to the message in `body`, whole, and noted. It is charged to the request of `permit`.
    pub(crate) fn replied(&self, reply: &Reply, body: &[u8], permit: &Permit, watch: &mut Watch) -> Answer {
        noted(reply, emitted(&self.server(), reply, body, permit), watch)
    }

    /// The same to a message of `who`: lists are emitted for it.
    pub(crate) fn replied_to(
        &self,
        who: &Authenticated<'_>,
        reply: &Reply,
        body: &[u8],
        permit: &Permit,
        watch: &mut Watch,
    ) -> Answer {
        noted(reply, emitted(&self.server_for(who), reply, body, permit), watch)
    }

    /// A reply that is emitted, whole.
    pub(crate) fn emitted(&self, reply: &Reply, body: &[u8], permit: &Permit) -> Answer {
        emitted(&self.server(), reply, body, permit)
    }

    /// The answer to a call that has ended with `outcome`. It is charged to the request of `permit`.
    pub(crate) fn of_call(&self, mut ticket: Ticket, body: &[u8], outcome: &Outcome, permit: &Permit) -> Answer {
        let mut sink = Growing::charged(permit, limits::RESULT).expect(outcome.size_hint());
        let reply = match ticket.begin(body, &mut sink) {
            Err(reply) => reply,
            Ok(mut out) => {
                let written = outcome.write(&mut out);
                ticket.finish(&self.server(), out, written)
            }
        };
        match reply.error_reported() {
            Some(_) => self.spoilt(&reply, body, sink.overdrawn(), permit),
            None => Answer::of(reply.status(), sink.into_bytes()),
        }
    }

    /// The answer where the result could not be written: `reply`, or that the budget had no room for it.
    pub(super) fn spoilt(&self, reply: &Reply, body: &[u8], short: Option<Overdrawn>, permit: &Permit) -> Answer {
        match short {
            Some(short) => self.emitted(&reply.instead(Error::Busy(short.reason())), body, permit),
            None => self.emitted(reply, body, permit),
        }
    }
}

/// A reply that is emitted, whole, and charged to the request of `permit`. Where the budget has no room for it, an error goes out
/// instead, which has no id if even that is large.
fn emitted(server: &mcp::Server<'_>, reply: &Reply, body: &[u8], permit: &Permit) -> Answer {
    let fits = |reply: &Reply| {
        let mut room = permit.another();
        room.more(reply.emit(server, body, b"").len()).map(|()| room)
    };
    let short = match fits(reply) {
        Ok(room) => return filled(server, reply, body, room),
        Err(short) => Error::Busy(short.reason()),
    };
    let busy = reply.instead(short);
    match fits(&busy) {
        Ok(room) => filled(server, &busy, body, room),
        Err(_) => {
            let nameless = Standalone::error(short, Version::NEWEST_LEGACY).into();
            filled(server, &nameless, b"", Permit::uncounted())
        }
    }
}

fn filled(server: &mcp::Server<'_>, reply: &Reply, body: &[u8], room: Permit) -> Answer {
    let mut emission = reply.emit(server, body, b"");
    let mut bytes = vec![0; emission.len()];
    emission.fill(&mut bytes);
    let spoilt = reply.error_reported().map(Error::code);
    Answer { status: reply.status(), bytes: room.into_bytes(bytes), spoilt }
}

fn noted(reply: &Reply, answer: Answer, watch: &mut Watch) -> Answer {
    watch.replied(reply);
    watch.status(answer.status);
    watch.sent(answer.bytes.len());
    answer
}

/// Random bytes: a key made of them lives as long as the process, and what it has sealed is void after a restart.
///
/// # Panics
/// If the operating system has no randomness, for then nothing that is sealed could be trusted.
#[track_caller]
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
