//! The numbers of the host, each with its reason.

use core::time::Duration;

/// Largest body or line that is read, in bytes: what the big SDKs take, so that nothing they send is refused here.
pub const BODY: usize = 4 * 1024 * 1024;

/// Largest answer of a tool, in bytes.
pub const RESULT: usize = 16 * 1024 * 1024;

/// Calls that run at once on one connection of lines; the next line is read when one has ended.
pub const LINE_CALLS: usize = 64;

/// How long running calls may take to end once standard input has ended. Clients end a server that stays for two
/// seconds, so answers have to be out before.
pub const STDIO_GRACE: Duration = Duration::from_secs(1);
