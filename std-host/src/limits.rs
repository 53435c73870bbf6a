//! The limits of the host, each with its reason. Operators can set those in [`Limits`]; the others
//! are constants.

use core::time::Duration;

/// The most that a server spends on its callers. Every field has a default that is safe to leave as
/// it is, and a method of the same name that replaces it:
///
/// ```
/// # use attache_host::Limits;
/// let limits = Limits::default().body(64 * 1024).calls(16);
/// ```
///
/// Those of connections are kept by [`serve`](mod@crate::serve); a service that is mounted elsewhere has the listener there keep such
/// limits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest body of a request, in bytes; default [`BODY`].
    pub body: usize,
    /// The timeout for receiving a whole body, even if it trickles in. Default: [`BODY_TIME`].
    pub body_time: Duration,
    /// Calls of tools, prompts, resources and completions that run at once. Default: [`CALLS`].
    pub calls: usize,
    /// Calls that wait for a slot. Further calls are refused at once. Default: [`CALLS_WAITING`].
    pub calls_waiting: usize,
    /// The longest wait of a call for a slot before it is refused. Default: [`CALL_WAIT`].
    pub call_wait: Duration,
    /// The timeout of a call, after which it is ended with an error. Default: [`CALL_TIME`].
    pub call_time: Duration,
    /// Subscriptions that are open at once over HTTP. Default: [`STREAMS`].
    pub streams: usize,
    /// The rate limit of one address. By default there is none, because only the embedding program
    /// knows whether a proxy is in front of the service.
    pub rate: Option<Rate>,
    /// The rate limit of one key, or of the holder of one token, from all addresses together. By
    /// default there is none.
    pub identity_rate: Option<Rate>,
    /// Connections at once. Further ones wait. Default: [`CONNECTIONS`].
    pub connections: usize,
    /// Largest head of a request, in bytes. Default: [`HEAD`].
    pub head: usize,
    /// Most header fields of a request. Default: [`FIELDS`].
    pub fields: usize,
    /// The timeout for receiving a whole head. For the first head it begins with the connection.
    /// Default: [`HEAD_TIME`].
    pub head_time: Duration,
    /// The timeout of a connection that is idle between two requests. Default: [`IDLE_TIME`].
    pub idle_time: Duration,
    /// The timeout of a peer that takes no byte of an answer. Default: [`STALL_TIME`].
    pub stall_time: Duration,
    /// The time after which a client of revision 2025-11-25 is asked to reconnect for the rest of a
    /// call's stream. Default: [`STREAM_TIME`]. A shorter time than that of the proxies in front
    /// prevents them from cutting the stream.
    pub stream_time: Duration,
    /// Requests in progress on one HTTP/2 connection. Default: [`MULTIPLEXED`].
    pub multiplexed: usize,
    /// The time for requests in progress to end when the program is asked to stop. Default:
    /// [`STOP_GRACE`].
    pub stop_grace: Duration,
    /// Bytes of memory that all callers together may make the process hold. Default: [`MEMORY`].
    /// See [`budget`](crate::budget).
    pub memory: usize,
    /// Bytes of memory that one caller may make the process hold. Default: [`MEMORY_PER_CALLER`].
    pub memory_per_caller: usize,
    /// The largest share of each table (calls, streams, sessions, connections) that one caller may
    /// hold, in percent. Default: [`SHARE`].
    pub share: usize,
}

/// A rate limit: a token bucket for each caller. The bucket starts full, each request takes one
/// token, and tokens are refilled at a steady rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that are refilled per second. At least one.
    pub per_second: u32,
    /// Tokens in a full bucket, which is the burst. At least one.
    pub burst: u32,
}

/// The default for callers on other machines: more than an agent needs, less than what keeps a core
/// busy.
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

/// Bytes of memory that all callers together may make the process hold, in addition to its idle
/// memory. A small container has 256 MiB.
pub const MEMORY: usize = 128 * 1024 * 1024;

/// Bytes of memory that one caller may make the process hold. A quarter of [`MEMORY`], so that
/// three callers that use all of theirs leave room for others. Enough for the largest answer and
/// the largest body at once.
pub const MEMORY_PER_CALLER: usize = 32 * 1024 * 1024;

/// Most bytes of each part of the budget: subscriptions, waiting log lines, requests that wait for
/// an issuer, remembered tokens. A quarter of [`MEMORY`], so that no part takes the memory that
/// calls need. With a smaller budget, it is a quarter of that.
pub const PART: usize = 32 * 1024 * 1024;

/// The largest share of a table that one caller may hold, in percent. It does not slow down a
/// single busy client, but prevents that client from shutting out others.
pub const SHARE: usize = 50;

