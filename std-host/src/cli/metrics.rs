//! Figures for Prometheus (text exposition format 0.0.4), on a listener of their own. Every label has a fixed set of values, so no
//! client can make a series.

use attache_host::observe::Metrics as Exchanges;
use axum::Router;
use axum::routing::get;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use http::StatusCode;
use std::sync::Arc;

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    connections: AtomicU64,
    connections_ended: AtomicU64,
    requests: [AtomicU64; STATUSES.len() + 1],
    /// Requests that took no longer than the bound of the same place; the last took longer than all.
    durations: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

/// The statuses that have a series each; all others are one.
const STATUSES: [u16; 14] = [200, 202, 400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 503];

/// Bounds of durations: what is instant, what a person notices, and what platforms cut.
const BOUNDS: [(&str, Duration); 6] = [
    ("0.001", Duration::from_millis(1)),
    ("0.01", Duration::from_millis(10)),
    ("0.1", Duration::from_millis(100)),
    ("1", Duration::from_secs(1)),
    ("10", Duration::from_secs(10)),
    ("100", Duration::from_secs(100)),
];

/// A connection that is counted as open until this is dropped.
#[derive(Debug)]
pub(super) struct Connected(Arc<Metrics>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections_ended.fetch_add(1, Relaxed);
    }
}

impl Metrics {
    pub(super) fn connected(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Relaxed);
        Connected(Arc::clone(self))
    }

    /// A request was answered, whole or as far as its peer wanted.
    pub(super) fn answered(&self, status: StatusCode, time: Duration) {
        let place = STATUSES.iter().position(|known| *known == status.as_u16()).unwrap_or(STATUSES.len());
        let bucket = BOUNDS.iter().position(|(_, bound)| time <= *bound).unwrap_or(BOUNDS.len());
        for count in [self.requests.get(place), self.durations.get(bucket)].into_iter().flatten() {
            count.fetch_add(1, Relaxed);
        }
        self.microseconds.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// `/metrics`: these figures, and those of `exchanges`.
    pub(super) fn routes(self: &Arc<Self>, exchanges: Arc<Exchanges>) -> Router {
        let metrics = Arc::clone(self);
        let text = move || metrics.text() + &exchanges.text();
        let answer = move || async move { ([("content-type", "text/plain; version=0.0.4")], text()) };
        Router::new().route("/metrics", get(answer))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let [begun, ended] = [&self.connections, &self.connections_ended].map(|count| count.load(Relaxed));
        let _ = write!(
            text,
            "# HELP attache_connections_total Connections that were accepted.\n\
             # TYPE attache_connections_total counter\n\
             attache_connections_total {begun}\n\
             # HELP attache_connections_open Connections that are open.\n\
             # TYPE attache_connections_open gauge\n\
             attache_connections_open {}\n\
             # HELP attache_requests_total Requests that were answered, by status.\n\
             # TYPE attache_requests_total counter\n",
            begun.saturating_sub(ended)
        );
        let names = STATUSES.iter().map(ToString::to_string).chain(["other".to_owned()]);
        for (status, count) in names.zip(&self.requests) {
            let _ = writeln!(text, "attache_requests_total{{status=\"{status}\"}} {}", count.load(Relaxed));
        }
        text.push_str("# HELP attache_request_seconds How long requests took, streams to their end.\n");
        text.push_str("# TYPE attache_request_seconds histogram\n");
        let mut all = 0;
        let bounds = BOUNDS.iter().map(|(bound, _)| *bound).chain(["+Inf"]);
        for (bound, count) in bounds.zip(&self.durations) {
            all += count.load(Relaxed);
            let _ = writeln!(text, "attache_request_seconds_bucket{{le=\"{bound}\"}} {all}");
        }
        let micros = self.microseconds.load(Relaxed);
        let _ = writeln!(
            text,
            "attache_request_seconds_sum {}.{:06}\nattache_request_seconds_count {all}",
            micros / 1_000_000,
            micros % 1_000_000
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_once_under_their_status_and_in_the_buckets_at_and_above_their_time() {
        let metrics = Arc::new(Metrics::default());
        let connected = metrics.connected();
        metrics.answered(StatusCode::OK, Duration::from_millis(10));
        metrics.answered(StatusCode::IM_A_TEAPOT, Duration::from_secs(1000));
        let text = metrics.text();
        for line in [
            "attache_connections_open 1",
            "attache_requests_total{status=\"200\"} 1",
            "attache_requests_total{status=\"other\"} 1",
            "attache_requests_total{status=\"404\"} 0",
            "attache_request_seconds_bucket{le=\"0.001\"} 0",
            "attache_request_seconds_bucket{le=\"0.01\"} 1",
            "attache_request_seconds_bucket{le=\"100\"} 1",
            "attache_request_seconds_bucket{le=\"+Inf\"} 2",
            "attache_request_seconds_sum 1000.010000",
            "attache_request_seconds_count 2",
        ] {
            assert!(text.lines().any(|printed| printed == line), "{line}\n{text}");
        }
        drop(connected);
        assert!(metrics.text().contains("attache_connections_open 0\n"));
    }
}
