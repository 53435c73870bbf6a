//! A finished server: what is asked of the protocol engine on its behalf, and the answers.

use crate::admission::{Admission, Place};
use crate::legacy::{Asked, Client, Legacy, Logs, Memory, Signal, now};
use crate::limits::{self, Limits};
use crate::observe::{Observe, Observers, Transport, Watch};
use crate::piped::{Part, Piped, Way};
use crate::sink::Growing;
use crate::tools::{Change, Changes, Outcome, Registry, Run, Started};
use attache_core::auth::{Access, Authenticated, Gate};
use attache_core::era::{Client as Capabilities, Session, Version};
use attache_core::exchange::{Listen, Next, Reply, Ticket, Wish};
use attache_core::http::{LOOPBACK, OK, Policy};
use attache_core::json::{Escaped, Full, Item, Sink};
use attache_core::limits::SESSION_LIFE;
use attache_core::mcp;
use attache_core::rpc::{Code, Error};
use attache_core::seal::Key;
use attache_core::tool::Kind;
use bytes::Bytes;
use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep_until};

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
    gate: Gate,
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
            gate: Gate::Open(Access::Anonymous),
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
    fn key(&self) -> &Key {
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
        Policy { hosts: &self.hosts, origins: &self.origins, access: self.gate }
    }
}

/// A server at one moment. A request is served by what was offered when it came, whatever is added or removed meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    engine: Arc<Engine>,
    offers: Arc<Registry>,
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

    /// Notes for those who observe what a message is.
    pub(crate) fn opened(&self, next: &Next, who: &Authenticated<'_>, body: &Bytes, watch: &mut Watch) {
        watch.opened(next, who, &self.offers, body);
    }

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
                    self.offers.start(&body, ticket.call(&body, who), changes, key, client);
                let legacy = call.zip(again).map(|(call, again)| Box::new(Legacy::new(call, again)));
                let deadline = Instant::now() + self.engine.limits.call_time;
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

/// What is on its way to a peer. It needs nothing of the request any more but the body it holds.
pub(crate) enum Pending {
    Ready(Answer),
    Running(Running),
    Listening(Listening),
}

/// The next thing to be sent.
pub(crate) enum Step {
    /// A message, and others will follow.
    Told(Bytes),
    /// A piece of the last message, and others will follow.
    Piece(Bytes),
    /// The last one, or what is left of it.
    Last(Answer),
    /// There is no more, though the last message is not whole.
    Broken,
    /// There is no more: the client has cancelled the call.
    Gone,
}

/// A call that runs.
pub(crate) struct Running {
    moment: Moment,
    ticket: Option<Ticket>,
    body: Bytes,
    run: Run,
    /// What the handler tells meanwhile.
    told: mpsc::Receiver<Bytes>,
    /// How it ended, while something that was told before is still to be sent.
    outcome: Option<Outcome>,
    /// Its answer, once that is sent while it is written.
    piped: Option<Piped>,
    way: Way,
    deadline: Instant,
    #[expect(dead_code, reason = "held until the call has ended")]
    place: Place,
    legacy: Option<Box<Legacy>>,
    watch: Watch,
}

impl Running {
    /// The revision of the protocol that the caller speaks.
    pub(crate) fn version(&self) -> Option<Version> {
        self.ticket.as_ref().map(Ticket::version)
    }

    /// Has each message come whole.
    pub(crate) const fn whole(&mut self) {
        self.way = Way::Whole;
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
        if let Some(piped) = &mut self.piped {
            return Self::piece(piped).await;
        }
        if let Some(step) = self.legacy_step().await {
            return step;
        }
        while self.outcome.is_none() {
            tokio::select! {
                biased;
                Some(message) = self.told.recv() => return Step::Told(message),
                outcome = &mut self.run => self.outcome = Some(outcome),
                // Asked last, so that a call that does not wait needs no timer.
                () = async { sleep_until(self.deadline).await } => self.outcome = Some(overdue()),
            }
        }
        // Its place in the table is free before its answer goes out.
        self.legacy = None;
        if let Some(outcome) = &self.outcome {
            self.watch.ran(outcome);
        }
        match (self.told.try_recv(), self.outcome.take(), self.ticket.take()) {
            (Ok(message), outcome, ticket) => {
                (self.outcome, self.ticket) = (outcome, ticket);
                Step::Told(message)
            }
            (Err(_), Some(mut outcome), Some(ticket)) => match outcome.take_stream() {
                None => Step::Last(self.moment.of_call(ticket, &self.body, &outcome)),
                Some(text) => {
                    let piped = Piped::new(self.moment.clone(), ticket, self.body.clone(), text, self.way);
                    Self::piece(self.piped.insert(piped)).await
                }
            },
            // Asked again behind its last step, it has nothing to say.
            _ => Step::Last(Answer::new(OK, Vec::new())),
        }
    }
}

