//! Reload by SIGHUP: the certificate, the policies and the pins.

use super::config::{Config, ServerConfig};
use super::fault::Faults;
use super::problem::Problem;
use super::settings::Settings;
use super::system::Reload;
use attache_host::backend::{Backends, Publisher};
use attache_host::proxy::Proxy;
use attache_host::serve::Certificate;

/// The parts that can be reloaded while the program serves.
pub(super) struct Reloadable {
    pub(super) settings: Settings,
    pub(super) certificate: Option<Certificate>,
    /// In the order of the configuration.
    pub(super) servers: Vec<Reloaded>,
    /// The proxies of applications, by the paths of their servers.
    pub(super) proxies: Vec<(String, Proxy)>,
}

/// A server whose policies can be replaced.
pub(super) struct Reloaded {
    pub(super) path: String,
    pub(super) backends: Backends,
    /// The backends of the configuration, by name.
    pub(super) publishers: Vec<(String, Publisher)>,
}

impl Reloadable {
    /// Reloads the certificate, the policies and the pins at each SIGHUP.
    pub(super) async fn follow(self, mut signals: Reload) {
        loop {
            signals.next().await;
            if let Some(certificate) = &self.certificate
                && let Err(fault) = certificate.reload().await
            {
                tracing::error!(%fault, "TLS certificate not reloaded, the old one stays in use");
            }
            match self.replace_policies() {
                Ok(()) => tracing::info!("policies and pins reloaded"),
                Err(fault) => tracing::error!(%fault, "policies and pins not reloaded, the old ones stay in use"),
            }
        }
    }

    /// Reads the configuration again, and replaces the policies.
    ///
    /// # Errors
    /// If the configuration has a fault. Nothing has changed then.
    fn replace_policies(&self) -> Result<(), Problem> {
        let config = self.settings.config()?;
        let mut faults = Faults::default();
        config.servers.iter().for_each(|server| faults.or_default(server.check_policies()));
        faults.end()?;
        for (path, proxy) in &self.proxies {
            match config.servers.iter().find(|server| server.path() == path) {
                // A proxy without a policy holds no requests, and its routes are built without one.
                Some(server) if server.has_policy() && !proxy.has_policy() => {
                    tracing::warn!(path, "a policy was added to a proxy that had none: restart to put it in force");
                }
                Some(server) => proxy.replace_policy(server.policy()),
                None => tracing::warn!(path, "a server was removed from the configuration: restart to stop it"),
            }
        }
        for live in &self.servers {
            match config.servers.iter().find(|server| server.path() == live.path) {
                Some(server) => live.replace_policies(&config, server),
                None => {
                    tracing::warn!(path = live.path, "a server was removed from the configuration: restart to stop it")
                }
            }
        }
        Ok(())
    }
}

impl Reloaded {
    fn replace_policies(&self, config: &Config, server: &ServerConfig) {
        let is_live = |name: &str| self.publishers.iter().any(|(known, _)| known == name);
        for backend in server.backends.iter().filter(|backend| !is_live(&backend.name)) {
            tracing::warn!(backend = backend.name, "a backend was added to the configuration: restart to start it");
        }
        let fresh = self.publishers.iter().filter_map(|(name, publisher)| {
            let backend = server.backends.iter().find(|backend| backend.name == *name)?;
            Some((publisher, config.policy_of(server, backend)))
        });
        self.backends.set_policies(server.policy(), fresh);
    }
}
