//! The backends of all servers: their start and end, and what readiness, metrics and the status page
//! show of them.

mod change;

use super::children::supervision;
use super::config::{Backend, Config, Made, ServerConfig};
use super::fault::{Fault, Faults};
use super::print::complain;
use attache_host::NameTaken;
use attache_host::backend::{Backends, Kind, Publisher};
use attache_host::bridge::BridgeStatus;
use attache_host::children::Supervision;
use attache_host::client::Error;
use change::Change;
pub(super) use change::Changed;
use core::time::Duration;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Instant, timeout_at};

/// The time that the start and a reload wait for backends. Package runners may take longer; clients are
/// notified of tools that appear later.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Counts the ends of connections to backends, by backend and reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(pub(super) Family<Vec<(&'static str, String)>, Counter>);

impl Ends {
    fn count(&self, backend: &str, error: &Error) {
        let reason = match error {
            // The number of exit codes and signals is small. The text behind them names a limit and
            // a measurement.
            Error::Exited(exit) => exit.status.split(": killed").next().unwrap_or_default(),
            Error::Spawn { .. } => "not started",
            _ => "lost",
        };
        self.0.get_or_create(&vec![("backend", backend.to_owned()), ("reason", reason.to_owned())]).inc();
    }
}

/// The backends of all servers. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Fleet {
    groups: Arc<Mutex<Vec<Group>>>,
    pub(super) ends: Ends,
}

/// The backends of one server.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The path of the server.
    pub(super) path: String,
    /// The name of the server, as observers know it.
    pub(super) server: String,
    handle: Backends,
    pub(super) backends: Vec<Started>,
}

/// A backend that was started.
#[derive(Clone, Debug)]
pub(super) struct Started {
    pub(super) config: Backend,
    pub(super) made: Made,
    pub(super) publisher: Publisher,
}

impl Started {
    /// The status of the connection to another server. `None` for a directory, which needs none.
    pub(super) fn status(&self) -> Option<BridgeStatus> {
        match &self.made {
            Made::Bridge(bridge) => bridge.status(),
            Made::Files(_) => None,
        }
    }

    fn is_down(&self) -> bool {
        !self.made.is_connected()
    }
}

impl Fleet {
    /// Starts the backends of each server, and waits shortly for them to connect, so that a client that
    /// lists tools at once finds them. `servers` are in the order of the configuration.
    ///
    /// # Errors
    /// If files of a backend cannot be used, or if backends that are connected offer the same name.
    pub(super) async fn start(&self, config: &Config, servers: &[Backends]) -> Result<(), Fault> {
        let supervision = supervision(config);
        let mut faults = Faults::default();
        let bridged = config.servers.iter().zip(servers).filter(|(endpoint, _)| endpoint.proxy.is_none());
        for (endpoint, handle) in bridged {
            let mut backends = Vec::new();
            for backend in &endpoint.backends {
                let made = faults.or_none(self.make(backend, &supervision));
                backends.extend(made.map(|made| {
                    let policy = config.policy_of(endpoint, backend);
                    let publisher = handle.add_with_policy(&backend.prefix, made.backend(), policy);
                    publisher.set_name(&backend.name);
                    Started { config: backend.clone(), made, publisher }
                }));
            }
            let (path, server) = (endpoint.path.clone(), endpoint.name.clone());
            self.lock().push(Group { path, server, handle: handle.clone(), backends });
        }
        let started: Vec<_> = self.groups().into_iter().flat_map(|group| group.backends).collect();
        connected(&started).await;
        started.iter().for_each(|one| clashes(one, one.publisher.hidden(), &mut faults));
        faults.end()
    }

    /// The backends of each server, in the order of the configuration.
    pub(super) fn groups(&self) -> Vec<Group> {
        self.lock().clone()
    }

    /// Returns the reason why the program is not ready: a server whose backends are all down, and their names.
    pub(super) fn unready(&self) -> Option<String> {
        self.lock().iter().find_map(|Group { path, backends, .. }| {
            let names: Vec<_> = backends.iter().map(|started| started.config.name.as_str()).collect();
            let are_down = !backends.is_empty() && backends.iter().all(Started::is_down);
            are_down.then(|| format!("no backend of {path} is connected: {} down", names.join(", ")))
        })
    }

