//! Observability for the operator: observers of exchanges, and the listeners for metrics and the
//! status page.

use super::backends::Ends;
use super::config::Config;
use super::listen;
use super::log::Log;
use super::problem::Problem;
use super::status::{Recent, Shown, Status};
use super::traces::Traces;
use attache_host::observe::{self, Observe};
use attache_host::serve::{Listener, Metrics, not_found, serve};
use attache_host::{Budget, Limits, ServerBuilder};
use axum::Router;
use axum::routing::get;
use core::net::SocketAddr;
use std::sync::Arc;

/// The observers of exchanges and the data that they collect.
pub(super) struct Observability {
    observers: Vec<Arc<dyn Observe>>,
    /// Counters of connections and requests.
    pub(super) metrics: Arc<Metrics>,
    /// A counter of the ends of connections to backends.
    pub(super) ends: Ends,
    figures: Option<(SocketAddr, Arc<observe::Metrics>)>,
    recent: Option<(SocketAddr, Arc<Recent>)>,
    budget: Budget,
    /// Dropped last, because it sends the remaining spans.
    _traces: Option<Traces>,
}

impl Observability {
    /// Creates the observers that the configuration asks for. Must not be called from a task, see
    /// [`Traces::start`].
    pub(super) fn new(config: &Config, log: &Log, budget: &Budget) -> Result<Self, Problem> {
        let traces = config.traces.as_deref().map(Traces::start).transpose().map_err(Problem::Config)?;
        let mut exchanges = observe::Metrics::default();
        let metrics = Arc::new(Metrics::register(&mut exchanges));
        let dropped = "Log lines that were dropped because standard error was read too slowly";
        exchanges.registry().register("log_lines_dropped", dropped, log.dropped.clone());
        let ends = Ends::default();
        exchanges.registry().register(
            "backend_ends",
            "Connections to backends that have ended, by the reason",
            ends.0.clone(),
        );
        let figures = config.metrics.map(|at| (at, Arc::new(exchanges)));
        let recent = config.status.map(|at| (at, Arc::<Recent>::default()));
        let mut observers = Vec::<Arc<dyn Observe>>::new();
        if config.log_exchanges {
            observers.push(Arc::new(observe::ExchangeLog));
        }
        if let Some(audit) = config.audit {
            observers.push(Arc::new(audit));
        }
        if let Some((_, figures)) = &figures {
            observers.push(figures.clone());
        }
        if let Some((_, recent)) = &recent {
            observers.push(recent.clone());
        }
        if let Some(traces) = &traces {
            observers.push(traces.observer());
        }
        Ok(Self { observers, metrics, ends, figures, recent, budget: budget.clone(), _traces: traces })
    }

    /// Adds these observers to a server.
    pub(super) fn watch(&self, server: ServerBuilder) -> ServerBuilder {
        self.observers.iter().cloned().fold(server, ServerBuilder::observe)
    }

    /// Opens the listener for Prometheus, if one is configured. It serves `health` as well.
    pub(super) async fn figures(&self, limits: &Arc<Limits>, health: Router) -> Result<(), Problem> {
        if let Some((at, figures)) = &self.figures {
            let routes = metrics(Arc::clone(figures)).merge(health);
            serve_operator(listen::at(*at).await?, routes, limits, &self.budget);
        }
        Ok(())
    }

    /// Opens the listener of the status page, if one is configured, and returns its address. The
    /// page calls `endpoints`.
    pub(super) async fn status(
        &self,
        limits: &Arc<Limits>,
        config: &Config,
        endpoints: &Router,
    ) -> Result<Option<SocketAddr>, Problem> {
        let Some((at, recent)) = &self.recent else {
            return Ok(None);
        };
        let listener = listen::at(*at).await?;
        let address = listener.address();
        let servers = config.servers.iter().map(Shown::of).collect();
        let status = Status { recent: Arc::clone(recent), servers, endpoints: endpoints.clone() };
        serve_operator(listener, status.routes(), limits, &self.budget);
        Ok(address)
    }
}

/// Serves routes for operators, which are not part of the servers: their requests are not counted.
fn serve_operator(listener: Listener, routes: Router, limits: &Arc<Limits>, budget: &Budget) {
    let serving = serve(listener, routes.fallback(not_found)).limits(Arc::clone(limits)).budget(budget.clone());
    tokio::spawn(serving.into_future());
}

/// Returns the route `/metrics`.
fn metrics(exchanges: Arc<observe::Metrics>) -> Router {
    let answer = move || async move { ([("content-type", observe::Metrics::CONTENT_TYPE)], exchanges.text()) };
    Router::new().route("/metrics", get(answer))
}
