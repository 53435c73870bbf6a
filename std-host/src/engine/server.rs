//! A finished server, and its state at one moment.

use super::answer::Answer;
use crate::admission::Admission;
use crate::auth::Auth;
use crate::backend::Backends;
use crate::budget::{Account, Budget, Cache, Overdrawn, Permit};
use crate::call::{Outcome, Parking};
use crate::clock::now;
use crate::door::Checks;
use crate::limits::{self, Limits};
use crate::observe::{Observe, Observers, Transport, Watch};
use crate::offer::{Changes, PassedExtensions, Registry};
use crate::session::neighbours::{Alone, Local, Neighbours, resume};
use crate::session::{Client, ReplayBuffers, SessionTables};
use crate::sink::Growing;
use crate::store::{MemorySessions, SessionStore};
use attache_core::auth::Authenticated;
use attache_core::era::{Client as Capabilities, Session, Version};
use attache_core::exchange::{Opened, Reply, Standalone, Ticket};
use attache_core::json::Escaped;
use attache_core::limits::SESSION_LIFE;
use attache_core::mcp;
use attache_core::rpc::Error;
use attache_core::seal::Key;
use attache_core::tool::{Operation, scopes};
use bytes::Bytes;
use core::fmt;
use http::Extensions;
use http::request::Parts;
use std::sync::Arc;

/// A finished server, shared by all connections. Its offers may change; everything else is fixed.
pub struct Server {
    /// Name and version are JSON-escaped.
    name: String,
    version: String,
    pub(crate) page: usize,
    pub(crate) changes: Changes,
    pub(crate) backends: Backends,
    parking: Parking,
    neighbours: Option<Arc<dyn Neighbours>>,
    /// The keys that seal sessions and states. The first one seals, all of them open.
    keys: Vec<Key>,
    /// Identifies this process among others with the same keys.
    home: [u8; 4],
    sessions: Arc<dyn SessionStore>,
    memory: Arc<SessionTables>,
    pub(crate) logs: Arc<ReplayBuffers>,
    pub(crate) checks: Checks,
    limits: Limits,
    budget: Budget,
    /// Whether other servers share the budget.
    has_common_budget: bool,
    pub(crate) admission: Admission,
    observers: Arc<Observers>,
    /// The types of request extensions that handlers see.
    pub(crate) passed: PassedExtensions,
    /// Whether the access tokens of callers are kept for their calls.
    #[cfg(feature = "oauth-client")]
    pub(crate) keeps_caller_tokens: bool,
    /// Whether lists show only the entries that their caller may use.
    pub(crate) hides_forbidden: bool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).field("changes", &self.changes).finish_non_exhaustive()
    }
}

impl Server {
    /// A server without tools, with the default settings.
    pub(crate) fn empty(name: &str, version: &str) -> Self {
        let (changes, home) = (Changes::new(), random());
        let sessions: Arc<dyn SessionStore> = Arc::new(MemorySessions::default());
        Self {
            name: escaped(name),
            version: escaped(version),
            page: usize::MAX,
            backends: Backends::new(changes.clone()),
            changes,
            parking: parking(home, Arc::new(Alone)),
            neighbours: None,
            keys: vec![Key::new(random())],
            home,
            memory: Arc::new(SessionTables::new(&Limits::default(), Arc::clone(&sessions))),
            sessions,
            logs: Arc::new(ReplayBuffers::new(&Limits::default(), home)),
            checks: Checks::new(Auth::anonymous(), &Limits::default()),
            limits: Limits::default(),
            budget: Budget::new(&Limits::default()),
            has_common_budget: false,
            admission: Admission::new(&Limits::default()),
            observers: Arc::new(Observers::of(name)),
            passed: PassedExtensions::default(),
            #[cfg(feature = "oauth-client")]
            keeps_caller_tokens: false,
            hides_forbidden: false,
        }
    }

    pub(crate) fn limit(&mut self, limits: Limits) {
        self.admission = Admission::new(&limits);
        self.checks.limit(&limits);
        self.memory = Arc::new(SessionTables::new(&limits, Arc::clone(&self.sessions)));
        self.logs = Arc::new(ReplayBuffers::new(&limits, self.home));
        if !self.has_common_budget {
            self.budget = Budget::new(&limits);
        }
        self.limits = limits;
    }

    /// Uses a memory budget that is shared with other servers.
    pub(crate) fn draw_from(&mut self, budget: Budget) {
        self.budget = budget;
        self.has_common_budget = true;
    }

    /// Registers caches to be freed when memory is short.
    pub(crate) fn keeps_within_budget(&self) {
        let logs: Arc<dyn Cache> = Arc::clone(&self.logs) as _;
        self.budget.watch_over(Arc::downgrade(&logs));
        self.auth().draw_from(&self.budget);
    }

    /// Returns the memory budget.
    pub(crate) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Returns the limits of callers.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn instruct(&mut self, text: &str) {
        self.changes.instruct(None, text);
    }

