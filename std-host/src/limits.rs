//! The numbers of the host, each with its reason. What an operator may set is in [`Limits`]; the rest is fixed.

use core::time::Duration;

/// What a server spends on its callers at most. Every field has a default that is safe to leave as it is, and a method of the
/// same name that replaces it:
///
/// ```
/// # use attache_host::Limits;
/// let limits = Limits::default().body(64 * 1024).calls(16);
/// ```
///
/// Those of connections are kept by the program `attache`; a service that is mounted elsewhere has the listener there keep
/// such limits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest body of a request, in bytes; default [`BODY`].
    pub body: usize,
    /// How long a body may take to come in whole, however it trickles; default [`BODY_TIME`].
    pub body_time: Duration,
    /// Calls of tools, prompts, resources and completions that run at once; default [`CALLS`].
    pub calls: usize,
    /// Calls that wait for one of those that run to end; further ones are refused at once; default [`CALLS_WAITING`].
    pub calls_waiting: usize,
    /// How long a call waits at most before it is refused; default [`CALL_WAIT`].
    pub call_wait: Duration,
    /// How long a call may take before it is ended with an error; default [`CALL_TIME`].
    pub call_time: Duration,
    /// Subscriptions that are open at once over HTTP; default [`STREAMS`].
    pub streams: usize,
    /// How many requests may come from one address; by default there is no limit, because the embedding program knows what is in front
    /// of the service.
    pub rate: Option<Rate>,
    /// How many requests one key or the holder of one token may make, from whatever addresses; by default there is no limit.
    pub identity_rate: Option<Rate>,
    /// Connections at once; further ones wait; default [`CONNECTIONS`].
    pub connections: usize,
    /// Largest head of a request, in bytes; default [`HEAD`].
    pub head: usize,
    /// Most header fields of a request; default [`FIELDS`].
    pub fields: usize,
    /// How long a head may take to come in whole, and the first one from the beginning of the connection; default
    /// [`HEAD_TIME`].
    pub head_time: Duration,
    /// How long a connection may lie idle between two requests; default [`IDLE_TIME`].
    pub idle_time: Duration,
    /// How long a peer may take no byte of an answer before it is cut; default [`STALL_TIME`].
    pub stall_time: Duration,
    /// How long a stream of a call stays open before a client of revision 2025-11-25 is asked to come back for the rest; default
    /// [`STREAM_TIME`]. Less than the proxies in front allow keeps them from cutting it.
    pub stream_time: Duration,
    /// Requests that are open at once on one HTTP/2 connection; default [`MULTIPLEXED`].
    pub multiplexed: usize,
    /// How long requests may take that are open when the program is asked to stop; default [`STOP_GRACE`].
    pub stop_grace: Duration,
    /// Bytes of memory that all callers together may make the process hold; default [`MEMORY`]. See [`budget`](crate::budget).
    pub memory: usize,
    /// Bytes of memory that one caller may make the process hold; default [`MEMORY_PER_CALLER`].
    pub memory_per_caller: usize,
    /// The largest part of each shared table that one caller may hold, in percent: of calls, streams, sessions, connections;
    /// default [`SHARE`].
    pub share: usize,
}

/// A bucket of requests for each caller: it is full at the beginning, each request takes one out, and it fills up steadily.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests that come back in a second; at least one.
    pub per_second: u32,
    /// Requests that a full bucket holds; at least one.
    pub burst: u32,
}

/// What callers on other machines may do by default: more than an agent does, less than what keeps a core busy.
impl Default for Rate {
    fn default() -> Self {
        Self { per_second: 50, burst: 200 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: BODY,
            body_time: BODY_TIME,
            calls: CALLS,
            calls_waiting: CALLS_WAITING,
            call_wait: CALL_WAIT,
            call_time: CALL_TIME,
            streams: STREAMS,
            rate: None,
            identity_rate: None,
            connections: CONNECTIONS,
            head: HEAD,
            fields: FIELDS,
            head_time: HEAD_TIME,
            idle_time: IDLE_TIME,
            stall_time: STALL_TIME,
            stream_time: STREAM_TIME,
            multiplexed: MULTIPLEXED,
            stop_grace: STOP_GRACE,
            memory: MEMORY,
            memory_per_caller: MEMORY_PER_CALLER,
            share: SHARE,
        }
    }
}

