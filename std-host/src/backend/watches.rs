//! Subscriptions of clients to resources, counted, so that a backend is told of the first and of the last one.

use super::Backend;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The resources that clients have subscribed to.
#[derive(Clone, Default)]
pub(super) struct Watches(Arc<Mutex<HashMap<String, Count>>>);

struct Count {
    subscriptions: usize,
    /// The backend that was told.
    backend: Weak<dyn Backend>,
}

/// One subscription to a resource. Dropping it ends the subscription.
pub(crate) struct Watched {
    uri: String,
    watches: Watches,
}

impl Watches {
    /// Counts a subscription to the resource with this URI, which `backend` offers.
    pub(super) fn watch(&self, uri: &str, backend: &Arc<dyn Backend>) -> Watched {
        let is_first = {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts
                .entry(uri.to_owned())
                .or_insert_with(|| Count { subscriptions: 0, backend: Arc::downgrade(backend) });
            count.subscriptions += 1;
            count.subscriptions == 1
        };
        if is_first {
            backend.watch(uri, true);
        }
        Watched { uri: uri.to_owned(), watches: self.clone() }
    }
}

impl Watches {
    /// Has each subscription followed by the backend that offers its resource now, and returns the URIs for which
    /// this is another one.
    pub(super) fn moved(&self, offers: impl Fn(&str) -> Option<Arc<dyn Backend>>) -> Vec<String> {
        let mut moved = Vec::new();
        for (uri, count) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let Some(now) = offers(uri) else { continue };
            let before = core::mem::replace(&mut count.backend, Arc::downgrade(&now));
            if !Weak::ptr_eq(&before, &count.backend) {
                moved.push((uri.clone(), before, now));
            }
        }
        for (uri, before, now) in &moved {
            if let Some(before) = before.upgrade() {
                before.watch(uri, false);
            }
            now.watch(uri, true);
        }
        moved.into_iter().map(|(uri, ..)| uri).collect()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let last = {
            let mut counts = self.watches.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(count) = counts.get_mut(&self.uri) else { return };
            count.subscriptions -= 1;
            if count.subscriptions == 0 { counts.remove(&self.uri) } else { None }
        };
        if let Some(backend) = last.and_then(|count| count.backend.upgrade()) {
            backend.watch(&self.uri, false);
        }
    }
}

impl core::fmt::Debug for Watched {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Watched").field("uri", &self.uri).finish_non_exhaustive()
    }
}
