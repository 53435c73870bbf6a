//! Outgoing HTTPS: the one place that configures TLS for clients.

use core::fmt;
#[cfg(feature = "discovery")]
use reqwest::redirect;
use std::sync::Arc;
use tokio_rustls::rustls;

/// Returns the TLS settings of a client, which verifies certificates as the platform does. If `tls` is false, the platform's root
/// certificates are not read, and no certificate is accepted.
pub(crate) fn config(tls: bool) -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |error: &dyn fmt::Display| error.to_string();
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    Ok(if tls {
        let verifier = rustls_platform_verifier::Verifier::new(provider).map_err(|error| failed(&error))?;
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
    } else {
        config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
    })
}

/// Returns the builder of a client that follows no redirects and uses no proxy, with the TLS settings of [`config`].
#[cfg(feature = "discovery")]
pub(crate) fn builder(tls: bool) -> Result<reqwest::ClientBuilder, String> {
    let config = config(tls)?;
    Ok(reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().tls_backend_preconfigured(config))
}

/// Returns an error and its causes in one line.
pub(crate) fn causes(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