    pub(crate) fn observe(&mut self, observer: Arc<dyn Observe>) {
        Arc::make_mut(&mut self.observers).list.push(observer);
    }

    pub(crate) fn protect(&mut self, auth: Auth) {
        self.checks.protect(auth);
    }

    /// Returns the authentication of callers.
    pub(crate) const fn auth(&self) -> &Arc<Auth> {
        self.checks.auth()
    }

    /// Returns the metadata of the endpoint in JSON (RFC 9728), if access tokens are accepted.
    /// Serve it without authentication at `/.well-known/oauth-protected-resource`, followed by the
    /// path of the endpoint.
    pub fn metadata(&self) -> Option<String> {
        let [origin, path] = self.auth().resource()?.url();
        self.auth().metadata(&format!("{origin}{path}"))
    }

    /// Stores the state of sessions there.
    pub(crate) fn store_sessions(&mut self, sessions: Arc<dyn SessionStore>) {
        self.memory = Arc::new(SessionTables::new(&self.limits, Arc::clone(&sessions)));
        self.sessions = sessions;
    }

    /// Has requests for calls of other processes sent there.
    pub(crate) fn join(&mut self, neighbours: Arc<dyn Neighbours>) {
        self.parking = parking(self.home, Arc::clone(&neighbours));
        self.neighbours = Some(neighbours);
    }

    /// Gives the neighbours the handle to this process.
    pub(crate) fn meet_neighbours(&self) {
        let Some(neighbours) = &self.neighbours else { return };
        self.memory.number_questions(self.home);
        neighbours.attach(Local {
            home: self.home,
            memory: Arc::clone(&self.memory),
            logs: Arc::clone(&self.logs),
            parking: self.parking.clone(),
            budget: self.budget.clone(),
        });
    }

    /// The other processes of this server.
    pub(crate) fn neighbours(&self) -> &dyn Neighbours {
        self.neighbours.as_deref().unwrap_or(&Alone)
    }

    /// Returns the calls that wait for the answers of modern clients.
    pub(super) const fn parking(&self) -> &Parking {
        &self.parking
    }

    /// Creates the record of a message that begins to arrive.
    pub(crate) fn watch(&self, transport: Transport) -> Watch {
        Watch::new(&self.observers, transport)
    }

    /// Sets the keys that seal sessions and states. The first one seals, all of them open.
    #[track_caller]
    pub(crate) fn seal_with(&mut self, keys: Vec<Key>) {
        assert!(!keys.is_empty(), "a server needs a key to seal with");
        self.keys = keys;
    }

    /// Returns the key that seals.
    pub(super) fn key(&self) -> &Key {
        // The list is never empty.
        &self.keys[0]
    }

    /// Creates a new session with the result of its handshake.
    pub(crate) fn session(&self, version: Version, client: Capabilities) -> Session {
        Session { version, client, name: random(), home: self.home, ends: now() + SESSION_LIFE }
    }

    /// Returns the handle for the client of a session.
    pub(crate) fn client(&self, session: Session, account: Account) -> Client {
        Client::new(session, self.home, Arc::clone(&self.memory), account)
    }

    /// Seals the id of a session for this caller. Returns `None` for a caller that cannot be told
    /// apart from others, because all of them could use the id.
    pub(crate) fn session_id(&self, session: &Session, who: &Authenticated<'_>) -> Option<String> {
        if !who.is_distinct() {
            return None;
        }
        let mut id = Growing::unlimited();
        session.seal(self.key(), who.identity(), &mut id).ok()?;
        String::from_utf8(id.bytes).ok()
    }

    /// Opens the session with this id, if it belongs to this caller and has not ended.
    pub(crate) fn open_session(&self, id: &[u8], who: &Authenticated<'_>, account: Account) -> Option<Client> {
        if !who.is_distinct() {
            return None;
        }
        let client = self.client(Session::open(&self.keys, who.identity(), now(), id)?, account);
        (!client.has_ended()).then_some(client)
    }

    /// Reserves memory for a request, beyond its head. It is charged to the caller if the caller is
    /// known; otherwise it is another permit of `door`.
    ///
    /// # Errors
    /// If the caller already holds its share, or the budget is used up.
    pub(crate) fn permit_of(&self, who: &Authenticated<'_>, door: &Permit) -> Result<Permit, Overdrawn> {
        match who.identity() {
            b"" => Ok(door.another()),
            identity => {
                // There is one copy in the verified token, and one for the handler.
                let claims = who.claims().map_or(0, |claims| 2 * claims.json().len());
                self.budget.reserve(Account::identity(identity), claims)
            }
        }
    }

    /// Returns the current state of the server.
    pub(crate) fn now(self: &Arc<Self>) -> Moment {
        self.now_with(None)
    }

