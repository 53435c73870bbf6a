//! Protocol upgrades (RFC 9110 §7.8): connections that leave HTTP after an answer 101.

use core::fmt;
use core::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// The work of a connection after its last HTTP message.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The work of a connection after an answer 101, such as copying the bytes of a WebSocket. Put it into the extensions of the answer.
/// The work begins when the answer is sent. The connection counts as open and in use until the work has ended, and the work is
/// dropped when the server stops.
///
/// Without it, an upgraded connection is not counted, and does not end with the server.
#[derive(Clone)]
pub struct Tunnel(Arc<Mutex<Option<Work>>>);

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnel")
    }
}

impl Tunnel {
    /// Has the connection do this work.
    pub fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::pin(work)))))
    }

    pub(super) fn take(&self) -> Option<Work> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
