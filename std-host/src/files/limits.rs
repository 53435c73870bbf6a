//! The limits of files that are served, each with its reason.

use core::time::Duration;

/// The interval at which a directory is checked for changes.
pub const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Most entries of a directory. Each is checked for changes every [`CHECK_EVERY`].
pub const FILES: usize = 4096;

/// Most directories between the root and a resource.
pub const DEPTH: usize = 16;

/// Largest description of a tool or prompt file, in bytes.
pub const TEXT: u64 = 256 * 1024;

/// Largest resource, in bytes. It is held in memory while it is sent.
pub const RESOURCE: u64 = 8 * 1024 * 1024;

/// Most bytes that a tool may write to its standard output. The model has to read them.
pub const OUTPUT: usize = 1024 * 1024;

/// The time limit of a tool if its description has none.
pub const RUN_TIME: Duration = Duration::from_secs(60);

/// Runs of the tools of one directory at once. Further calls wait.
pub const RUNS: usize = 32;

/// Largest argument that is passed as an environment variable, in bytes. Linux allows 128 KiB for one
/// variable with its name (execve(2)).
pub const VARIABLE: usize = 100 * 1024;

/// The time for which the output of a tool is read after the tool has ended. A process that the
/// tool has left in the background may keep the pipe open.
pub const LAST_OUTPUT: Duration = Duration::from_millis(500);
