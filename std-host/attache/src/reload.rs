//! Reload by SIGHUP, and with `watch` when a file changes: the certificate, the backends, the policies and the
//! pins.

mod watched;

use super::backends::{Changed, Fleet, server_at};
use super::config::{Config, Effective};
use super::fault::Faults;
use super::last_reload::LastReload;
use super::observability::Observability;
use super::problem::Problem;
use super::secret_filter::SecretFilter;
use super::system::Reload;
use attache_host::children::Supervision;
use attache_host::proxy::Proxy;
use attache_host::serve::Certificate;
use std::sync::{Arc, OnceLock};
use watched::Watched;

/// Reads the configuration, with what the command line adds to it.
pub(super) type Read = Box<dyn Fn() -> Result<Config, Problem> + Send + Sync>;

/// Where a reload reads the configuration, and the files whose changes cause one.
pub(super) struct Source {
    read: Read,
    watched: Watched,
}

impl Source {
    /// The source of `config`, which was read just now.
    pub(super) fn new(config: &Config, read: Read) -> Self {
        let files = [&config.file, &config.pins.path].into_iter().filter(|_| config.watch);
        Self { read, watched: Watched::new(files.cloned().collect()) }
    }
}

/// The parts that can be reloaded while the program serves.
pub(super) struct Reloadable {
    source: Source,
    certificate: Option<Certificate>,
    fleet: Fleet,
    last: LastReload,
    filter: SecretFilter,
    /// The settings with which the program was started.
    settings: Vec<Effective>,
    /// The one supervision of the program.
    supervision: Arc<OnceLock<Supervision>>,
    /// The paths of the servers with which the program was started.
    servers: Vec<String>,
    /// The proxies of applications, by the paths of their servers.
    proxies: Vec<(String, Proxy)>,
}

impl Reloadable {
    pub(super) fn new(
        config: &Config,
        source: Source,
        certificate: Option<Certificate>,
        observability: &Observability,
        proxies: Vec<(String, Proxy)>,
    ) -> Self {
        Self {
            source,
            certificate,
            fleet: observability.fleet.clone(),
            last: observability.last_reload.clone(),
            filter: observability.filter.clone(),
            settings: config.settings.clone(),
            supervision: Arc::clone(&config.children.supervision),
            servers: config.servers.iter().map(|server| server.path.clone()).collect(),
            proxies,
        }
    }

    /// Reloads at each SIGHUP, and when a watched file has changed.
    pub(super) async fn follow(mut self, mut signals: Reload) {
        loop {
            tokio::select! {
                () = signals.next() => {}
                () = self.source.watched.changed() => {}
            }
            if let Some(certificate) = &self.certificate
                && let Err(fault) = certificate.reload().await
            {
                tracing::error!(%fault, "TLS certificate not reloaded, the old one stays in use");
            }
            match self.reload().await {
                Ok(Changed { added, replaced, removed }) => {
                    self.last.set(None);
                    tracing::info!(?added, ?replaced, ?removed, "configuration reloaded");
                }
                Err(fault) => {
                    self.last.set(Some(fault.to_string()));
                    tracing::error!(%fault, "configuration not reloaded, the old one stays in use");
                }
            }
        }
    }

    /// Reads the configuration again, and changes to it.
    ///
    /// # Errors
    /// If the configuration has a fault. Nothing has changed then.
    async fn reload(&self) -> Result<Changed, Problem> {
        let mut config = (self.source.read)()?;
        config.children.supervision = Arc::clone(&self.supervision);
        let mut faults = Faults::default();
        config.servers.iter().for_each(|server| faults.or_default(server.check_policies()));
        faults.end()?;
        self.filter.learn(&config);
        let changed = self.fleet.change(&config).await?;
        for (path, proxy) in &self.proxies {
            if let Some(server) = server_at(&config, path) {
                proxy.replace_policy(server.policy());
            }
        }
        self.report_restarts(&config);
        Ok(changed)
    }

    /// Reports the changes that take effect only after a restart.
    fn report_restarts(&self, config: &Config) {
        for path in self.servers.iter().filter(|path| server_at(config, path).is_none()) {
            tracing::warn!(path, "a server was removed from the configuration: restart to stop it");
        }
        for server in config.servers.iter().filter(|server| !self.servers.iter().any(|path| path == server.path())) {
            tracing::warn!(path = server.path(), "a server was added to the configuration: restart to serve it");
        }
        for (path, proxy) in &self.proxies {
            // A proxy without a policy holds no requests, and its routes are built without one.
            if server_at(config, path).is_some_and(|server| server.has_policy() && !proxy.has_policy()) {
                tracing::warn!(path, "a policy was added to a proxy that had none: restart to put it in force");
            }
        }
        for setting in config.settings.iter().filter(|setting| setting.needs_restart(&self.settings)) {
            let (key, place) = (setting.key, &setting.given.origin);
            tracing::warn!(setting = key, %place, "a setting was changed that needs a restart");
        }
    }
}
