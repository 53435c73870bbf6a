//! Stores in the memory of this process.

use super::{Session, SessionStore, Share, Unkept};
use crate::limits;
use attache_core::exchange::Sessions;
use attache_core::tool::Level;
use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The default [`SessionStore`]: a table of [`SESSIONS`](limits::SESSIONS) slots.
#[derive(Default)]
pub struct MemorySessions(Mutex<Box<Sessions<{ limits::SESSIONS }>>>);

impl MemorySessions {
    fn table(&self) -> MutexGuard<'_, Box<Sessions<{ limits::SESSIONS }>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStore for MemorySessions {
    fn hold(&self, session: &Session, share: Share, now: u64) -> Result<(), Unkept> {
        self.table().hold(session, share, now)
    }

    fn release(&self, session: &Session) {
        self.table().release(session);
    }

    fn level(&self, session: &Session) -> Option<Level> {
        self.table().level(session)
    }

    fn set_level(&self, session: &Session, level: Level, share: Share, now: u64) -> Result<(), Unkept> {
        self.table().set_level(session, level, share, now)
    }

    fn end(&self, session: &Session, share: Share, now: u64) -> Result<(), Unkept> {
        self.table().end(session, share, now)
    }

    fn has_ended(&self, session: &Session) -> bool {
        self.table().has_ended(session)
    }

    fn forget(&self, session: &Session) {
        self.table().forget(session);
    }
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessions").finish_non_exhaustive()
    }
}
