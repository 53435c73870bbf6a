//! The numbers of a bridge, each with its reason.

use core::time::Duration;

/// The times of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// How long a call waits while the upstream is being connected again, and how long the entries of a dead upstream stay in the lists;
    /// default [`RESTART`].
    pub restart: Duration,
    /// How long the bridge waits before it connects again for the first time; default [`BACK_OFF_FIRST`].
    pub back_off_first: Duration,
    /// How long the bridge waits at most before it connects again; default [`BACK_OFF_MOST`].
    pub back_off_most: Duration,
    /// How long a connection must have lived for the wait to begin with `back_off_first` again; default [`SUSTAINED`].
    pub sustained: Duration,
    /// How long the upstream may be silent while no call runs before the bridge checks that it answers; default [`CHECK_EVERY`].
    pub check_every: Duration,
    /// How long a child process may be without a call before it is stopped. The next call starts it again. Default: for ever.
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

    /// How long the supervisor of an upstream sleeps between two looks at it.
    pub(super) fn tick(&self) -> Duration {
        self.idle.map_or(self.check_every, |idle| self.check_every.min(idle / 4))
    }
}

/// How long a call waits while the upstream is being connected again, and how long the entries of a dead upstream stay in the lists: a
/// server in Node.js or Python starts in two to three seconds.
pub const RESTART: Duration = Duration::from_secs(5);

/// How long the bridge waits before it connects again for the first time. The wait doubles up to [`BACK_OFF_MOST`].
pub const BACK_OFF_FIRST: Duration = Duration::from_millis(250);

/// How long the bridge waits at most before it connects again.
pub const BACK_OFF_MOST: Duration = Duration::from_secs(30);

/// How long a connection must have lived for the wait to begin with [`BACK_OFF_FIRST`] again. A server that crashes after its handshake
/// would be started four times a second otherwise.
pub const SUSTAINED: Duration = Duration::from_secs(10);

/// How long the upstream may be silent while no call runs before the bridge checks that it answers.
pub const CHECK_EVERY: Duration = Duration::from_secs(30);

/// Connections of callers to an upstream, in addition to the first one: each is a session, or a child process of tens of megabytes.
pub const SESSIONS: usize = 64;

/// How long a connection of a caller may be idle before it is closed.
pub const SESSION_IDLE: Duration = Duration::from_secs(5 * 60);

/// How long the client waits for the answer to a call. The server that the bridge belongs to ends calls by its own limit, which is shorter
/// and leaves out the time of questions.
pub const CALL: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the first of several questions of an older upstream waits for the others, which are messages of their own: a client of
/// revision 2026-07-28 gets them in one result. A person does not notice it.
pub const TOGETHER: Duration = Duration::from_millis(20);

/// How long an upstream shall keep a task: longer than a call of the gate may run.
pub const TASK_TIME: Duration = Duration::from_secs(60 * 60);

/// The shortest pause between two looks at a task, whatever its upstream asks for.
pub const POLL_LEAST: Duration = Duration::from_millis(100);

/// The longest pause between two looks at a task, and the pause if the upstream asks for none: a client waits for the result.
pub const POLL_MOST: Duration = Duration::from_secs(5);

/// How often a call is made again after a person has visited the pages that the upstream demanded.
pub const PAGE_ROUNDS: usize = 3;

/// Most bytes of the keys of `_meta` that applications define and that are forwarded with a call.
pub const METADATA: usize = 16 * 1024;
