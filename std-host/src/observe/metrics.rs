//! Counters and latencies in the text format of Prometheus.

use super::{End, Exchange, Observe};
use crate::limits;
use core::fmt;
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Metrics of all exchanges. The labels are words of the protocol and declared names, of which at
/// most [`NAMES`](limits::NAMES) are distinguished, so peers cannot make it grow without bound.
pub struct Metrics {
    registry: Registry,
    exchanges: Family<Ended, Counter>,
    refusals: Family<Refused, Counter>,
    seconds: Family<Called, Histogram, fn() -> Histogram>,
    received: Family<Of, Counter>,
    sent: Family<Of, Counter>,
    backend_calls: Family<BackendCalled, Counter>,
    backend_seconds: Family<OfBackend, Histogram, fn() -> Histogram>,
    names: Mutex<HashSet<String>>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Of {
    server: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Called {
    server: String,
    method: &'static str,
    name: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Ended {
    server: String,
    transport: &'static str,
    method: &'static str,
    name: String,
    end: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Refused {
    server: String,
    method: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfBackend {
    server: String,
    backend: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct BackendCalled {
    server: String,
    backend: String,
    end: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let mut metrics = Self {
            registry: Registry::with_prefix("attache"),
            exchanges: Family::default(),
            refusals: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            received: Family::default(),
            sent: Family::default(),
            backend_calls: Family::default(),
            backend_seconds: Family::new_with_constructor(histogram),
            names: Mutex::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("exchanges", "Messages that were answered, by how they ended", metrics.exchanges.clone());
        registry.register("refusals", "Messages that were refused, by the reason", metrics.refusals.clone());
        registry.register("exchange_seconds", "Time from message to answer", metrics.seconds.clone());
        registry.register("received_bytes", "Bytes of messages", metrics.received.clone());
        registry.register("sent_bytes", "Bytes of answers", metrics.sent.clone());
        registry.register(
            "backend_calls",
            "Calls that backends have run, by how they ended",
            metrics.backend_calls.clone(),
        );
        registry.register(
            "backend_seconds",
            "Time from message to answer of calls that backends have run",
            metrics.backend_seconds.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// The media type of [`text`](Metrics::text).
    pub const CONTENT_TYPE: &'static str = prometheus_text::CONTENT_TYPE;

    /// Returns `name`, or an empty label if there are too many names already.
    fn label(&self, name: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.contains(name) {
            if names.len() == limits::NAMES {
                return String::new();
            }
            names.insert(name.to_owned());
        }
        name.to_owned()
    }

    /// Counts a call that a backend has run. A refused call has not reached it.
    fn count_backend(&self, backend: &str, exchange: &Exchange<'_>) {
        let (server, backend) = (exchange.server.to_owned(), self.label(backend));
        let called = BackendCalled { server: server.clone(), backend: backend.clone(), end: exchange.end.as_str() };
        self.backend_calls.get_or_create(&called).inc();
        self.backend_seconds.get_or_create(&OfBackend { server, backend }).observe(exchange.took.as_secs_f64());
    }

    /// The registry, to which a program can add its own metrics before it shares this value. Their
    /// names get the prefix `attache_`.
    pub const fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Prints all metrics in the text format of Prometheus (0.0.4).
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

impl Observe for Metrics {
    fn exchange(&self, exchange: &Exchange<'_>) {
        let server = || exchange.server.to_owned();
        let Exchange { method, .. } = *exchange;
        let name = exchange.name.map(|name| self.label(name)).unwrap_or_default();
        let ended = Ended {
            server: server(),
            transport: exchange.transport.as_str(),
            method,
            name: name.clone(),
            end: exchange.end.as_str(),
        };
        self.exchanges.get_or_create(&ended).inc();
        // A subscription lasts as long as its client likes, so its duration is not a latency.
        if method != "subscriptions/listen" {
            let called = Called { server: server(), method, name };
            self.seconds.get_or_create(&called).observe(exchange.took.as_secs_f64());
        }
        if let Some(backend) = exchange.backend.filter(|_| exchange.end != End::Refused) {
            self.count_backend(backend, exchange);
        }
        if let Some(reason) = exchange.reason {
            self.refusals.get_or_create(&Refused { server: server(), method, reason }).inc();
        }
        let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.received.get_or_create(&Of { server: server() }).inc_by(bytes(exchange.received));
        self.sent.get_or_create(&Of { server: server() }).inc_by(bytes(exchange.sent));
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The buckets of the histogram, in seconds: from a tool that only computes to the time that a
/// person waits.
const BUCKETS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];
