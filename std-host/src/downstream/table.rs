//! The callers whose tokens are kept.

use super::limits::CALLERS;
use super::slot::Slot;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The slots of callers, by their identities.
#[derive(Default)]
pub(super) struct Table {
    callers: Mutex<HashMap<String, Arc<Slot>>>,
    own: Arc<Slot>,
}

impl Table {
    /// The slot of this server's own tokens.
    pub(super) fn own(&self) -> Arc<Slot> {
        Arc::clone(&self.own)
    }

    /// The slot of a caller.
    pub(super) fn of(&self, identity: &str) -> Arc<Slot> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = callers.get(identity) {
            return Arc::clone(slot);
        }
        if callers.len() >= CALLERS {
            // A slot that a call uses goes on to exist for that call.
            let oldest = callers.iter().min_by_key(|(_, slot)| slot.used()).map(|(identity, _)| identity.clone());
            oldest.and_then(|oldest| callers.remove(&oldest));
        }
        Arc::clone(callers.entry(identity.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_bounded_and_keeps_the_callers_that_came_last() {
        let table = Table::default();
        let first = table.of("first");
        for number in 0..CALLERS {
            let slot = table.of(&number.to_string());
            let _ = slot.current();
        }
        assert_eq!(table.callers.lock().expect("no panic").len(), CALLERS);
        assert!(!Arc::ptr_eq(&first, &table.of("first")), "the oldest was dropped");
        let last = table.of(&(CALLERS - 1).to_string());
        assert!(Arc::ptr_eq(&last, &table.of(&(CALLERS - 1).to_string())));
    }
}
