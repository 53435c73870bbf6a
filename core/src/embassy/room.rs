//! The state that the connections of one endpoint share: free sockets, and the number of open
//! subscriptions.

use crate::limits;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;
use embassy_sync::waitqueue::MultiWakerRegistration;

/// The connection slots of an endpoint: one value for all its connections, which run on one
/// executor.
pub struct ConnectionSlots {
    /// Sockets that wait for a client.
    free: Cell<usize>,
    /// Connections that are about to end because a client waits.
    leaving: Cell<usize>,
    /// Subscriptions that may still be opened.
    listens: Cell<usize>,
    idle: RefCell<MultiWakerRegistration<{ limits::WAITING }>>,
}

impl ConnectionSlots {
    /// Slots for `sockets` connections at once. All but one of them may be subscriptions, so that
    /// calls always get through.
    pub const fn new(sockets: usize) -> Self {
        Self {
            free: Cell::new(sockets),
            leaving: Cell::new(0),
            listens: Cell::new(sockets.saturating_sub(1)),
            idle: RefCell::new(MultiWakerRegistration::new()),
        }
    }

    /// A client has come.
    pub fn enter(&self) {
        self.free.set(self.free.get().saturating_sub(1));
        if self.is_full() {
            self.idle.borrow_mut().wake();
        }
    }

    /// A socket waits for a client again.
    pub fn leave(&self) {
        self.leaving.set(self.leaving.get().saturating_sub(1));
        self.free.set(self.free.get().saturating_add(1));
    }

    /// Returns whether no socket is free: a new client then has to wait until a connection ends.
    pub(super) fn is_full(&self) -> bool {
        self.free.get() == 0
    }

    /// Waits until no socket is free. The connection that called it then makes room by ending.
    pub(super) async fn crowded(&self) -> Leaving<'_> {
        poll_fn(|context| {
            if self.is_full() && self.leaving.get() == 0 {
                self.leaving.set(1);
                return Poll::Ready(Leaving(Some(self)));
            }
            self.idle.borrow_mut().register(context.waker());
            Poll::Pending
        })
        .await
    }

    /// Returns a slot for a subscription, which is free again when the value is dropped; `None` if
    /// no slot is free.
    #[cfg(feature = "subscriptions")]
    pub(super) fn listen(&self) -> Option<Listening<'_>> {
        let left = self.listens.get().checked_sub(1)?;
        self.listens.set(left);
        Some(Listening(self))
    }
}

/// A connection that is about to make room. Dropped before it [goes](Leaving::goes), the connection
/// keeps its socket.
pub(super) struct Leaving<'r>(Option<&'r ConnectionSlots>);

impl Leaving<'_> {
    pub(super) fn goes(mut self) {
        self.0 = None;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(room) = self.0 {
            room.leaving.set(0);
        }
    }
}

/// The slot of a subscription.
#[cfg(feature = "subscriptions")]
pub(super) struct Listening<'r>(&'r ConnectionSlots);

#[cfg(feature = "subscriptions")]
impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.listens.set(self.0.listens.get().saturating_add(1));
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for ConnectionSlots {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Room {{ free: {}, listens: {} }}", self.free.get(), self.listens.get());
    }
}

impl fmt::Debug for ConnectionSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("free", &self.free).field("listens", &self.listens).finish_non_exhaustive()
    }
}
