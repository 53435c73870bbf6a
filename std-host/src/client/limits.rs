//! The numbers of the client, each with its reason. What a user of the library may set is in [`ClientLimits`].

use core::time::Duration;

/// What a client spends on one server at most.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientLimits {
    /// Largest message from the server, in bytes; default [`MESSAGE`].
    pub message: usize,
    /// How long a request may go without an answer or progress; default [`REQUEST_TIME`].
    pub request_time: Duration,
    /// How long a request may take, progress or not; default [`TOTAL_TIME`].
    pub total_time: Duration,
    /// How long the first probe of a server may take; default [`PROBE_TIME`].
    pub probe_time: Duration,
    /// How long the handshake of the older revisions may take; default [`HANDSHAKE_TIME`].
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

/// Largest message from a server, in bytes: results carry images and sound, and this is what the Rust SDK takes.
pub const MESSAGE: usize = 16 * 1024 * 1024;

/// How long a request may go without an answer or progress: the default of the TypeScript SDK.
pub const REQUEST_TIME: Duration = Duration::from_secs(60);

/// How long a request may take in all: as long as this project's own servers let a call run.
pub const TOTAL_TIME: Duration = Duration::from_secs(600);

/// How long a probe may take. The specification names no number; the Rust SDK waits as long.
pub const PROBE_TIME: Duration = Duration::from_secs(10);

/// How long the handshake may take: package runners such as npx download a server before it starts.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(60);

/// How long the connection to an HTTP server may take to be made.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long an HTTP server may take to accept a notification or a response.
pub const NOTIFY_TIME: Duration = Duration::from_secs(30);

/// How long the end of a session may take to be told to the server.
pub const DELETE_TIME: Duration = Duration::from_secs(2);

/// Most bytes that are read of an HTTP answer that is not a result: it is shown in an error text.
pub const REFUSAL: usize = 64 * 1024;

/// Most characters of foreign text in an error message.
pub const SHOWN: usize = 300;

/// Most events of one call that wait to be taken: progress and log messages beyond are dropped and counted.
pub const EVENTS: usize = 64;

/// Most bytes of the events of one call that wait to be taken.
pub const EVENT_BYTES: usize = 1024 * 1024;

/// Most notices of a server that wait for a slow listener: list changes, resource updates, log messages.
pub const NOTICES: usize = 64;

/// Largest notice, in bytes: with [`NOTICES`] it bounds what a flood can make the client keep to 4 MiB.
pub const NOTICE_BYTES: usize = 64 * 1024;

/// Questions of a server that may be open at once: more than one person answers.
pub const QUESTIONS: usize = 32;

/// How often a request of revision 2026-07-28 is repeated with answers: all official SDKs stop at 10.
pub const ROUNDS: u32 = 10;

/// How long the first repetition waits that has no questions to answer; the wait doubles up to [`RETRY_MOST`].
pub const RETRY_FIRST: Duration = Duration::from_millis(50);

/// How long a repetition without questions waits at most.
pub const RETRY_MOST: Duration = Duration::from_millis(250);

/// Most pages of one list: a server whose list has no end is stopped there.
pub const PAGES: usize = 1000;

/// Most bytes of one list.
pub const LIST_BYTES: usize = 64 * 1024 * 1024;

/// Most redirects of one request.
pub const REDIRECTS: usize = 3;

/// How long the client waits before it opens a broken stream again, unless the server says; the wait doubles with each failure.
pub const RECONNECT_FIRST: Duration = Duration::from_secs(1);

/// How long the client waits at most before it opens a broken stream again.
pub const RECONNECT_MOST: Duration = Duration::from_secs(30);

/// How often a stream is opened again without a single event in between.
pub const RECONNECTS: u32 = 5;

/// How long the start of a legacy session waits for its GET stream, so that the first call's questions find it open.
pub const STREAM_WAIT: Duration = Duration::from_millis(500);

/// How long the rest of a stream is read behind its answer, so that the connection can be used again.
pub const DRAIN_TIME: Duration = Duration::from_secs(1);

/// How long the client waits when a server asks it to come back later, if the server names no time.
pub const LATER: Duration = Duration::from_secs(1);

/// How long the client waits at most when a server asks it to come back later.
pub const LATER_MOST: Duration = Duration::from_secs(10);

/// Messages that wait to be written to a pipe.
pub const OUTGOING: usize = 64;

/// Lines of a pipe that are not messages and are logged; the rest is only counted.
pub const NOISE: u64 = 5;

/// How long a child process may take to end after its input was closed, and again after SIGTERM. The TypeScript SDK waits
/// as long.
pub const STOP_TIME: Duration = Duration::from_secs(2);

/// How long the output of a child process that has ended is still read.
pub const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// Lines of a child's standard error that are kept for error messages.
pub const STDERR_LINES: usize = 20;

/// Most bytes that are kept of one line of standard error.
pub const STDERR_LINE: usize = 1024;

/// How long the revision of a server is remembered. An upgraded server still answers the old handshake, so a verdict
/// without an age would hold for ever (the guide of the TypeScript SDK: 24 hours).
pub const VERDICT_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Servers whose revision is remembered.
pub const VERDICTS: usize = 1024;
