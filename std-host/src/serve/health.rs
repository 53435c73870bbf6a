//! Whether the server lives and is ready.

use axum::Router;
use axum::routing::get;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use http::StatusCode;
use std::sync::{Arc, PoisonError, RwLock};

/// Whether the server takes new requests: routes for the probes of load balancers and container runtimes. Clones share the state.
#[derive(Clone, Default)]
pub struct Ready {
    stopping: Arc<AtomicBool>,
    needs: Arc<RwLock<Vec<Need>>>,
}

/// Returns the reason why the server is not ready.
type Need = Box<dyn Fn() -> Option<String> + Send + Sync>;

impl Ready {
    /// Makes `/readyz` report from here on that the server is stopping.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Adds a condition: `/readyz` reports the reason for as long as `need` returns one.
    pub fn require(&self, need: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.needs.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(need));
    }

    /// Returns the reason why the server is not ready.
    fn missing(&self) -> Option<String> {
        if self.stopping.load(Ordering::SeqCst) {
            return Some("stopping".to_owned());
        }
        self.needs.read().unwrap_or_else(PoisonError::into_inner).iter().find_map(|need| need())
    }

    /// Returns routes: `/healthz` answers 200 as long as the program lives, `/readyz` 503 and a reason while the server is not ready.
    pub fn routes(&self) -> Router {
        let ready = self.clone();
        Router::new().route("/healthz", get(|| async { "ok\n" })).route(
            "/readyz",
            get(move || async move {
                match ready.missing() {
                    None => (StatusCode::OK, "ready\n".to_owned()),
                    Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
                }
            }),
        )
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("stopping", &self.stopping).finish_non_exhaustive()
    }
}