impl Running {
    /// The next step of a call that a legacy client can cancel and be asked by; nothing once its outcome is there.
    async fn legacy_step(&mut self) -> Option<Step> {
        let legacy = self.legacy.as_deref_mut()?;
        while self.outcome.is_none() {
            if let Some(question) = legacy.due.pop_front() {
                return Some(Step::Told(question));
            }
            let asked = tokio::select! {
                biased;
                Some(message) = self.told.recv() => return Some(Step::Told(message)),
                signal = legacy.call.signal() => match signal {
                    Signal::Cancel => return Some(Step::Gone),
                    Signal::Answer(at, outcome) => legacy.answered(at, outcome),
                },
                outcome = &mut self.run => match outcome {
                    Outcome::Asks(questions, _) => {
                        // A person has the time of a person.
                        self.deadline += limits::ANSWERS;
                        legacy.ask(questions)
                    }
                    outcome => Asked::Ends(outcome),
                },
                () = async { sleep_until(self.deadline).await } => Asked::Ends(overdue()),
            };
            match asked {
                Asked::Waits => {}
                Asked::Again(run) => self.run = run,
                Asked::Ends(outcome) => self.outcome = Some(outcome),
            }
        }
        None
    }
}

impl Running {
    async fn piece(piped: &mut Piped) -> Step {
        match piped.next().await {
            Part::Piece(bytes) => Step::Piece(bytes),
            Part::Last(answer) => Step::Last(answer),
            Part::Broken => Step::Broken,
        }
    }
}

/// A subscription that is open. It keeps nothing of what was offered when it began.
pub(crate) struct Listening {
    engine: Arc<Engine>,
    listen: Listen,
    body: Bytes,
    /// Nothing where all subscriptions were ended before this one began.
    changes: Option<broadcast::Receiver<Change>>,
    /// Messages that are due.
    due: VecDeque<Bytes>,
    #[expect(dead_code, reason = "held until the subscription has ended")]
    place: Place,
    watch: Watch,
}

impl Listening {
    fn new(engine: Arc<Engine>, listen: Listen, body: Bytes, place: Place, mut watch: Watch) -> Self {
        let changes = engine.changes.listen();
        watch.status(OK);
        let mut listening = Self { engine, listen, body, changes, due: VecDeque::new(), place, watch };
        // MCP 2026-07-28 basic/patterns/subscriptions: the acknowledgement is the first message.
        listening.tell(|listen, body, out| listen.acknowledge(body, out));
        listening
    }

    /// What is answered where there is no room for it.
    pub(crate) fn refuse(&mut self) -> Bytes {
        self.engine.now().replied(&self.listen.refuse(), &self.body, &mut self.watch).bytes
    }

    pub(crate) fn id(&self) -> Vec<u8> {
        self.listen.id(&self.body).to_vec()
    }

    /// The next thing to be sent. Nothing is lost if the future is dropped.
    pub(crate) async fn step(&mut self) -> Step {
        loop {
            if let Some(message) = self.due.pop_front() {
                self.watch.sent(message.len());
                return Step::Told(message);
            }
            let change = match &mut self.changes {
                Some(changes) => changes.recv().await,
                None => Ok(Change::End),
            };
            match change {
                Ok(Change::List(kind)) => self.changed(kind),
                Ok(Change::Resource(uri)) if self.listen.wants_uri(&self.body, &uri) => self.updated(&uri),
                Ok(Change::Resource(_)) => {}
                // What was missed is not known: any list may have changed, and any resource.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    [Kind::Tool, Kind::Prompt, Kind::Resource].into_iter().for_each(|kind| self.changed(kind));
                    let mut uris = Vec::new();
                    self.listen.each_uri(&self.body, |uri| uris.push(uri.chars().collect::<String>()));
                    uris.iter().for_each(|uri| self.updated(uri));
                }
                Ok(Change::End) | Err(broadcast::error::RecvError::Closed) => {
                    let mut last = Growing::unlimited();
                    let _ = self.listen.end(&self.engine.now().server(), &self.body, &mut last);
                    self.watch.sent(last.bytes.len());
                    self.watch.taken();
                    return Step::Last(Answer::new(OK, last.bytes));
                }
            }
        }
    }

    fn updated(&mut self, uri: &str) {
        self.tell(|listen, body, out| mcp::updated(uri, Some(listen.id(body)), out));
    }

    fn changed(&mut self, kind: Kind) {
        if self.listen.wants(kind) {
            self.tell(|listen, body, out| mcp::list_changed(kind, Some(listen.id(body)), out));
        }
    }

    fn tell(&mut self, write: impl FnOnce(&Listen, &[u8], &mut dyn Sink) -> Result<(), Full>) {
        let mut message = Growing::unlimited();
        if write(&self.listen, &self.body, &mut message).is_ok() {
            self.due.push_back(message.bytes.into());
        }
    }
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: Bytes,
    /// The error that stands in it instead of what was to be answered.
    pub(crate) spoilt: Option<Code>,
}

impl Answer {
    /// One that says what it was to say.
    pub(crate) fn new(status: u16, bytes: Vec<u8>) -> Self {
        Self { status, bytes: bytes.into(), spoilt: None }
    }
}

/// What a call is answered with that takes longer than it may; its handler is dropped.
fn overdue() -> Outcome {
    tracing::warn!("a call took longer than the limit and was ended");
    Outcome::Rejected(Code::InternalError, "The call took longer than this server allows, and was ended".to_owned())
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