    /// Changes the backends and the policies to those of a new configuration. Backends that are new or have
    /// changed are started first. Then each server changes to its new backends and policies at once, and the
    /// old ones are stopped when their last call has ended.
    ///
    /// # Errors
    /// If a new backend cannot be used, or offers a name that another one has. Nothing has changed then.
    pub(super) async fn change(&self, config: &Config) -> Result<Changed, Fault> {
        let supervision = supervision(config);
        let mut faults = Faults::default();
        let changes: Vec<_> =
            self.groups().into_iter().filter_map(|old| self.staged(old, config, &supervision, &mut faults)).collect();
        let fresh: Vec<_> = changes.iter().flat_map(|change| change.fresh.iter().cloned()).collect();
        if faults.is_empty() {
            connected(&fresh).await;
            changes.iter().for_each(|change| change.check(&mut faults));
        }
        if let Err(fault) = faults.end() {
            for Change { old, fresh, .. } in changes {
                stop_later(&old.handle, fresh, Duration::ZERO);
            }
            return Err(fault);
        }
        let mut changed = Changed::default();
        for change in changes {
            changed.add(&change);
            change.old.handle.update(&change.update());
            change.now.iter().for_each(|(started, _)| warn_of_unmatched_patterns(started));
            stop_later(&change.old.handle, change.removed, config.limits.call_time);
            if let Some(group) = self.lock().iter_mut().find(|group| group.path == change.old.path) {
                group.backends = change.now.into_iter().map(|(started, _)| started).collect();
            }
        }
        Ok(changed)
    }

    /// Starts the backends of a server that are new or have changed. Callers do not see them yet. `None` if the
    /// new configuration does not have the server.
    fn staged(&self, old: Group, config: &Config, supervision: &Supervision, faults: &mut Faults) -> Option<Change> {
        let endpoint = config.servers.iter().find(|endpoint| endpoint.path == old.path)?;
        let (mut now, mut fresh) = (Vec::new(), Vec::new());
        for backend in &endpoint.backends {
            let policy = config.policy_of(endpoint, backend);
            if let Some(kept) = old.backends.iter().find(|started| started.config.is_same(backend)) {
                now.push((Started { config: backend.clone(), ..kept.clone() }, policy));
                continue;
            }
            let Some(made) = faults.or_none(self.make(backend, supervision)) else { continue };
            let publisher = old.handle.stage(&backend.prefix, made.backend());
            publisher.set_name(&backend.name);
            let started = Started { config: backend.clone(), made, publisher };
            fresh.push(started.clone());
            now.push((started, policy));
        }
        let is_kept = |started: &&Started| endpoint.backends.iter().any(|backend| started.config.is_same(backend));
        let removed = old.backends.iter().filter(|started| !is_kept(started)).cloned().collect();
        Some(Change { server: endpoint.policy(), old, now, fresh, removed })
    }

    fn make(&self, backend: &Backend, supervision: &Supervision) -> Result<Made, Fault> {
        let (name, ends) = (backend.name.clone(), self.ends.clone());
        backend.make(supervision, move |error| ends.count(&name, error)).map_err(|what| backend.fault(&what))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits shortly for backends to connect, and warns of those that do not.
async fn connected(started: &[Started]) {
    let until = Instant::now() + CONNECT_TIME;
    for one in started {
        match timeout_at(until, one.made.connected()).await {
            Ok(()) => warn_of_unmatched_patterns(one),
            Err(_) => tracing::warn!(backend = one.config.name, "a backend is not connected yet"),
        }
    }
}

/// Warns of the patterns of a connected backend that match none of its entries.
fn warn_of_unmatched_patterns(started: &Started) {
    if started.is_down() {
        return;
    }
    for pattern in started.publisher.unmatched_patterns() {
        let backend = &started.config.name;
        tracing::warn!(backend, pattern, "a pattern of the policy matches no entry of the backend");
    }
}

/// Collects the tools and prompts of a backend whose names are taken, and reports such resources.
fn clashes(started: &Started, taken: Vec<NameTaken>, faults: &mut Faults) {
    for hidden in taken {
        match hidden.kind() {
            Kind::Tool | Kind::Prompt => faults.add(started.config.fault(&format!("{hidden}: set a prefix"))),
            // URIs have no prefix.
            Kind::Resource | Kind::Template => complain(&format!(
                "warning: {}: clients get it from the server or backend that is named first",
                started.config.fault(&hidden.to_string())
            )),
        }
    }
}

/// Stops backends when their last call has ended, or after `grace`.
fn stop_later(handle: &Backends, backends: Vec<Started>, grace: Duration) {
    for started in backends {
        let handle = handle.clone();
        tokio::spawn(async move { handle.remove_within(&started.publisher, grace).await });
    }
}

/// Stops all backends at once, and waits until child processes have ended.
pub(super) async fn disconnect(servers: Vec<Backends>) {
    let stops: Vec<_> =
        servers.into_iter().map(|backends| tokio::spawn(async move { backends.stop().await })).collect();
    for stop in stops {
        // An error means that a backend has panicked.
        let _ = stop.await;
    }
}

/// Returns the server of a configuration that has this path.
pub(super) fn server_at<'c>(config: &'c Config, path: &str) -> Option<&'c ServerConfig> {
    config.servers.iter().find(|server| server.path == path)
}
