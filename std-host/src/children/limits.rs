//! The limits of child processes, each with its reason.

use core::time::Duration;

/// The time that a process group has to end after SIGTERM, before SIGKILL. The TypeScript SDK uses
/// the same.
pub const STOP_TIME: Duration = Duration::from_secs(2);

/// The interval at which the end of a process group is checked while waiting for it.
pub const STOP_CHECK: Duration = Duration::from_millis(20);

/// The pause before another watchdog is started after one has ended. A watchdog that fails at once
/// would be started in a loop otherwise.
pub const WATCHDOG_PAUSE: Duration = Duration::from_secs(1);

/// The interval at which the memory and the processes of a group are measured. A runaway child can
/// allocate about a gigabyte in this time.
pub const CAPS_CHECK: Duration = Duration::from_millis(500);

/// The interval at which the CPU time of a group is measured, if it has a cap. The kernel counts in
/// steps of 10 ms.
pub const CPU_CHECK: Duration = Duration::from_millis(100);

/// CPU time that an idle group may save up: a call that needs a short burst is not slowed down.
pub const CPU_BURST: Duration = Duration::from_secs(1);

/// Most bytes that are kept of a child's standard error.
pub const STDERR_BYTES: usize = 64 * 1024;

/// Lines of a child's standard error that error messages show.
pub const STDERR_LINES: usize = 20;

/// Most bytes of one line of standard error. Longer lines are split.
pub const STDERR_LINE: usize = 1024;
