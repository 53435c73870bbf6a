//! The process group of a child.

use super::signal::{Signal, send};
use super::supervision::Place;

/// The process group of a child. Dropping it kills the remaining processes of the group.
#[derive(Debug)]
pub(crate) struct Group {
    id: Option<u32>,
    /// Dropped after the group has ended, so that the watchdog knows the group until then.
    _place: Option<Place>,
}

impl Group {
    pub(crate) const fn new(id: Option<u32>, place: Option<Place>) -> Self {
        Self { id, _place: place }
    }

    pub(crate) const fn id(&self) -> Option<u32> {
        self.id
    }

    /// Kills the remaining processes after the leader has ended.
    pub(crate) fn end(mut self) {
        self.signal(Signal::Kill);
        // From here on, the number of the group may belong to another group.
        self.id = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            send(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::Kill);
    }
}