/// Bytes that a request holds in addition to its head and its body: its task, its stream, and the
/// state of the HTTP library.
pub const REQUEST_MEMORY: usize = 8 * 1024;

/// Bytes of a header field in addition to its name and value: its entry in the table of fields.
pub const FIELD_MEMORY: usize = 64;

/// Bytes that a call holds in addition to its arguments: the future of its handler, its channel for
/// progress, its timers.
pub const CALL_MEMORY: usize = 8 * 1024;

/// Bytes that an open stream holds in addition to the message that it is about to send.
pub const STREAM_MEMORY: usize = 2 * 1024;

/// The HTTP/2 receive window of a stream, in bytes. It allows 640 kB per second over the longest
/// distances (one window per round trip), and each request in progress may hold as much.
pub const STREAM_WINDOW: usize = 64 * 1024;

/// Bytes of answers that HTTP/2 buffers for each stream. The rest waits until the reader has taken
/// some.
pub const SEND_AHEAD: usize = 64 * 1024;

/// The interval at which an event that waits for memory checks the budget again. Too short for a
/// reader to notice.
pub const ROOM_AGAIN: Duration = Duration::from_millis(50);

/// Largest message that opens a subscription, in bytes, because the subscription keeps its message.
/// Room for hundreds of URIs.
pub const LISTEN_BYTES: usize = 64 * 1024;

/// Bytes of a subscription in addition to its message.
pub const LISTEN_MEMORY: usize = 2 * 1024;

/// Bytes of each URI of a subscription in addition to its text, while notifications for all URIs
/// are pending.
pub const LISTEN_URI: usize = 96;

/// Longest URI that a legacy session may subscribe to, in bytes: all browsers and proxies accept
/// this length.
pub const SUBSCRIBED_URI: usize = 8 * 1024;

/// Longest `tracestate` of a call, in bytes. Twice the length that W3C Trace Context §3.3.1.5
/// requires to pass on. Spans that wait to be sent hold it.
pub const TRACE_STATE: usize = 1024;

/// Longest `baggage` of a call, in bytes: the length that W3C Baggage §3.3.2 requires to pass on.
pub const BAGGAGE: usize = 8192;

/// Bytes of answers that a connection with TLS may buffer while its reader does not take them, both
/// encrypted and still to be encrypted.
pub const ENCRYPTED_AHEAD: usize = 128 * 1024;

/// Bytes of a remembered token in addition to its text and its claims.
pub const TOKEN_MEMORY: usize = 512;

/// Calls that run at once. A call that waits costs little, a call that computes has a core for
/// itself at best, and systems allow about a thousand open files and database connections.
pub const CALLS: usize = 512;

/// Calls that wait for a slot: as many as may run. A longer queue would only delay answers until
/// its clients have given up.
pub const CALLS_WAITING: usize = 512;

/// The timeout of a call that waits for a slot: longer than most calls run, shorter than clients
/// wait.
pub const CALL_WAIT: Duration = Duration::from_secs(5);

/// The timeout of a call. Platforms cut requests after four minutes, so the progress of a longer
/// call reaches no client. A tool that works longer has its own limit, which its author knows.
pub const CALL_TIME: Duration = Duration::from_secs(600);

/// Subscriptions open at once. Each holds a few kilobytes, and over HTTP/2 needs no separate
/// connection.
pub const STREAMS: usize = 8192;

/// Largest head of a request, in bytes. Mirrored arguments and tokens are a few kilobytes, and
/// other servers have limits of 8 to 64 KiB.
pub const HEAD: usize = 64 * 1024;

/// The lowest limit for a head, in bytes: hyper reads as much at once.
pub const HEAD_LEAST: usize = 8 * 1024;

/// Most header fields of a request: clients and proxies send about twenty.
pub const FIELDS: usize = 100;

/// The timeout of an idle connection: proxies and clients keep a connection for as long.
pub const IDLE_TIME: Duration = Duration::from_secs(60);

/// The timeout of a peer that takes no byte of an answer: a working network is never silent for as
/// long.
pub const STALL_TIME: Duration = Duration::from_secs(30);

/// The send buffer of the operating system, in bytes. The system reports room only when a third is
/// free, so with its default of megabytes a slow reader would look like a stalled one. Enough for
/// two megabytes per second to the other side of the world.
pub const SEND_BUFFER: usize = 256 * 1024;

/// Requests in progress on one HTTP/2 connection. Browsers and proxies expect as many (RFC 9113
/// §6.5.2: at least 100).
pub const MULTIPLEXED: usize = 100;

/// Streams of one HTTP/2 connection that the peer may reset before they were accepted. With more,
/// the connection is closed. Clients reset streams that they no longer need, but not twenty at
/// once.
pub const RESETS: usize = 20;