macro_rules! setters {
    ($($name:ident: $kind:ty),* $(,)?) => {
        impl Limits {
            $(
                #[doc = concat!("Replaces the field `", stringify!($name), "`.")]
                #[must_use]
                pub const fn $name(mut self, $name: $kind) -> Self {
                    self.$name = $name;
                    self
                }
            )*
        }
    };
}

setters! {
    body: usize, body_time: Duration, calls: usize, calls_waiting: usize, call_wait: Duration, call_time: Duration,
    streams: usize, rate: Option<Rate>, identity_rate: Option<Rate>, connections: usize, head: usize, fields: usize, head_time: Duration,
    idle_time: Duration, stall_time: Duration, stream_time: Duration, multiplexed: usize, stop_grace: Duration,
    memory: usize, memory_per_caller: usize, share: usize,
}

/// Bytes of memory that all callers together may make the process hold, beyond what it takes while it is idle: a small container has
/// 256 MiB.
pub const MEMORY: usize = 128 * 1024 * 1024;

/// Bytes of memory that one caller may make the process hold: a quarter of [`MEMORY`], so that three callers who take all that they
/// may leave room for others; and room for the largest answer and the largest body at once.
pub const MEMORY_PER_CALLER: usize = 32 * 1024 * 1024;

/// Most bytes of each part of the budget: subscriptions, log lines that wait, requests that wait for an issuer, remembered tokens. A
/// quarter of [`MEMORY`], so that none of them takes what calls need; of a smaller budget a quarter, too.
pub const PART: usize = 32 * 1024 * 1024;

/// The largest part of a shared table that one caller may hold, in percent: a single busy client is not slowed down, and cannot shut
/// others out.
pub const SHARE: usize = 50;

/// Bytes that a request holds besides its head and its body: its task, its stream, and what the library for HTTP keeps of it.
pub const REQUEST_MEMORY: usize = 8 * 1024;

/// Bytes of a header field besides its name and value: its entry in the table of fields.
pub const FIELD_MEMORY: usize = 64;

/// Bytes that a call holds besides its arguments: the future of its handler, its way to tell of progress, its timers.
pub const CALL_MEMORY: usize = 8 * 1024;

/// Bytes that an open stream holds besides what it is about to send.
pub const STREAM_MEMORY: usize = 2 * 1024;

/// Bytes that an HTTP/2 peer may send ahead of what is read of a body: it is one round trip at 640 kB a second over the longest
/// distances, and each open request may hold as much.
pub const STREAM_WINDOW: usize = 64 * 1024;

/// Bytes of answers that HTTP/2 takes ahead for each stream; the rest waits until its reader has taken some.
pub const SEND_AHEAD: usize = 64 * 1024;

/// How long an event waits for room in the budget until it is looked again: its reader does not notice.
pub const ROOM_AGAIN: Duration = Duration::from_millis(50);

/// Largest message that opens a subscription, in bytes: it is kept as long as the subscription. Room for hundreds of URIs.
pub const LISTEN_BYTES: usize = 64 * 1024;

/// Bytes of a subscription besides its message.
pub const LISTEN_MEMORY: usize = 2 * 1024;

/// Bytes of each URI of a subscription besides its text, while all of them are to be told.
pub const LISTEN_URI: usize = 96;

/// Longest URI that a legacy session may subscribe to, in bytes: what browsers and proxies take at least.
pub const SUBSCRIBED_URI: usize = 8 * 1024;

/// Longest `tracestate` of a call, in bytes, twice what W3C Trace Context §3.3.1.5 asks to pass on: spans that wait to be sent hold it.
pub const TRACE_STATE: usize = 1024;

/// Longest `baggage` of a call, in bytes: what W3C Baggage §3.3.2 asks to pass on.
pub const BAGGAGE: usize = 8192;

/// Bytes that a connection with TLS may hold of answers that its reader has not taken: what was encrypted, and what waits for that.
pub const ENCRYPTED_AHEAD: usize = 128 * 1024;

/// Bytes that a kept token takes besides its text and its claims.
pub const TOKEN_MEMORY: usize = 512;

/// Calls that run at once: a call that waits costs little, one that computes has a core for itself at best, and a thousand
/// open files and database connections are what systems allow.
pub const CALLS: usize = 512;

/// Calls that wait for their turn: as many as run. A longer queue is only answered later, and its clients have gone by then.
pub const CALLS_WAITING: usize = 512;

