//! What an operator sees of the servers: observers of their exchanges, and the listeners for metrics and the status page.

use super::config::Config;
use super::connections::Connections;
use super::listen::{self, Serving};
use super::listener::Listener;
use super::log::Log;
use super::metrics::{self, Metrics};
use super::problem::Problem;
use super::status::{Recent, Shown, Status};
use super::traces::Traces;
use attache_host::observe::{self, Observe};
use attache_host::{Budget, Limits, Server};
use axum::Router;
use core::net::SocketAddr;
use std::sync::Arc;

/// Observers of exchanges.
pub(super) struct Seeing {
    observers: Vec<Arc<dyn Observe>>,
    /// Counters of connections and requests.
    pub(super) metrics: Arc<Metrics>,
    figures: Option<(SocketAddr, Arc<observe::Metrics>)>,
    recent: Option<(SocketAddr, Arc<Recent>)>,
    budget: Budget,
    /// Dropped last, because it sends the remaining spans.
    _traces: Option<Traces>,
}

impl Seeing {
    /// The observers that the configuration asks for. It must not be called from a task, see [`Traces::start`].
    pub(super) fn new(config: &Config, log: &Log, budget: &Budget) -> Result<Self, Problem> {
        let traces = config.traces.as_deref().map(Traces::start).transpose().map_err(Problem::Config)?;
        let mut exchanges = observe::Metrics::default();
        let metrics = Arc::new(Metrics::beside(&mut exchanges, &log.dropped));
        let figures = config.metrics.map(|at| (at, Arc::new(exchanges)));
        let recent = config.status.map(|at| (at, Arc::<Recent>::default()));
        let mut observers = Vec::<Arc<dyn Observe>>::new();
        if config.log_exchanges {
            observers.push(Arc::new(observe::ExchangeLog));
        }
        if let Some((_, figures)) = &figures {
            observers.push(figures.clone());
        }
        if let Some((_, recent)) = &recent {
            observers.push(recent.clone());
        }
        if let Some(traces) = &traces {
            observers.push(Arc::new(traces.observer()));
        }
        Ok(Self { observers, metrics, figures, recent, budget: budget.clone(), _traces: traces })
    }

    /// The server, with these observers.
    pub(super) fn watch(&self, server: Server) -> Server {
        self.observers.iter().cloned().fold(server, Server::observe)
    }

    /// Opens the listener for Prometheus, if one is configured. It serves `health` as well.
    pub(super) async fn figures(&self, limits: &Arc<Limits>, health: Router) -> Result<(), Problem> {
        if let Some((at, figures)) = &self.figures {
            let routes = metrics::routes(Arc::clone(figures)).merge(health);
            serve(Listener::address_of_its_own(*at).await?, routes, limits, &self.budget);
        }
        Ok(())
    }

    /// Opens the listener of the status page, if one is configured, and gives its address. The page calls `endpoints`.
    pub(super) async fn status(
        &self,
        limits: &Arc<Limits>,
        config: &Config,
        endpoints: &Router,
    ) -> Result<Option<SocketAddr>, Problem> {
        let Some((at, recent)) = &self.recent else {
            return Ok(None);
        };
        let listener = Listener::address_of_its_own(*at).await?;
        let address = listener.address();
        let servers = config.servers.iter().map(Shown::of).collect();
        let status = Status { recent: Arc::clone(recent), servers, endpoints: endpoints.clone() };
        serve(listener, status.routes(), limits, &self.budget);
        Ok(address)
    }
}

/// Serves routes that are not part of the servers: their requests are not counted.
fn serve(listener: Listener, routes: Router, limits: &Arc<Limits>, budget: &Budget) {
    let (router, limits) = (routes.fallback(listen::not_found), Arc::clone(limits));
    let serving = Serving {
        router,
        tls: None,
        metrics: Arc::default(),
        proxies: Arc::default(),
        budget: budget.clone(),
        connections: Connections::new(&limits),
        limits,
    };
    tokio::spawn(Arc::new(serving).aside(listener));
}
