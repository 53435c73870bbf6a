//! Connects each backend once, and reads what it offers: for `attache pin` and
//! `attache check --start`.

use super::children::supervision;
use super::config::{BackendId, Config, Definitions, word};
use attache_host::Server;
use attache_host::backend::{Backends, HiddenEntry};
use attache_host::client::Version;
use core::fmt;
use core::time::Duration;

/// The offers of a backend.
pub(super) struct Surveyed {
    pub(super) id: BackendId,
    /// The offers, or the reason why the backend could not be connected.
    pub(super) offered: Result<Offered, String>,
}

pub(super) struct Offered {
    /// The protocol revision that is spoken with the backend.
    pub(super) revision: Option<Version>,
    /// All entries, also those that a policy hides.
    pub(super) definitions: Definitions,
    pub(super) hidden: Vec<HiddenEntry>,
    pub(super) unmatched_patterns: Vec<String>,
}

/// The time in which a backend must be connected. Package runners download a server first.
const CONNECT_TIME: Duration = Duration::from_secs(60);

/// Connects all backends at once, and reads their lists.
pub(super) async fn survey(config: &Config) -> Vec<Surveyed> {
    let supervision = supervision(config);
    let (mut running, mut surveyed) = (Vec::new(), Vec::new());
    let mut servers: Vec<Backends> = Vec::new();
    for endpoint in config.servers.iter().filter(|endpoint| endpoint.proxy.is_none()) {
        // The backends publish to a server that has no callers.
        let backends = Server::new("survey", env!("CARGO_PKG_VERSION")).policy(endpoint.policy()).backends();
        for backend in &endpoint.backends {
            let id = (endpoint.path().to_owned(), backend.name.clone());
            match backend.make(&supervision, |_| ()) {
                Ok(made) => {
                    let policy = config.policy_of(endpoint, backend);
                    let publisher = backends.add_with_policy(&backend.prefix, made.backend(), policy);
                    running.push((id, made, publisher));
                }
                Err(reason) => surveyed.push(Surveyed { id, offered: Err(reason) }),
            }
        }
        servers.push(backends);
    }
    let until = tokio::time::Instant::now() + CONNECT_TIME;
    for (id, made, publisher) in running {
        let tried = match tokio::time::timeout_at(until, made.tried()).await {
            Ok(tried) => tried.map_err(|error| error.map_or_else(String::new, |error| error.to_string())),
            Err(_) => Err(format!("it has not answered within {} s", CONNECT_TIME.as_secs())),
        };
        let offered = tried.map(|()| Offered {
            revision: made.revision(),
            definitions: publisher
                .definitions()
                .into_iter()
                .map(|(kind, key, digest)| ((word(kind), key), digest))
                .collect(),
            hidden: publisher.hidden_by_policy(),
            unmatched_patterns: publisher.unmatched_patterns(),
        });
        surveyed.push(Surveyed { id, offered });
    }
    for backends in servers {
        backends.stop().await;
    }
    surveyed
}

/// Whether all backends were connected.
pub(super) fn all_connected(surveyed: &[Surveyed]) -> bool {
    surveyed.iter().all(|backend| backend.offered.is_ok())
}

impl fmt::Display for Surveyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (server, backend) = &self.id;
        let offered = match &self.offered {
            Ok(offered) => offered,
            Err(reason) => return writeln!(f, "backend {backend:?} of {server}: cannot be connected: {reason}"),
        };
        // Files have no revision.
        let revision =
            offered.revision.map(|revision| format!(" in revision {}", revision.as_str())).unwrap_or_default();
        let counts: Vec<_> = ["tool", "prompt", "resource", "template"]
            .into_iter()
            .map(|word| (word, offered.definitions.keys().filter(|(kind, _)| *kind == word).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(word, count)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
            .collect();
        let counts = if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") };
        writeln!(f, "backend {backend:?} of {server}: offers {counts}{revision}")?;
        for HiddenEntry { kind, key, by, .. } in &offered.hidden {
            writeln!(f, "  hidden: {} {key} ({by})", word(*kind))?;
        }
        let unmatched = &offered.unmatched_patterns;
        unmatched.iter().try_for_each(|pattern| writeln!(f, "  the pattern {pattern:?} of the policy matches nothing"))
    }
}
