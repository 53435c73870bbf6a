//! The outcome of the last reload, for metrics and the status page.

use prometheus_client::metrics::gauge::Gauge;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The time and the outcome of the last reload, for metrics and the status page. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct LastReload {
    outcome: Arc<Mutex<Option<Outcome>>>,
    /// 1 if the last reload has succeeded, or if there was none.
    pub(super) is_good: Gauge,
}

/// The outcome of a reload.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) at: SystemTime,
    /// The mistake, with file and line.
    pub(super) fault: Option<String>,
}

impl Default for LastReload {
    fn default() -> Self {
        let last = Self { outcome: Arc::default(), is_good: Gauge::default() };
        last.is_good.set(1);
        last
    }
}

impl LastReload {
    /// Returns the outcome of the last reload. `None` if there was none.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, fault: Option<String>) {
        self.is_good.set(i64::from(fault.is_none()));
        let outcome = Outcome { at: SystemTime::now(), fault };
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}
