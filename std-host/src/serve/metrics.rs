//! Metrics of connections and requests for Prometheus. No client can make a series: the only label is the status of the answer.

use crate::observe::Metrics as Exchanges;
use core::time::Duration;
use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

/// Counters of connections and HTTP requests, and a histogram of their durations. Clients cannot make a series: the only label is the
/// status of the answer.
#[derive(Debug)]
pub struct Metrics {
    connections: Counter,
    open: Gauge,
    requests: Family<Answered, Counter>,
    seconds: Histogram,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Answered {
    status: u16,
}

/// Counts a connection as open until this is dropped.
#[derive(Debug)]
pub(super) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let (connections, open, requests) = (Counter::default(), Gauge::default(), Family::default());
        Self { connections, open, requests, seconds: Histogram::new(BOUNDS) }
    }
}

impl Metrics {
    /// Makes metrics that are printed with those of `exchanges`.
    pub fn register(exchanges: &mut Exchanges) -> Self {
        let metrics = Self::default();
        let registry = exchanges.registry();
        registry.register("connections", "Connections that were accepted", metrics.connections.clone());
        registry.register("connections_open", "Connections that are open", metrics.open.clone());
        registry.register("requests", "HTTP requests that were answered, by status", metrics.requests.clone());
        let seconds = "Duration of HTTP requests, of streams to their end";
        registry.register("request_seconds", seconds, metrics.seconds.clone());
        metrics
    }

    /// Returns the number of connections that were accepted, and of those that are open.
    pub fn connections(&self) -> (u64, i64) {
        (self.connections.get(), self.open.get())
    }

    pub(super) fn connected(&self) -> Connected {
        self.connections.inc();
        self.open.inc();
        Connected(self.open.clone())
    }

    /// Counts a request that was answered, completely or until its client closed the connection.
    pub(super) fn answered(&self, status: StatusCode, time: Duration) {
        self.requests.get_or_create(&Answered { status: status.as_u16() }).inc();
        self.seconds.observe(time.as_secs_f64());
    }
}

/// Bounds of the duration histogram, in seconds: from instant, to noticeable for a person, to the
/// timeouts of platforms.
const BOUNDS: [f64; 6] = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_once_under_their_status_and_in_the_buckets_at_and_above_their_time() {
        let mut exchanges = Exchanges::default();
        let metrics = Metrics::register(&mut exchanges);
        let connected = metrics.connected();
        metrics.answered(StatusCode::OK, Duration::from_millis(10));
        metrics.answered(StatusCode::IM_A_TEAPOT, Duration::from_secs(1000));
        let text = exchanges.text();
        for line in [
            "attache_connections_total 1",
            "attache_connections_open 1",
            "attache_requests_total{status=\"200\"} 1",
            "attache_requests_total{status=\"418\"} 1",
            "attache_request_seconds_bucket{le=\"0.001\"} 0",
            "attache_request_seconds_bucket{le=\"0.01\"} 1",
            "attache_request_seconds_bucket{le=\"100\"} 1",
            "attache_request_seconds_bucket{le=\"+Inf\"} 2",
            "attache_request_seconds_sum 1000.01",
            "attache_request_seconds_count 2",
        ] {
            assert!(text.lines().any(|printed| printed == line), "{line}\n{text}");
        }
        drop(connected);
        assert!(exchanges.text().contains("attache_connections_open 0\n"));
    }
}