    /// Like [`now`](Self::now), for a request with these extensions.
    pub(crate) fn now_with(self: &Arc<Self>, request: Option<Arc<Extensions>>) -> Moment {
        Moment { server: Arc::clone(self), offers: self.changes.offers(), request }
    }

    /// Like [`now`](Self::now), for an HTTP request with this head.
    pub(crate) fn now_for(self: &Arc<Self>, head: &Parts, who: &Authenticated<'_>) -> Moment {
        let passed = self.passed.of(&head.extensions);
        #[cfg(feature = "oauth-client")]
        let passed = match self.keeps_caller_tokens.then(|| self.auth().inbound(who, &head.headers)).flatten() {
            Some(inbound) => {
                let mut passed = passed.map(Arc::unwrap_or_clone).unwrap_or_default();
                passed.insert(inbound);
                Some(Arc::new(passed))
            }
            None => passed,
        };
        #[cfg(not(feature = "oauth-client"))]
        let _ = who;
        self.now_with(passed)
    }
}

/// The parked calls of the process `home`; those of others are continued by its neighbours.
fn parking(home: [u8; 4], neighbours: Arc<dyn Neighbours>) -> Parking {
    let resume = move |parked, answers, token: Option<&[u8]>, permit| {
        resume(Arc::clone(&neighbours), parked, answers, token, permit)
    };
    Parking::new(home, Arc::new(resume))
}

/// The state of a server at one moment. A request is served with the offers that were current when
/// it arrived, even if entries are added or removed later.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(super) server: Arc<Server>,
    pub(super) offers: Arc<Registry>,
    /// The extensions of the HTTP request that handlers see.
    pub(super) request: Option<Arc<Extensions>>,
}

impl Moment {
    /// Returns the server as the protocol engine sees it.
    pub(crate) fn server(&self) -> mcp::Server<'_> {
        let text = Escaped::from_escaped;
        let Server { name, version, page, .. } = &*self.server;
        let server = mcp::Server::escaped(text(name), text(version), &*self.offers).with_page(*page).with_sessions();
        let server = match self.offers.instructions() {
            Some(instructions) => server.with_escaped_instructions(text(instructions)),
            None => server,
        };
        match self.offers.extensions.printed() {
            Some(extensions) => server.with_extensions(extensions),
            None => server,
        }
    }

    /// Returns the server for requests of `who`. If the server hides forbidden entries, lists show
    /// only those that `who` may use.
    pub(crate) fn server_for<'a>(&'a self, who: &'a Authenticated<'a>) -> mcp::Server<'a> {
        match self.server.hides_forbidden {
            true => self.server().with_lists_for(who),
            false => self.server(),
        }
    }

    /// Returns the scopes that `operation` requires.
    pub(crate) fn scopes_of(&self, operation: Operation) -> impl Iterator<Item = &str> {
        scopes(&*self.offers, operation)
    }

    /// Records in `watch` what a message is.
    pub(crate) fn opened(&self, opened: &Opened, who: &Authenticated<'_>, body: &Bytes, watch: &mut Watch) {
        watch.opened(opened, who, &self.offers, body);
    }

    /// Returns a complete answer that quotes no part of a message, and records it.
    pub(crate) fn refused(&self, refusal: Standalone, watch: &mut Watch) -> Answer {
        self.replied(&refusal.into(), b"", &Permit::uncounted(), watch)
    }

    /// Returns the complete answer to the message in `body`, and records it. It is charged to the
    /// request of `permit`.
    pub(crate) fn replied(&self, reply: &Reply, body: &[u8], permit: &Permit, watch: &mut Watch) -> Answer {
        noted(reply, emitted(&self.server(), reply, body, permit), watch)
    }

    /// Like [`replied`](Self::replied), but lists are filtered for `who`.
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

    /// Returns a reply as a complete answer.
    pub(crate) fn emitted(&self, reply: &Reply, body: &[u8], permit: &Permit) -> Answer {
        emitted(&self.server(), reply, body, permit)
    }

    /// Returns the answer to a call that has ended with `outcome`. It is charged to the request of
    /// `permit`.
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

    /// Returns the answer for a result that could not be written: `reply`, or an error if the
    /// budget was the reason.
    pub(super) fn spoilt(&self, reply: &Reply, body: &[u8], short: Option<Overdrawn>, permit: &Permit) -> Answer {
        match short {
            Some(short) => self.emitted(&reply.instead(Error::Busy(short.reason())), body, permit),
            None => self.emitted(reply, body, permit),
        }
    }
}

/// Returns a reply as a complete answer, charged to the request of `permit`. If it does not fit
/// into the budget, an error is sent instead; if even the id of the request does not fit, the error
/// has none.
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
    watch.sent(&answer.bytes);
    answer
}

/// Returns random bytes. A key made of them lives as long as the process; values that it has sealed
/// become invalid after a restart.
///
/// # Panics
/// If the operating system has no randomness, because sealed values could then be forged.
#[track_caller]
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// Escapes `text` for use between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}