/// Callers with separate token buckets. Further callers share one bucket. A few dozen bytes each.
pub const CALLERS: usize = 16 * 1024;

/// Log lines that wait to be written. Further lines are dropped and counted. One or two megabytes.
pub const LOG_LINES: usize = 8192;

/// The time for reading a connection after a refusal in the middle of a message, so that the peer
/// can read the refusal and does not lose it in a reset (RFC 9112 §9.6).
pub const LINGER: Duration = Duration::from_secs(1);

/// Largest body or line that is read, in bytes. The major SDKs have the same limit, so that
/// everything they send is accepted here.
pub const BODY: usize = 4 * 1024 * 1024;

/// The timeout for receiving a whole body. It allows the largest body at 140 kB per second. Without
/// it, a client that sends a byte now and then could hold a connection and a buffer for ever.
pub const BODY_TIME: Duration = Duration::from_secs(30);

/// The timeout for receiving the head of a request, which is one packet or two.
pub const HEAD_TIME: Duration = Duration::from_secs(10);

/// Connections that the program serves at once. Further ones wait. Each takes a few tens of
/// kilobytes while it is idle, and systems allow a process a few thousand open files.
pub const CONNECTIONS: usize = 2048;

/// The pause after a failure to accept a connection. The most common cause is a lack of file
/// descriptors, and retrying at once would only waste time.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The time for requests in progress to end when the program is asked to stop. Service managers and
/// container runtimes kill it after ten seconds or more.
pub const STOP_GRACE: Duration = Duration::from_secs(10);

/// Most bytes of an answer that are kept for observers: enough to see what went wrong.
pub const ANSWER_KEPT: usize = 16 * 1024;

/// Largest answer of a tool, in bytes.
pub const RESULT: usize = 16 * 1024 * 1024;

/// Calls that run at once on one connection of lines.
pub const LINE_CALLS: usize = 64;

/// Calls that wait for a slot on one connection of lines. With more, no line is read until there is
/// room. As many as may run: a client that sends even more will always be ahead of the tools.
pub const LINE_WAITING: usize = 64;

/// Other answers that wait to be written on one connection of lines. With more, no line is read
/// until some are written. Enough to write many at once, and little memory even if each is a list.
pub const LINE_ANSWERS: usize = 64;

/// The time for running calls to end after standard input has ended. Clients kill a server that
/// stays for two seconds, so answers must be sent before.
pub const STDIO_GRACE: Duration = Duration::from_secs(1);

/// The time for writing the last answers after all calls have ended. Together with [`STDIO_GRACE`]
/// it is less than the two seconds of clients.
pub const STDIO_DRAIN: Duration = Duration::from_millis(500);

/// Most characters of a caller's name or value that an error text for the model repeats: the
/// longest name of a tool. More does not help to find a mistake, and an error text must not be as
/// large as the message.
pub const ECHOED: usize = 128;

/// Most characters of an error text of the application's own types about an argument: room for a
/// list of allowed values. Their content is unknown here, and may be the argument itself.
pub const REASON: usize = 1024;

/// Most subschemas of a tool's schema that may be applied inside of each other, counted over the
/// nesting of the schema, its references, and the value. A message has at most 64 levels, and a
/// level takes a few subschemas: a reference, a branch, a member.
pub const SCHEMA_DEPTH: usize = 512;

/// Most subschemas that are applied to the arguments of one call, in addition to
/// [`SCHEMA_WORK_PER_BYTE`] for each byte of the arguments. A schema of a hundred branches applies a
/// few hundred to each object. Without a limit, branches that refer to each other double the work
/// with each level of the value.
pub const SCHEMA_WORK: usize = 20_000;

/// See [`SCHEMA_WORK`]. An object has at least two bytes, and a member five.
pub const SCHEMA_WORK_PER_BYTE: usize = 32;

/// The interval of keep-alive comments on a silent stream: proxies close a connection that is
/// silent for a minute.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The time after which the stream of a legacy call is ended, so that the client reconnects. By
/// default longer than a call may take, because not all clients can reconnect: an operator can opt
/// in with a shorter time.
pub const STREAM_TIME: Duration = Duration::from_secs(60 * 60);

/// Subscriptions that may be open on one connection of lines.
pub const LINE_LISTENS: usize = 32;

/// The duration after which the log reports a call as slow: most clients of a person do not wait
/// longer without progress.
pub const SLOW: Duration = Duration::from_secs(10);

/// Names that have their own series in metrics. Names are declared by the server, so only a server
/// that keeps adding and removing tools reaches this limit. Further names are counted without a
/// name.
pub const NAMES: usize = 1024;

