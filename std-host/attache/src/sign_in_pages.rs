//! The sign-in pages of the program (`/.auth/*`), from its configuration.

use super::config::{Config, ProviderConfig, Secret, SignInPages};
use super::fault::Fault;
use super::reach::url;
use super::sign_in::{Store, upstream};
use attache_host::Limits;
use attache_host::sign_in::{Provider, SignIn};
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

/// Builds the pages.
pub(super) fn pages(
    config: &Config,
    pages: &SignInPages,
    address: Option<SocketAddr>,
    store: &Store,
    hosts: Vec<String>,
    limits: &Limits,
) -> Result<Arc<SignIn>, Fault> {
    let seal: &[[u8; 32]] = config.seal.as_ref().map_or(&[], |Secret(keys)| keys);
    let origin = pages.origin.clone().unwrap_or_else(|| url(address, "", config.tls.as_ref()));
    let has_store = pages.store.is_some();
    let providers = pages.providers.iter().map(|own| provider(own, has_store));
    let providers: Vec<Provider> = providers.collect::<Result<_, _>>()?;
    let fault = |error: &dyn core::fmt::Display| Fault::of(format!("auth.provider: {error}"));
    let sign_in = SignIn::new(&origin, seal, providers).map_err(|error| fault(&error))?;
    // A session without a life of its own ends with the token of the provider.
    let sign_in = match pages.life {
        Some(life) => sign_in.lifetime(life, pages.longest),
        None => sign_in.lifetime(pages.longest, pages.longest).end_with_token(),
    };
    let mut sign_in = sign_in
        .attempt_time(pages.attempt_time.unwrap_or(Duration::MAX))
        .external_redirects(pages.redirects.clone())
        .scopes(pages.scopes.clone())
        .hosts(hosts)
        .limits(limits);
    if let Some(provider) = &pages.redirect_to {
        sign_in = sign_in.redirect_to(provider).map_err(|error| fault(&error))?;
    }
    if has_store {
        sign_in = sign_in.store(store.rows());
    }
    if pages.expose_tokens {
        sign_in = sign_in.expose_tokens();
    }
    if pages.keep_fragments {
        sign_in = sign_in.keep_fragments();
    }
    Ok(Arc::new(sign_in))
}

fn provider(own: &ProviderConfig, has_store: bool) -> Result<Provider, Fault> {
    let upstream = upstream(own, has_store)?;
    let provider = Provider::new(&own.name, upstream).label(&own.label);
    let provider = provider.identities(own.identities.clone()).groups(own.groups.clone());
    Ok(provider.tenants(own.tenants.clone()).domains(own.email_domains.clone()))
}
