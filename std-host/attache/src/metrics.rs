//! Figures of the program, beside those of the exchanges of its servers, for Prometheus on a listener of their own. No client can
//! make a series: the only label here is the status that this server has answered with.

use attache_host::observe::Metrics as Exchanges;
use axum::Router;
use axum::routing::get;
use core::time::Duration;
use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::sync::Arc;

/// What is counted.
#[derive(Debug)]
pub(super) struct Metrics {
    connections: Counter,
    open: Gauge,
    requests: Family<Answered, Counter>,
    seconds: Histogram,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Answered {
    status: u16,
}

/// A connection that is counted as open until this is dropped.
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
    /// Figures that are printed with those of `exchanges`, and so are the lines of the log that were dropped.
    pub(super) fn beside(exchanges: &mut Exchanges, lines_dropped: &Counter) -> Self {
        let metrics = Self::default();
        let registry = exchanges.registry();
        registry.register("connections", "Connections that were accepted", metrics.connections.clone());
        registry.register("connections_open", "Connections that are open", metrics.open.clone());
        registry.register("requests", "HTTP requests that were answered, by status", metrics.requests.clone());
        let seconds = "Duration of HTTP requests, of streams to their end";
        registry.register("request_seconds", seconds, metrics.seconds.clone());
        let dropped = "Log lines that were dropped because standard error was read too slowly";
        registry.register("log_lines_dropped", dropped, lines_dropped.clone());
        metrics
    }

    pub(super) fn connected(&self) -> Connected {
        self.connections.inc();
        self.open.inc();
        Connected(self.open.clone())
    }

    /// A request was answered, whole or as far as its peer wanted.
    pub(super) fn answered(&self, status: StatusCode, time: Duration) {
        self.requests.get_or_create(&Answered { status: status.as_u16() }).inc();
        self.seconds.observe(time.as_secs_f64());
    }
}

/// `/metrics`: all figures.
pub(super) fn routes(exchanges: Arc<Exchanges>) -> Router {
    let answer = move || async move { ([("content-type", Exchanges::CONTENT_TYPE)], exchanges.text()) };
    Router::new().route("/metrics", get(answer))
}

/// Bounds of durations, in seconds: what is instant, what a person notices, and what platforms cut.
const BOUNDS: [f64; 6] = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_once_under_their_status_and_in_the_buckets_at_and_above_their_time() {
        let (mut exchanges, dropped) = (Exchanges::default(), Counter::default());
        let metrics = Metrics::beside(&mut exchanges, &dropped);
        let connected = metrics.connected();
        metrics.answered(StatusCode::OK, Duration::from_millis(10));
        metrics.answered(StatusCode::IM_A_TEAPOT, Duration::from_secs(1000));
        dropped.inc_by(7);
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
            "attache_log_lines_dropped_total 7",
        ] {
            assert!(text.lines().any(|printed| printed == line), "{line}\n{text}");
        }
        drop(connected);
        assert!(exchanges.text().contains("attache_connections_open 0\n"));
    }
}