/// Threads that one blocking tool may use. As many of its calls run at once.
pub const BLOCKING: usize = 16;

/// Bytes of a streamed result that are sent at once: a few packets, so that a client can read it as
/// it arrives.
pub const PIECE: usize = 64 * 1024;

/// Legacy sessions with state at once: those with a log level, a subscription, an open stream or a
/// running call, and those that were ended early. 40 bytes each. Sessions that only make calls have
/// no state and are not counted.
pub const SESSIONS: usize = 4096;

/// Seconds after which subscriptions of expired sessions are looked for again: sessions last a day, and each look goes through all of
/// them.
pub const SESSIONS_AGAIN: u64 = 60;

/// Calls of legacy sessions that run at once: each has a task and a place of 120 bytes in a table.
pub const LEGACY_CALLS: usize = 1024;

/// Resources that one legacy session may be subscribed to.
pub const SUBSCRIPTIONS: usize = 256;

/// User pages for which the end of the interaction may still be reported to the client. Beyond
/// this, the oldest is forgotten.
pub const PAGES: usize = 1024;

/// Streams of legacy calls with a replay buffer, for clients that reconnect.
pub const KEPT_STREAMS: usize = 256;

/// Messages in the replay buffer of one stream.
pub const KEPT_EVENTS: usize = 64;

/// Bytes in the replay buffer of one stream, in addition to its newest message.
pub const KEPT_BYTES: usize = 256 * 1024;

/// The timeout for a legacy client's answers to the questions of a call, because a person reads and
/// types.
pub const ANSWERS: Duration = Duration::from_secs(15 * 60);

/// The time by which the questions of a legacy client's call can extend its timeout in all, so that a
/// call that asks again and again ends, too. Four questions whose answers take as long as they may.
pub const ANSWERS_TOTAL: Duration = Duration::from_secs(4 * 15 * 60);

/// Calls that are parked at once while modern clients fetch their answers. Each holds the state of
/// its backend.
pub const PARKED: usize = 1024;

/// Calls of one caller that are parked at once.
pub const PARKED_BY_CALLER: usize = 64;

/// The time after which a parked call is cancelled if its client has not retried. The sealed state that
/// leads back to the call expires at the same time.
pub const PARKED_TIME: Duration = Duration::from_secs(10 * 60);

/// Bytes that one process sends another for one request before the other one has read them: a few
/// events. A single larger message passes alone.
pub const NEIGHBOUR_BYTES: usize = 1024 * 1024;

/// Fewest bytes of an API key: a value of this length cannot be guessed, in any encoding.
pub const KEY: usize = 32;

/// Access tokens that are remembered as valid, a few kilobytes each: those of the callers of an
/// hour.
pub const SEEN_TOKENS: usize = 4096;

/// The grants of an issuer that have ended and whose access tokens are refused before they expire. Each takes about 80 bytes, and a
/// person has to sign in for each.
#[cfg(feature = "tokens")]
pub(crate) const REVOKED_GRANTS: usize = 65_536;

/// The shortest interval between fetches of an issuer's keys for tokens that name an unknown key.
/// New keys of an issuer work at once, and the issuer is not asked more often for keys that it does
/// not have.
pub const FETCH_AGAIN: Duration = Duration::from_secs(10);

/// The lifetime of an issuer's keys without a refresh. After this time, a key that the issuer has
/// withdrawn verifies no tokens.
pub const KEYS_STALE: Duration = Duration::from_secs(60 * 60);

/// The age at which keys are refreshed in the background. Early enough before [`KEYS_STALE`] that
/// requests rarely wait.
pub const KEYS_REFRESH: Duration = Duration::from_secs(50 * 60);

/// The pause after a failed fetch of keys, while the last good keys are used.
pub const KEYS_RETRY: Duration = Duration::from_secs(60);

/// Longest access token, in bytes: those of Entra ID with 200 groups have about 10,000.
pub const TOKEN: usize = 16 * 1024;

/// The timeout for fetching an issuer's metadata and keys: a client is waiting for it.
pub const FETCH_TIME: Duration = Duration::from_secs(5);

/// The time for which the metadata of an issuer at which people sign in is cached.
#[cfg(feature = "authorization-server")]
pub const PROVIDER_AGE: Duration = Duration::from_secs(3600);

/// Most bytes of a document of an issuer: ten times the largest key sets.
pub const FETCHED: usize = 512 * 1024;

/// Rows of a store in memory ([`MemoryRows`](crate::store::MemoryRows)). A grant takes about 1 kB.
#[cfg(feature = "authorization-server")]
pub const ROWS: usize = 10_000;
