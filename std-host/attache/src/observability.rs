//! Observability for the operator: observers of exchanges, and the listeners for metrics and the
//! status page.

use super::backends::Fleet;
use super::config::Config;
use super::last_reload::LastReload;
use super::listen;
use super::log::Log;
use super::problem::Problem;
use super::secret_filter::SecretFilter;
use super::status::{Recent, Shown, Status};
use super::traces::Traces;
use attache_host::bridge::{BridgeState, BridgeStatus};
use attache_host::observe::{self, Observe};
use attache_host::serve::{Listener, Metrics, not_found, serve};
use attache_host::{Budget, Limits, ServerBuilder};
use axum::Router;
use axum::routing::get;
use core::net::SocketAddr;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The observers of exchanges and the data that they collect.
pub(super) struct Observability {
    observers: Vec<Arc<dyn Observe>>,
    /// Counters of connections and requests.
    pub(super) metrics: Arc<Metrics>,
    /// The backends of all servers.
    pub(super) fleet: Fleet,
    /// The outcome of the last reload.
    pub(super) last_reload: LastReload,
    /// Hides secrets on the status page.
    pub(super) filter: SecretFilter,
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
        let (fleet, last_reload, filter) = (Fleet::default(), LastReload::default(), SecretFilter::default());
        filter.learn(config);
        let registry = exchanges.registry();
        let ended = "Connections to backends that have ended, by the reason";
        registry.register("backend_ends", ended, fleet.ends.0.clone());
        registry.register_collector(Box::new(BackendStates(fleet.clone())));
        let is_good = "Whether the last reload of the configuration has succeeded, or there was none";
        registry.register("config_last_reload_successful", is_good, last_reload.is_good.clone());
        let figures = config.metrics.map(|at| (at, Arc::new(exchanges)));
        let recent = config.status.map(|at| (at, Arc::new(Recent::new(config.status_messages))));
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
        let budget = budget.clone();
        Ok(Self { observers, metrics, fleet, last_reload, filter, figures, recent, budget, _traces: traces })
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
        let status = Status {
            recent: Arc::clone(recent),
            servers: config.servers.iter().map(Shown::of).collect(),
            endpoints: endpoints.clone(),
            fleet: self.fleet.clone(),
            last_reload: self.last_reload.clone(),
            filter: self.filter.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        serve_operator(listener, status.routes(), limits, &self.budget);
        Ok(address)
    }
}

/// Serves routes for operators, which are not part of the servers: their requests are not counted.
fn serve_operator(listener: Listener, routes: Router, limits: &Arc<Limits>, budget: &Budget) {
    let serving = serve(listener, routes.fallback(not_found)).limits(Arc::clone(limits)).budget(budget.clone());
    tokio::spawn(serving.into_future());
}

/// The states of backends as metrics, which are read when they are asked for.
#[derive(Debug)]
struct BackendStates(Fleet);

/// A value of each backend.
type OfBackend = (&'static str, &'static str, MetricType, fn(&BridgeStatus) -> u64);

impl Collector for BackendStates {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> core::fmt::Result {
        let is_up = |status: &BridgeStatus| u64::from(status.state != BridgeState::Down);
        let restarts = |status: &BridgeStatus| status.restarts;
        let sessions = |status: &BridgeStatus| status.sessions as u64;
        let families: [OfBackend; 3] = [
            ("backend_up", "Whether calls of a backend can be made", MetricType::Gauge, is_up),
            ("backend_restarts", "Connections to a backend that replaced a failed one", MetricType::Counter, restarts),
            ("backend_sessions", "Connections to a backend in addition to the first one", MetricType::Gauge, sessions),
        ];
        let all = self.statuses();
        for (name, help, kind, value) in families.into_iter().filter(|_| !all.is_empty()) {
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for ((server, backend), status) in &all {
                let labels = [("server", server.as_str()), ("backend", backend.as_str())];
                let mut sample = family.encode_family(&labels)?;
                match kind {
                    MetricType::Counter => sample.encode_counter::<NoLabelSet, u64, f64>(&value(status), None)?,
                    _ => sample.encode_gauge(&value(status).cast_signed())?,
                }
            }
        }
        Ok(())
    }
}

impl BackendStates {
    /// The status of each bridge, by the names of server and backend. Of servers with the same name, the first
    /// counts, because a series may occur once.
    fn statuses(&self) -> BTreeMap<(String, String), BridgeStatus> {
        let mut all = BTreeMap::new();
        for group in self.0.groups() {
            for started in group.backends {
                let name = (group.server.clone(), started.config.name.clone());
                if let Some(status) = started.status() {
                    all.entry(name).or_insert(status);
                }
            }
        }
        all
    }
}

/// Returns the route `/metrics`.
fn metrics(exchanges: Arc<observe::Metrics>) -> Router {
    let answer = move || async move { ([("content-type", observe::Metrics::CONTENT_TYPE)], exchanges.text()) };
    Router::new().route("/metrics", get(answer))
}
