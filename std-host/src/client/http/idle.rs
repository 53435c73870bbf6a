//! The connections to one origin that no request uses.

use super::connection::Connection;
use crate::client::limits::{IDLE_CONNECTIONS, IDLE_TIME, SWEEP};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::time::{Instant, sleep};

/// The idle connections. The last one was used last.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<(Box<Connection>, Instant)>>);

impl Idle {
    /// Makes a table, and a task that closes connections which are idle for too long.
    pub(super) fn new() -> Arc<Self> {
        let idle = Arc::<Self>::default();
        tokio::spawn(sweep(Arc::downgrade(&idle)));
        idle
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Takes the connection that was used last and is still open.
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        let mut idle = self.lock();
        while let Some((mut connection, _)) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, connection: Box<Connection>) {
        let mut idle = self.lock();
        if !connection.has_ended() && idle.len() < IDLE_CONNECTIONS {
            idle.push((connection, Instant::now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Box<Connection>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that are idle for too long or that the server has closed.
async fn sweep(idle: Weak<Idle>) {
    loop {
        sleep(SWEEP).await;
        let Some(idle) = idle.upgrade() else { return };
        idle.lock().retain_mut(|(connection, since)| since.elapsed() < IDLE_TIME && connection.is_ready());
    }
}
