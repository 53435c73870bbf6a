//! The program's own authorization server, in front of another issuer (`auth.server`).

use super::config::{Config, ProviderConfig, Secret, SignIn};
use super::fault::Fault;
use super::reach::url;
use attache_host::Limits;
use attache_host::auth::ProviderKind;
use attache_host::authorization_server::{AuthorizationServer, ServerKeys, Upstream};
use attache_host::private_file;
use attache_host::store::{FileRows, MemoryRows, RowStore};
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::task::spawn_blocking;

/// The store of grants, and of the tokens of providers.
#[derive(Clone)]
pub(super) struct Store(Arc<dyn RowStore>);

impl Store {
    /// The rows of the store.
    pub(super) fn rows(&self) -> Arc<dyn RowStore> {
        Arc::clone(&self.0)
    }

    /// A store that is not used: for checks of the configuration, and for servers without sign-in.
    pub(super) fn unused() -> Self {
        Self(Arc::<MemoryRows>::default())
    }

    /// Opens the store of the configuration, and removes what has expired from it every hour.
    pub(super) fn open(config: &Config) -> Result<Self, Fault> {
        let of_pages = config.sign_in_pages.as_ref().and_then(|pages| pages.store.as_ref());
        let path = config.sign_in.as_ref().map(|sign_in| &sign_in.store).or(of_pages);
        let (Some(path), Some(Secret(keys))) = (path, &config.seal) else { return Ok(Self::unused()) };
        let fault = |why: String| Fault::of(format!("store.file {}: {why}", path.display()));
        let file = private(path).map_err(|error| fault(format!("it cannot be opened: {error}")))?;
        private_file::check("store.file", path)?;
        let rows = Arc::new(FileRows::open(file, keys).map_err(|error| fault(error.to_string()))?);
        tokio::spawn(sweep(Arc::clone(&rows)));
        Ok(Self(rows))
    }
}

/// Opens a file, or makes one that only its owner may read.
fn private(path: &Path) -> io::Result<std::fs::File> {
    match private_file::create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => drop(created?),
    }
    std::fs::File::options().read(true).write(true).open(path)
}

/// The interval at which expired grants are removed. A grant takes about 1 kB of the file.
const SWEEP: Duration = Duration::from_secs(3600);

async fn sweep(rows: Arc<FileRows>) {
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let rows = Arc::clone(&rows);
        if let Ok(Ok(removed @ 1..)) = spawn_blocking(move || rows.remove_expired(now)).await {
            tracing::info!(removed, "expired grants removed");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

/// Builds the client of a provider. `is_refreshed` tells whether a refresh token of the provider is of use.
pub(super) fn upstream(own: &ProviderConfig, is_refreshed: bool) -> Result<Upstream, Fault> {
    let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
    let upstream = match own.kind {
        ProviderKind::GitHub => Upstream::github(
            &or(&own.issuer, "https://github.com"),
            &or(&own.api_url, "https://api.github.com"),
            &own.client_id,
        ),
        ProviderKind::Google => Upstream::new(&or(&own.issuer, "https://accounts.google.com"), &own.client_id),
        ProviderKind::OpenIdConnect | ProviderKind::Entra => Upstream::new(&own.issuer, &own.client_id),
    };
    let upstream =
        upstream.map_err(|error| Fault::at(own.origin.clone(), format!("provider {:?}: {error}", own.name)))?;
    let upstream = match &own.client_secret {
        Some(Secret(secret)) => upstream.secret(secret),
        None => upstream,
    };
    let upstream = match own.kind {
        _ if own.scopes.is_empty() => upstream,
        ProviderKind::GitHub => upstream.scopes_alone(&own.scopes),
        _ => upstream.scopes(&own.scopes),
    };
    let mut parameters = own.parameters.clone();
    // Google has a parameter of its own for refresh tokens, instead of the scope offline_access.
    if own.kind == ProviderKind::Google && is_refreshed && parameters.iter().all(|(name, _)| name != "access_type") {
        parameters.push(("access_type".to_owned(), "offline".to_owned()));
    }
    Ok(upstream.parameters(parameters))
}

/// Builds the authorization server, whose tokens are for all servers of the configuration that accept them.
pub(super) fn server(
    config: &Config,
    sign_in: &SignIn,
    address: Option<SocketAddr>,
    store: &Store,
    limits: &Limits,
) -> Result<AuthorizationServer, Fault> {
    let Secret(signing) = &sign_in.signing_keys;
    let seal: &[[u8; 32]] = config.seal.as_ref().map_or(&[], |Secret(keys)| keys);
    let fault = |key: &str, error: &dyn core::fmt::Display| Fault::of(format!("{key}: {error}"));
    let upstream = upstream(&sign_in.upstream, !sign_in.recheck.is_zero())?.claims(&sign_in.claims);
    let trusting = || {
        let trusts = |issuer: &str| issuer == sign_in.issuer;
        config
            .servers
            .iter()
            .filter(move |server| server.protection.policies.iter().any(|policy| trusts(&policy.issuer)))
    };
    let mut resources: Vec<(String, Vec<String>)> = Vec::new();
    for endpoint in trusting() {
        let own = || url(address, &endpoint.path, config.tls.as_ref());
        let resource = endpoint.protection.resource.clone().unwrap_or_else(own);
        let scopes = endpoint.protection.scopes.iter().cloned();
        // Endpoints with one public URL are one resource.
        match resources.iter_mut().find(|(other, _)| *other == resource) {
            Some((_, all)) => all.extend(scopes),
            None => resources.push((resource, scopes.collect())),
        }
    }
    let keys = ServerKeys { seal, signing };
    let names = resources.iter().map(|(resource, _)| resource.as_str());
    let server = AuthorizationServer::in_front_of(upstream, &sign_in.issuer, names, &keys, Arc::clone(&store.0));
    let server = server.map_err(|error| fault("auth.server", &error))?;
    let server = server.recheck(sign_in.recheck).tenants(&sign_in.upstream.tenants);
    let server = server.clients(sign_in.clients.iter().cloned());
    let mut server = server.map_err(|error| fault("auth.server.clients_file", &error))?.limits(limits);
    // A token for one endpoint has no scopes of another one.
    for (resource, scopes) in resources {
        server = server.scopes_of(&resource, scopes);
    }
    Ok(if sign_in.redirect_hosts.is_empty() { server } else { server.redirect_hosts(sign_in.redirect_hosts.clone()) })
}