/// How long a call waits for its turn: longer than most calls take, shorter than clients are patient.
pub const CALL_WAIT: Duration = Duration::from_secs(5);

/// How long a call may take: platforms cut requests after four minutes, and whoever works longer tells its progress to
/// nobody by then. Longer work has a limit of its own that its author knows.
pub const CALL_TIME: Duration = Duration::from_secs(600);

/// Subscriptions open at once: each holds a few kilobytes and no connection of its own over HTTP/2.
pub const STREAMS: usize = 8192;

/// Largest head of a request, in bytes: mirrored arguments and tokens are a few kilobytes, and other servers stop at 8 to 64.
pub const HEAD: usize = 64 * 1024;

/// Least that a head must be allowed: what hyper reads at once.
pub const HEAD_LEAST: usize = 8 * 1024;

/// Most header fields of a request: clients and proxies send about twenty.
pub const FIELDS: usize = 100;

/// How long a connection may lie idle between two requests: what proxies and clients keep one for.
pub const IDLE_TIME: Duration = Duration::from_secs(60);

/// How long a peer may take no byte of an answer: longer than any network is silent that still works.
pub const STALL_TIME: Duration = Duration::from_secs(30);

/// What the system keeps of an answer on its way, in bytes. It tells of room only when a third is free, so with its own megabytes
/// a slow reader would look as one that takes nothing. Enough for two megabytes a second to the other side of the world.
pub const SEND_BUFFER: usize = 256 * 1024;

/// Requests open at once on one HTTP/2 connection: what browsers and proxies expect to have (RFC 9113 §6.5.2: at least 100).
pub const MULTIPLEXED: usize = 100;

/// Streams of one HTTP/2 connection that the peer may reset before they were looked at; beyond that it is cut. Clients reset
/// what they no longer want, but not twenty at once.
pub const RESETS: usize = 20;

/// Callers whose buckets are kept apart; beyond that those share one that are not known. A few dozen bytes each.
pub const CALLERS: usize = 16 * 1024;

/// Lines of the log that wait to be written; what comes then is dropped and counted. A megabyte or two.
pub const LOG_LINES: usize = 8192;

/// How long a connection that was refused in the middle of a message is still listened to, so that the refusal is read and not
/// lost in a reset (RFC 9112 §9.6).
pub const LINGER: Duration = Duration::from_secs(1);

/// Largest body or line that is read, in bytes: what the big SDKs take, so that nothing they send is refused here.
pub const BODY: usize = 4 * 1024 * 1024;

/// How long a body may take to come in whole: the largest one at 140 kB a second. Without it a client that sends a byte now
/// and then holds a connection and a buffer for ever.
pub const BODY_TIME: Duration = Duration::from_secs(30);

/// How long the head of a request may take to come in: it is one packet or two.
pub const HEAD_TIME: Duration = Duration::from_secs(10);

/// Connections that the program serves at once; further ones wait. Each is a few tens of kilobytes while it is idle, and
/// systems allow a process a few thousand open files.
pub const CONNECTIONS: usize = 2048;

/// How long the program waits after it could not accept a connection: mostly it has run out of files, and asking again at
/// once would only burn time.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long requests that have begun may take when the program is asked to stop: service managers and container runtimes
/// kill after ten seconds or more.
pub const STOP_GRACE: Duration = Duration::from_secs(10);

/// Largest answer of a tool, in bytes.
pub const RESULT: usize = 16 * 1024 * 1024;

/// Calls that run at once on one connection of lines.
pub const LINE_CALLS: usize = 64;

/// Calls that wait on one connection of lines until one of those that run has ended; with more, no line is read until
/// there is room. As many as run: a client that has sent that many is ahead of the tools for good.
pub const LINE_WAITING: usize = 64;

/// Other answers that wait on one connection of lines to be written; with more, no line is read until some are. Enough to
/// write many at once, and little memory even if each is a list.
pub const LINE_ANSWERS: usize = 64;

/// How long running calls may take to end once standard input has ended. Clients end a server that stays for two
/// seconds, so answers have to be out before.
pub const STDIO_GRACE: Duration = Duration::from_secs(1);

/// How long the last answers may take to be written once all calls have ended: with [`STDIO_GRACE`] still less than the two
/// seconds of clients.
pub const STDIO_DRAIN: Duration = Duration::from_millis(500);

/// Most characters of a name or value of the caller that a sentence for the model repeats: the longest name of a tool. More
/// helps nobody to find a mistake, and a sentence must not be as large as the message.
pub const ECHOED: usize = 128;

