//! The limits of the backend for function apps, each with its reason.

use core::time::Duration;

/// Largest message of a worker, in bytes. An answer of 8 MiB fits as base64 in a result in JSON in JSON.
pub const MESSAGE: usize = 32 * 1024 * 1024;

/// Messages that wait to be sent to one worker. Calls wait for a place.
pub const OUTGOING: usize = 64;

/// Bytes of the messages that wait to be sent to one worker. Calls wait for room before their request is encoded. One
/// request of 4 MiB fits, which holds its arguments twice and as JSON in JSON.
pub const OUTGOING_BYTES: usize = 16 * 1024 * 1024;

/// Log messages of one call that wait for its client. Further ones are dropped for the client and still reach
/// the log of the host.
pub const CALL_LOGS: usize = 64;

/// Most bytes of a line of a worker's console or of a log message. The rest of the line is another line.
pub const LINE: usize = 8 * 1024;

/// Lines of the console and the log that a worker may write before it has loaded, kept to explain a failure. A
/// traceback of Python has two lines for each frame.
pub const START_LINES: usize = 200;

/// Log lines of one worker per second that reach the log of the host. Further ones are counted.
pub const LINES_PER_SECOND: u32 = 500;

/// Functions of one app. Each is an entry in a list that clients read whole.
pub const FUNCTIONS: usize = 1_000;

/// Largest `host.json`, `local.settings.json`, `worker.config.json`, `function.json` or `package.json`, in bytes.
pub const FILE: usize = 1024 * 1024;

/// Connections to the endpoint of workers that have not shown the id of a worker yet. More are closed at once.
pub const STRANGERS: usize = 32;

/// The time that a custom handler has to answer its first request.
pub const READY_TIME: Duration = Duration::from_secs(60);

/// The interval at which a starting custom handler is asked whether it answers.
pub const READY_CHECK: Duration = Duration::from_millis(20);

/// The time that a started process has to open its stream.
pub const START_TIME: Duration = Duration::from_secs(60);

/// The time that a worker has to answer the first request. Node.js workers load the app in that
/// time.
pub const INIT_TIME: Duration = Duration::from_secs(120);

/// The time that a worker has to list its functions, and again to load them. A Python app is
/// imported in that time.
pub const LOAD_TIME: Duration = Duration::from_secs(60);

/// The time that a worker has to end after it was asked to, before it is killed.
pub const STOP_TIME: Duration = Duration::from_secs(5);

/// The time that a call waits for a worker that is being restarted.
pub const WAIT_TIME: Duration = Duration::from_secs(10);

/// The time that the host waits before it restarts a worker that has failed for the first time. The
/// wait doubles up to [`BACK_OFF_MOST`].
pub const BACK_OFF_FIRST: Duration = Duration::from_millis(200);

/// The longest time that the host waits before it starts a worker again.
pub const BACK_OFF_MOST: Duration = Duration::from_secs(30);

/// The running time of a worker after which the wait begins with [`BACK_OFF_FIRST`] again.
pub const SUSTAINED: Duration = Duration::from_secs(10);

/// The time that a worker has to answer whether it is alive, after a call has not ended in time. A
/// worker that is silent is killed. With the start of another one, the app is back within two seconds.
pub const STATUS_TIME: Duration = Duration::from_secs(1);

/// The interval at which the host checks whether the last call of a reloaded app has ended.
pub const DRAIN_CHECK: Duration = Duration::from_millis(100);

/// The interval at which the files of a watched app are compared with those that were loaded.
pub const WATCH_EVERY: Duration = Duration::from_millis(500);

/// Most files of an app that are watched. Libraries and hidden directories do not count.
pub const WATCHED_FILES: usize = 10_000;

/// Worker processes of one app at most, as on the platform.
pub const PROCESSES: usize = 10;
