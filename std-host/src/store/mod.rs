//! State that outlives a request, behind traits, so that several servers or processes can share it.
//!
//! [`SessionStore`] has the state of legacy sessions that their ids cannot carry. API keys have [`Keys`](crate::auth::Keys), which can be
//! replaced while the server runs. The events of a stream stay with the call that sends them, and
//! [`neighbours`](crate::neighbours) read them there. A checked token is a proof, so it stays in the process that has checked it.

#[cfg(feature = "authorization-server")]
mod file;
mod memory;
#[cfg(feature = "authorization-server")]
mod rows;

pub use attache_core::era::Session;
pub use attache_core::exchange::{Share, Unkept};
#[cfg(feature = "authorization-server")]
pub use file::{CannotOpen, FileRows};
pub use memory::MemorySessions;
#[cfg(feature = "authorization-server")]
pub use rows::{MemoryRows, RowChange, RowKey, RowStore, Unavailable};

use attache_core::tool::Level;

/// The state of legacy sessions between their requests: log levels, and which sessions have ended. A session has a slot as long as there
/// is something to store for it, or something of it is running; `share` is how many slots its caller may have. `now` is in seconds since
/// 1970.
///
/// The server calls these methods in the middle of a request, with a lock held: they must not wait, and must not call the server. A store
/// that several processes share keeps a copy in memory, and follows the changes of the others.
///
/// ```
/// use attache_host::Server;
/// use attache_host::store::MemorySessions;
/// use std::sync::Arc;
///
/// // Two servers of one program; each accepts the sessions of the other, and knows which of them have ended.
/// let sessions = Arc::new(MemorySessions::default());
/// let server = || Server::new("gate", "1").seal_keys([[7; 32]]).session_store(sessions.clone());
/// # let _ = (server(), server());
/// ```
pub trait SessionStore: Send + Sync + 'static {
    /// Keeps a slot for a session while a call runs, a stream is open, or a resource is subscribed to.
    ///
    /// # Errors
    /// If the session has ended, or there is no slot for it.
    fn hold(&self, session: &Session, share: Share, now: u64) -> Result<(), Unkept>;

    /// Undoes one [`hold`](SessionStore::hold).
    fn release(&self, session: &Session);

    /// The least severe level of log messages that the client of this session wants; `None` if it has set none.
    fn level(&self, session: &Session) -> Option<Level>;

    /// Stores that level.
    ///
    /// # Errors
    /// As [`hold`](SessionStore::hold).
    fn set_level(&self, session: &Session, level: Level, share: Share, now: u64) -> Result<(), Unkept>;

    /// Stores that the client has ended the session. Its id is refused until it expires.
    ///
    /// # Errors
    /// As [`hold`](SessionStore::hold).
    fn end(&self, session: &Session, share: Share, now: u64) -> Result<(), Unkept>;

    /// Whether the client has ended the session.
    fn has_ended(&self, session: &Session) -> bool;

    /// Drops the level of a session whose connection has closed.
    fn forget(&self, session: &Session);
}
