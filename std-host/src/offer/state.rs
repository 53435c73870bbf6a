//! The state that handlers share: one value of each type.

use core::any::{Any, TypeId, type_name};
use core::fmt;
use std::collections::HashMap;

/// The values that handlers share, by their types.
#[derive(Default)]
pub(crate) struct States(HashMap<TypeId, (&'static str, Box<dyn Any + Send + Sync>)>);

impl States {
    /// Adds a value.
    ///
    /// # Panics
    /// If there is a value of this type.
    #[track_caller]
    pub(crate) fn add<T: Send + Sync + 'static>(&mut self, value: T) {
        let before = self.0.insert(TypeId::of::<T>(), (type_name::<T>(), Box::new(value)));
        assert!(before.is_none(), "there is already a state of type {}", type_name::<T>());
    }

    /// Adds a value.
    #[cfg(feature = "oauth-client")]
    pub(crate) fn with<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.add(value);
        self
    }

    pub(crate) fn get<T: 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.1.downcast_ref()
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.values().map(|(name, _)| name)).finish()
    }
}
