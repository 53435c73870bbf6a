//! The limits of the client, each with its reason. Users of the library can set those in
//! [`ClientLimits`].

use core::time::Duration;

/// Resource limits for the connection to one server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientLimits {
    /// Largest message from the server, in bytes. Default: [`MESSAGE`].
    pub message: usize,
    /// The timeout of a request without an answer or progress. Default: [`REQUEST_TIME`].
    pub request_time: Duration,
    /// The timeout of a request as a whole, even with progress. Default: [`TOTAL_TIME`].
    pub total_time: Duration,
    /// The timeout of the first probe of a server. Default: [`PROBE_TIME`].
    pub probe_time: Duration,
    /// The timeout of the handshake of the older revisions. Default: [`HANDSHAKE_TIME`].
    pub handshake_time: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            message: MESSAGE,
            request_time: REQUEST_TIME,
            total_time: TOTAL_TIME,
            probe_time: PROBE_TIME,
            handshake_time: HANDSHAKE_TIME,
        }
    }
}

macro_rules! setters {
    ($($name:ident: $kind:ty),* $(,)?) => {
        impl ClientLimits {
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
    message: usize, request_time: Duration, total_time: Duration, probe_time: Duration, handshake_time: Duration,
}

/// Largest message from a server, in bytes. Results carry images and sound. The Rust SDK has the
/// same limit.
pub const MESSAGE: usize = 16 * 1024 * 1024;

/// The timeout of a request without an answer or progress: the default of the TypeScript SDK.
pub const REQUEST_TIME: Duration = Duration::from_secs(60);

/// The timeout of a request as a whole: equal to the timeout of calls on this project's own
/// servers.
pub const TOTAL_TIME: Duration = Duration::from_secs(600);

/// The timeout of a probe. The specification names no number; the Rust SDK uses the same.
pub const PROBE_TIME: Duration = Duration::from_secs(10);

/// The timeout of the handshake. Package runners such as npx download a server before it starts.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(60);

/// The timeout for connecting to an HTTP server.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Idle connections to one HTTP server that are kept: as many as calls of a busy gate run at once.
pub const IDLE_CONNECTIONS: usize = 128;

/// The time after which an idle connection is closed. Servers and proxies commonly close theirs
/// after one to two minutes.
pub const IDLE_TIME: Duration = Duration::from_secs(90);

/// The interval at which idle connections are closed that are too old, or that the server has
/// closed.
pub const SWEEP: Duration = Duration::from_secs(15);

/// The time of silence after which the operating system probes a connection, and the interval of
/// further probes, so that a stream whose server has vanished ends.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The number of unanswered probes after which a connection is lost.
pub const KEEP_ALIVE_PROBES: u32 = 3;

/// The time after which a connection with unacknowledged data is lost, on Linux. Otherwise the
/// system retries for up to a quarter of an hour.
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// The timeout for an HTTP server to accept a notification or a response.
pub const NOTIFY_TIME: Duration = Duration::from_secs(30);

/// The timeout for notifying the server of the end of a session.
pub const DELETE_TIME: Duration = Duration::from_secs(2);

/// Most bytes that are read of an HTTP answer that is not a result. They are shown in an error
/// text.
pub const REFUSAL: usize = 64 * 1024;

/// Most characters of foreign text in an error message.
pub const SHOWN: usize = 300;

/// Most events of one call in its queue. Further progress and log messages are dropped and counted.
pub const EVENTS: usize = 64;

/// Most bytes of the events of one call in its queue.
pub const EVENT_BYTES: usize = 1024 * 1024;

/// Most notices of a server in the queue of a slow receiver: list changes, resource updates, log
/// messages.
pub const NOTICES: usize = 64;

/// Largest notice, in bytes. Together with [`NOTICES`], it bounds the memory that a flood of
/// notices can take to 4 MiB.
pub const NOTICE_BYTES: usize = 64 * 1024;

/// Questions of a server that may be open at once: more than one user can answer.
pub const QUESTIONS: usize = 32;

/// Most repetitions of a request of revision 2026-07-28 with answers: all official SDKs stop at 10.
pub const ROUNDS: u32 = 10;

/// The pause before the first repetition without questions. It doubles each time, up to
/// [`RETRY_MOST`].
pub const RETRY_FIRST: Duration = Duration::from_millis(50);

/// The longest pause before a repetition without questions.
pub const RETRY_MOST: Duration = Duration::from_millis(250);

/// Most pages of one list. Stops a server with an endless list.
pub const PAGES: usize = 1000;

/// Most bytes of one list.
pub const LIST_BYTES: usize = 64 * 1024 * 1024;

/// Most redirects of one request.
pub const REDIRECTS: usize = 3;

/// Most other tokens with which a request is sent again: a renewed one, one of a new sign-in, and one
/// with further scopes.
pub const TOKENS: usize = 3;

/// The pause before a broken stream is opened again, unless the server sets one. It doubles with
/// each failure.
pub const RECONNECT_FIRST: Duration = Duration::from_secs(1);

/// The longest pause before a broken stream is opened again.
pub const RECONNECT_MOST: Duration = Duration::from_secs(30);

/// Most attempts to open a stream without an event in between.
pub const RECONNECTS: u32 = 5;

/// The timeout of the start of a legacy session for opening its GET stream. The stream should be
/// open for the questions of the first call.
pub const STREAM_WAIT: Duration = Duration::from_millis(500);

/// The timeout for reading the rest of a stream after its answer, so that the connection can be
/// reused.
pub const DRAIN_TIME: Duration = Duration::from_secs(1);

/// The pause if a server asks the client to retry later without naming a time.
pub const LATER: Duration = Duration::from_secs(1);

/// The longest pause if a server asks the client to retry later.
pub const LATER_MOST: Duration = Duration::from_secs(10);

/// Messages in the queue of a pipe.
pub const OUTGOING: usize = 64;

/// Lines of a pipe that are logged although they are not messages. Further ones are only counted.
pub const NOISE: u64 = 5;

/// The interval at which a started server is tried until it takes connections.
pub const READY_CHECK: Duration = Duration::from_millis(50);

/// The timeout for reading the remaining output of a child process after its end.
pub const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// The lifetime of a cached revision. An upgraded server still answers the old handshake, so
/// without an expiry the client would never notice (the guide of the TypeScript SDK: 24 hours).
pub const VERDICT_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Servers in the cache of revisions.
pub const VERDICTS: usize = 1024;
