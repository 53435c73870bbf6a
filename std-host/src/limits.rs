//! The numbers of the host, each with its reason.

use core::time::Duration;

/// Largest body or line that is read, in bytes: what the big SDKs take, so that nothing they send is refused here.
pub const BODY: usize = 4 * 1024 * 1024;

/// How long a body may take to come in whole: the largest one at 140 kB a second. Without it a client that sends a byte now
/// and then holds a connection and a buffer for ever.
pub const BODY_TIME: Duration = Duration::from_secs(30);

/// How long the head of a request may take to come in, and a connection to lie idle between two: a head is one packet or
/// two, and whoever has been silent longer opens a new connection.
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

/// Subscriptions that may be open on one connection of lines.
pub const LINE_LISTENS: usize = 32;

/// Threads that one blocking tool may use: so many of its calls run at once.
pub const BLOCKING: usize = 16;

/// Bytes of a streamed result that are sent on together: a few packets, so that a client reads it as it comes.
pub const PIECE: usize = 64 * 1024;
