//! Seals the state that is sent to a client with questions.

use super::asking::Asking;
use super::state::{Binding, ParkedCall, seal};
use crate::limits;
use attache_core::seal::Key;
use serde_json::json;
use std::sync::Arc;

/// The key and the binding that seal the state of one call.
pub(crate) struct Sealer {
    key: Key,
    binding: Binding,
    asking: Arc<Asking>,
}

impl Sealer {
    pub(crate) const fn new(key: Key, binding: Binding, asking: Arc<Asking>) -> Self {
        Self { key, binding, asking }
    }

    pub(crate) const fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The state that leads back to a parked call.
    pub(crate) fn seal_parked(&self, parked: ParkedCall) -> Option<String> {
        let state = json!({ "a": {}, "s": null, "p": parked });
        seal(&self.binding, &self.key, &state, limits::PARKED_TIME)
    }

    pub(crate) fn seal(&self) -> Option<String> {
        seal(&self.binding, &self.key, &self.asking.state()?, limits::ANSWERS)
    }
}
