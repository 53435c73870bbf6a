//! Seals the state that is sent to a client with questions.

use super::asking::Asking;
use super::state::{Binding, seal};
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

    /// Seals the state that leads back to the parked call `id`.
    pub(crate) fn seal_parked(&self, id: u64) -> Option<String> {
        seal(&self.binding, &self.key, &json!({ "a": {}, "s": null, "p": id }))
    }

    pub(crate) fn seal(&self) -> Option<String> {
        seal(&self.binding, &self.key, &self.asking.state()?)
    }
}
