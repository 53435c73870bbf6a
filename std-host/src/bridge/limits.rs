//! The limits and timeouts of a bridge, each with its reason.

use core::time::Duration;

/// The timeouts and pauses of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// The time that a call waits while the upstream is being connected again, and that the entries
    /// of a dead upstream stay in the lists; default [`RESTART`].
    pub restart: Duration,
    /// The time that the bridge waits before it connects again for the first time; default
    /// [`BACK_OFF_FIRST`].
    pub back_off_first: Duration,
    /// The longest time that the bridge waits before it connects again; default [`BACK_OFF_MOST`].
    pub back_off_most: Duration,
    /// The lifetime of a connection after which the wait begins with `back_off_first` again;
    /// default [`SUSTAINED`].
    pub sustained: Duration,
    /// The time for which the upstream may be silent while no call runs, before the bridge checks
    /// that it answers; default [`CHECK_EVERY`].
    pub check_every: Duration,
    /// The time for which a child process may be without a call before it is stopped. The next call
    /// starts it again. Default: for ever.
    pub idle: Option<Duration>,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            restart: RESTART,
            back_off_first: BACK_OFF_FIRST,
            back_off_most: BACK_OFF_MOST,
            sustained: SUSTAINED,
            check_every: CHECK_EVERY,
            idle: None,
        }
    }
}

impl Times {
    /// Replaces the field `restart`.
    #[must_use]
    pub const fn restart(self, restart: Duration) -> Self {
        Self { restart, ..self }
    }

    /// Replaces the fields `back_off_first` and `back_off_most`.
    #[must_use]
    pub const fn back_off(self, first: Duration, most: Duration) -> Self {
        Self { back_off_first: first, back_off_most: most, ..self }
    }

    /// Replaces the field `sustained`.
    #[must_use]
    pub const fn sustained(self, sustained: Duration) -> Self {
        Self { sustained, ..self }
    }

    /// Replaces the field `check_every`.
    #[must_use]
    pub const fn check_every(self, check_every: Duration) -> Self {
        Self { check_every, ..self }
    }

    /// Replaces the field `idle`.
    #[must_use]
    pub const fn idle(self, idle: Option<Duration>) -> Self {
        Self { idle, ..self }
    }

    /// The interval at which the supervisor of an upstream checks it.
    pub(super) fn tick(&self) -> Duration {
        self.idle.map_or(self.check_every, |idle| self.check_every.min(idle / 4))
    }
}

/// The time that a call waits while the upstream is being connected again, and that the entries of
/// a dead upstream stay in the lists: a server in Node.js or Python starts in two to three seconds.
pub const RESTART: Duration = Duration::from_secs(5);

/// The time that the bridge waits before it connects again for the first time. The wait doubles up
/// to [`BACK_OFF_MOST`].
pub const BACK_OFF_FIRST: Duration = Duration::from_millis(250);

/// The longest time that the bridge waits before it connects again.
pub const BACK_OFF_MOST: Duration = Duration::from_secs(30);

/// The lifetime of a connection after which the wait begins with [`BACK_OFF_FIRST`] again. A server
/// that crashes after its handshake would be started four times a second otherwise.
pub const SUSTAINED: Duration = Duration::from_secs(10);

/// The time for which the upstream may be silent while no call runs, before the bridge checks that
/// it answers.
pub const CHECK_EVERY: Duration = Duration::from_secs(30);

/// Connections of callers to an upstream, in addition to the first one: each is a session, or a child process of tens of megabytes.
pub const SESSIONS: usize = 64;

/// The idle timeout of a caller's connection.
pub const SESSION_IDLE: Duration = Duration::from_secs(5 * 60);

/// The timeout of a call at the client. The server that the bridge belongs to ends calls by its own
/// limit, which is shorter and leaves out the time of questions.
pub const CALL: Duration = Duration::from_secs(24 * 60 * 60);

/// The time that the first of several questions of an older upstream waits for the others, which
/// are messages of their own: a client of revision 2026-07-28 gets them in one result. A person
/// does not notice it.
pub const TOGETHER: Duration = Duration::from_millis(20);

/// The time for which an upstream is told to keep a task: longer than a call of the gate may run.
pub const TASK_TIME: Duration = Duration::from_secs(60 * 60);

/// The shortest interval at which a task is polled, even if its upstream asks for a shorter one.
pub const POLL_LEAST: Duration = Duration::from_millis(100);

/// The longest interval at which a task is polled, and the interval if the upstream sets none: a
/// client waits for the result.
pub const POLL_MOST: Duration = Duration::from_secs(5);

/// The number of times that a call is made again after a person has visited the pages that the
/// upstream demanded.
pub const PAGE_ROUNDS: usize = 3;

/// Most bytes of the keys of `_meta` that applications define and that are forwarded with a call.
pub const METADATA: usize = 16 * 1024;

/// The time for an upstream to answer the ping between two calls that use a connection one after
/// the other. After it, the second call gets another connection.
pub const QUIET_TIME: Duration = Duration::from_secs(5);
