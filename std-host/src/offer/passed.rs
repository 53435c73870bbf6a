//! The extensions of an HTTP request that handlers see.

use http::Extensions;
use std::sync::Arc;

/// The types that are passed on from the extensions of a request to its handler. Only declared types
/// are, so that a server that declares none copies nothing.
#[derive(Debug, Default)]
pub(crate) struct PassedExtensions(Vec<fn(&Extensions, &mut Extensions)>);

impl PassedExtensions {
    /// Declares a type.
    pub(crate) fn declare<T: Clone + Send + Sync + 'static>(&mut self) {
        self.0.push(|from, to| {
            if let Some(value) = from.get::<T>() {
                to.insert(value.clone());
            }
        });
    }

    /// Returns the values of the declared types. `None` if no type is declared.
    pub(crate) fn of(&self, from: &Extensions) -> Option<Arc<Extensions>> {
        if self.0.is_empty() {
            return None;
        }
        let mut to = Extensions::new();
        self.0.iter().for_each(|pass| pass(from, &mut to));
        Some(Arc::new(to))
    }
}
