//! The start and the end of the backends of all servers, and what they mean for readiness and metrics.

use super::children::supervision;
use super::config::{Config, Made};
use super::fault::{Fault, Faults};
use super::print::complain;
use super::reload::Reloaded;
use attache_host::backend::{Backends, Kind, Publisher};
use attache_host::client::Error;
use attache_host::serve::Ready;
use core::time::Duration;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::time::{Instant, timeout_at};

/// The time that the start waits for backends. Package runners may take longer; clients are
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

/// Starts the backends of each server, and waits shortly for them to connect, so that a client that
/// lists tools at once finds them. From then on, `ready` reports a server whose backends are all down.
///
/// # Errors
/// If files of a backend cannot be used, or if backends that are connected offer the same name.
pub(super) async fn connect(
    config: &Config,
    servers: &[Backends],
    ends: &Ends,
    ready: &Ready,
) -> Result<Vec<Reloaded>, Fault> {
    let supervision = supervision(config);
    let (mut faults, mut started, mut reloaded) = (Faults::default(), Vec::new(), Vec::new());
    let bridged = config.servers.iter().zip(servers).filter(|(endpoint, _)| endpoint.proxy.is_none());
    for (endpoint, backends) in bridged {
        let (mut made, mut publishers) = (Vec::new(), Vec::new());
        for backend in &endpoint.backends {
            let (name, ends) = (backend.name.clone(), ends.clone());
            match backend.make(&supervision, move |error| ends.count(&name, error)) {
                Ok(one) => {
                    let policy = config.policy_of(endpoint, backend);
                    let publisher = backends.add_with_policy(&backend.prefix, one.backend(), policy);
                    publishers.push((backend.name.clone(), publisher.clone()));
                    made.push(one.clone());
                    started.push((backend, one, publisher));
                }
                Err(what) => faults.add(backend.fault(&what)),
            }
        }
        let path = endpoint.path.clone();
        reloaded.push(Reloaded { path: path.clone(), backends: backends.clone(), publishers });
        ready.require(move || is_down(&made).then(|| format!("no backend of {path} is connected")));
    }
    let until = Instant::now() + CONNECT_TIME;
    for (backend, made, publisher) in &started {
        if timeout_at(until, made.connected()).await.is_err() {
            tracing::warn!(backend = backend.name, "a backend is not connected yet");
            continue;
        }
        for pattern in publisher.unmatched_patterns() {
            tracing::warn!(backend = backend.name, pattern, "a pattern of the policy matches no entry of the backend");
        }
    }
    for (backend, _, publisher) in &started {
        clashes(publisher, |what| backend.fault(what), &mut faults);
    }
    faults.end().map(|()| reloaded)
}

/// Whether there are backends, and all of them are down.
fn is_down(made: &[Made]) -> bool {
    !made.is_empty() && !made.iter().any(Made::is_connected)
}

/// Collects the tools and prompts of a backend whose names are taken, and reports such resources.
fn clashes(publisher: &Publisher, fault: impl Fn(&str) -> Fault, faults: &mut Faults) {
    for hidden in publisher.hidden() {
        match hidden.kind() {
            Kind::Tool | Kind::Prompt => faults.add(fault(&format!("{hidden}: set a prefix"))),
            // URIs have no prefix.
            Kind::Resource | Kind::Template => complain(&format!(
                "warning: {}: clients get it from the server or backend that is named first",
                fault(&hidden.to_string())
            )),
        }
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
