//! The figures of the status page: the last exchanges, totals since the start, and the last ten minutes.
//!
//! While no page is open, an exchange costs a lock and the copies of a few short texts into buffers that are
//! used again. Nothing is printed, no timer runs, and nothing is allocated once the buffers have grown.

use super::latencies::Latencies;
use super::record::{Record, milliseconds};
use attache_host::observe::{End, Exchange, Observe};
use core::time::Duration;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};
use tokio::sync::broadcast;

/// The figures, and a channel for the pages that are open.
#[derive(Debug)]
pub(crate) struct Recent {
    began: Instant,
    began_at: SystemTime,
    has_messages: bool,
    kept: Mutex<Kept>,
    next: broadcast::Sender<Arc<Record>>,
}

#[derive(Debug, Default)]
struct Kept {
    last: VecDeque<Arc<Record>>,
    totals: Totals,
    history: VecDeque<Slot>,
    backends: Vec<OfBackend>,
}

/// The number of exchanges that are kept for a page that is opened later.
const KEPT: usize = 200;

/// The number of exchanges that wait for a slow page. Further ones are not shown on that page.
const WAITING: usize = 1024;

/// The time of one slot of the history, and the number of slots: ten minutes.
const SLOT: Duration = Duration::from_secs(5);
const SLOTS: usize = 120;

/// The most backends with figures. Their names are those of the configuration, which reloads can change.
const BACKENDS: usize = 256;

/// Counts since the start.
#[derive(Clone, Debug, Default)]
struct Totals {
    done: u64,
    failed: u64,
    refused: u64,
    received: u64,
    sent: u64,
}

/// The exchanges of a few seconds.
#[derive(Debug)]
struct Slot {
    number: u64,
    done: u32,
    failed: u32,
    refused: u32,
    latencies: Latencies,
}

/// The calls that one backend has run.
#[derive(Debug)]
struct OfBackend {
    server: String,
    backend: String,
    calls: u64,
    failed: u64,
    latencies: Latencies,
}

impl Recent {
    pub(crate) fn new(has_messages: bool) -> Self {
        let (began, began_at) = (Instant::now(), SystemTime::now());
        Self { began, began_at, has_messages, kept: Mutex::default(), next: broadcast::Sender::new(WAITING) }
    }

    /// Returns the kept exchanges, and a receiver for all later ones.
    pub(super) fn listen(&self) -> (Vec<Arc<Record>>, broadcast::Receiver<Arc<Record>>) {
        let kept = self.lock();
        (kept.last.iter().cloned().collect(), self.next.subscribe())
    }

    /// Returns the totals and the history.
    pub(super) fn figures(&self) -> Value {
        let kept = self.lock();
        let Totals { done, failed, refused, received, sent } = kept.totals.clone();
        let now = self.slot_number();
        let slot = |Slot { number, done, failed, refused, latencies }: &Slot| {
            json!([now - number, done, failed, refused, latencies.quantile(0.5), latencies.quantile(0.95)])
        };
        let history: Vec<_> = kept.history.iter().filter(|slot| now - slot.number < SLOTS as u64).map(slot).collect();
        json!({
            "began": milliseconds(self.began_at),
            "uptime": self.began.elapsed().as_secs(),
            "messages": self.has_messages,
            "totals": { "done": done, "failed": failed, "refused": refused, "received": received, "sent": sent },
            "slot": SLOT.as_secs(),
            "slots": SLOTS,
            "history": history,
        })
    }

    /// Returns the calls of a backend.
    pub(super) fn of_backend(&self, server: &str, backend: &str) -> Value {
        let kept = self.lock();
        let found = kept.backends.iter().find(|of| of.server == server && of.backend == backend);
        let quantile = |share: f64| found.and_then(|of| of.latencies.quantile(share));
        json!({
            "calls": found.map_or(0, |of| of.calls),
            "failed": found.map_or(0, |of| of.failed),
            "median": quantile(0.5),
            "slow": quantile(0.95),
        })
    }

    fn slot_number(&self) -> u64 {
        self.began.elapsed().as_secs() / SLOT.as_secs()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observe for Recent {
    fn exchange(&self, exchange: &Exchange<'_>) {
        let number = self.slot_number();
        let mut kept = self.lock();
        let mut record = match kept.last.len() {
            KEPT => kept.last.pop_front().unwrap_or_default(),
            _ => Arc::default(),
        };
        // A record that a page still holds is copied.
        Arc::make_mut(&mut record).fill(exchange);
        kept.count(exchange, number);
        kept.last.push_back(Arc::clone(&record));
        // Sending fails if no page is open. The lock is held while sending, so that a page neither
        // misses an exchange nor receives one twice.
        if self.next.receiver_count() > 0 {
            let _ = self.next.send(record);
        }
    }

    fn needs_messages(&self) -> bool {
        self.has_messages
    }
}

impl Kept {
    fn count(&mut self, exchange: &Exchange<'_>, number: u64) {
        let is_refused = exchange.end == End::Refused;
        let is_failed = matches!(exchange.end, End::Failed | End::Rejected | End::Broken);
        // A subscription lasts as long as its client likes, so its duration is not a latency.
        let took = (exchange.method != "subscriptions/listen" && !is_refused).then_some(exchange.took);
        let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let totals = &mut self.totals;
        totals.received += bytes(exchange.received);
        totals.sent += bytes(exchange.sent);
        let slot = slot_of(&mut self.history, number);
        match (is_refused, is_failed) {
            (true, _) => (totals.refused, slot.refused) = (totals.refused + 1, slot.refused + 1),
            (_, true) => (totals.failed, slot.failed) = (totals.failed + 1, slot.failed + 1),
            _ => (totals.done, slot.done) = (totals.done + 1, slot.done + 1),
        }
        if let Some(took) = took {
            slot.latencies.add(took);
        }
        if let Some(backend) = exchange.backend.filter(|_| !is_refused) {
            self.count_backend(exchange, backend, is_failed);
        }
    }

    fn count_backend(&mut self, exchange: &Exchange<'_>, backend: &str, is_failed: bool) {
        let is_it = |of: &OfBackend| of.server == exchange.server && of.backend == backend;
        let place = self.backends.iter().position(is_it).unwrap_or_else(|| {
            if self.backends.len() < BACKENDS {
                let (server, backend) = (exchange.server.to_owned(), backend.to_owned());
                self.backends.push(OfBackend { server, backend, calls: 0, failed: 0, latencies: Latencies::default() });
            }
            self.backends.len() - 1
        });
        let Some(of) = self.backends.get_mut(place).filter(|of| is_it(of)) else { return };
        of.calls += 1;
        of.failed += u64::from(is_failed);
        of.latencies.add(exchange.took);
    }
}

/// Returns the slot of this number. The oldest slot is used again.
fn slot_of(history: &mut VecDeque<Slot>, number: u64) -> &mut Slot {
    if history.back().is_none_or(|slot| slot.number < number) {
        let mut slot = match history.len() {
            SLOTS => history.pop_front(),
            _ => None,
        }
        .unwrap_or_else(|| Slot { number, done: 0, failed: 0, refused: 0, latencies: Latencies::default() });
        (slot.number, slot.done, slot.failed, slot.refused) = (number, 0, 0, 0);
        slot.latencies.clear();
        history.push_back(slot);
    }
    let last = history.len() - 1;
    &mut history[last]
}
