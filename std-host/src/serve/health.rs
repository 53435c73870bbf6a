//! Whether the server lives and is ready.

use axum::Router;
use axum::routing::get;
use core::sync::atomic::{AtomicBool, Ordering};
use http::StatusCode;
use std::sync::Arc;

/// Whether the server takes new requests: routes for the probes of load balancers and container runtimes. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    stopping: Arc<AtomicBool>,
}

impl Ready {
    /// Makes `/readyz` report from here on that the server is stopping.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Returns routes: `/healthz` answers 200 as long as the program lives, `/readyz` 503 and a reason once it is stopping.
    pub fn routes(&self) -> Router {
        let ready = self.clone();
        Router::new().route("/healthz", get(|| async { "ok\n" })).route(
            "/readyz",
            get(move || async move {
                match ready.stopping.load(Ordering::SeqCst) {
                    false => (StatusCode::OK, "ready\n"),
                    true => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
                }
            }),
        )
    }
}