/// Most characters that the application's own types may say of an argument that does not fit: room for a list of what is
/// allowed. What is in them is not known here, and it may be the argument itself.
pub const REASON: usize = 1024;

/// How long a stream may be silent before a comment is sent: proxies take a connection that is silent for a minute for dead.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a stream of a legacy call stays open. Longer than a call may take: clients that come back are younger than streams that
/// break, so who wants it says so.
pub const STREAM_TIME: Duration = Duration::from_secs(60 * 60);

/// Subscriptions that may be open on one connection of lines.
pub const LINE_LISTENS: usize = 32;

/// How long a call may take before the log calls it slow: longer than most clients of a person wait without a word.
pub const SLOW: Duration = Duration::from_secs(10);

/// Names that metrics keep apart. They are declared ones, so only a server comes near it that keeps adding tools and taking them
/// away; what is beyond is counted without its name.
pub const NAMES: usize = 1024;

/// Threads that one blocking tool may use: so many of its calls run at once.
pub const BLOCKING: usize = 16;

/// Bytes of a streamed result that are sent on together: a few packets, so that a client reads it as it comes.
pub const PIECE: usize = 64 * 1024;

/// Legacy sessions of which something is remembered at once: those with a level, a subscription, an open stream or a call that
/// runs, and those that were ended before their time. 40 bytes each; sessions that only call are not counted.
pub const SESSIONS: usize = 4096;

/// Seconds after which subscriptions of expired sessions are looked for again: sessions last a day, and each look goes through all of
/// them.
pub const SESSIONS_AGAIN: u64 = 60;

/// Calls of legacy sessions that run at once: each has a task and a place of 120 bytes in a table.
pub const LEGACY_CALLS: usize = 1024;

/// Resources that one legacy session may be subscribed to.
pub const SUBSCRIPTIONS: usize = 256;

/// Pages that persons were sent to whose end their clients may still be told of; beyond it the oldest is forgotten.
pub const PAGES: usize = 1024;

/// Streams of legacy calls whose messages are kept for clients that come back.
pub const KEPT_STREAMS: usize = 256;

/// Messages that are kept of one stream.
pub const KEPT_EVENTS: usize = 64;

/// Bytes that are kept of one stream, besides its newest message.
pub const KEPT_BYTES: usize = 256 * 1024;

/// How long a legacy client may take for its answers to what a call has asked: a person reads and types.
pub const ANSWERS: Duration = Duration::from_secs(15 * 60);

/// Calls that are parked at once while modern clients fetch their answers: each holds what its backend holds of it.
pub const PARKED: usize = 1024;

/// Calls of one caller that are parked at once.
pub const PARKED_BY_CALLER: usize = 64;

/// How long a parked call waits for its client's retry before it is cancelled.
pub const PARKED_TIME: Duration = Duration::from_secs(10 * 60);

/// Fewest bytes of the value of an API key: as many as cannot be guessed, however they are written.
pub const KEY: usize = 32;

/// Access tokens that are remembered as checked, a few kilobytes each: those of the callers of an hour.
pub const SEEN_TOKENS: usize = 4096;

/// How soon the keys of an issuer are fetched again, if a token names one that is not among them: an issuer that has changed its keys
/// is believed at once, and one that is asked for keys that it does not have is not asked more often.
pub const FETCH_AGAIN: Duration = Duration::from_secs(10);

/// How long the keys of an issuer are believed without asking the issuer again: a key that it has withdrawn verifies no
/// token any more after that.
pub const KEYS_STALE: Duration = Duration::from_secs(60 * 60);

/// When keys are fetched again beside the requests: so long before [`KEYS_STALE`] that requests seldom wait.
pub const KEYS_REFRESH: Duration = Duration::from_secs(50 * 60);

/// How soon keys are fetched again after a fetch that failed, while the last good ones are kept.
pub const KEYS_RETRY: Duration = Duration::from_secs(60);

/// Longest access token, in bytes: those of Entra ID with 200 groups have about 10,000.
pub const TOKEN: usize = 16 * 1024;

/// How long an issuer may take to say which keys it has, its metadata included: a client waits for it.
pub const FETCH_TIME: Duration = Duration::from_secs(5);

/// Most bytes of what an issuer publishes: the keys of the largest are a tenth of it.
pub const FETCHED: usize = 512 * 1024;
