//! `attache health`: asks a running server whether it is ready.

use super::config::{Config, Listen};
use super::print::print;
use super::problem::Problem;
use super::settings::Settings;
use clap::Args;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use http::StatusCode;
use std::path::PathBuf;

/// Ask a running server whether it is ready; fails if it is not
///
/// Without a URL it asks the server that runs here with the same configuration (flags, variables,
/// attache.toml), over TLS or a Unix socket if that is where it listens.
#[derive(Args, Debug)]
pub(super) struct Health {
    /// The server, such as https://api.example; its certificate has to be valid
    url: Option<String>,

    #[command(flatten)]
    settings: Settings,
}

/// The server to ask.
#[derive(Debug)]
struct Target {
    url: String,
    socket: Option<PathBuf>,
    /// Whether it is the server on this machine. Its certificate is for another name.
    is_own: bool,
}

impl Health {
    pub(super) fn run(&self) -> Result<(), Problem> {
        let target = match &self.url {
            Some(url) => Target { url: url.clone(), socket: None, is_own: false },
            None => Target::of(&self.settings.config()?)?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
        let said = runtime.block_on(target.ask()).map_err(Problem::Health)?;
        print(&format!("{said}\n"))
    }
}

impl Target {
    /// The server that runs with this configuration.
    fn of(config: &Config) -> Result<Self, Problem> {
        let needs_certificate = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let (address, is_tls) = match (&config.listen, config.metrics) {
            // The metrics listener needs no client certificate, and it serves health checks as
            // well.
            (_, Some(metrics)) if needs_certificate => (metrics, false),
            _ if needs_certificate => {
                return Err(Problem::Health(
                    "the server needs a client certificate: set metrics.listen, where health can be asked without"
                        .to_owned(),
                ));
            }
            (Listen::Unix(path), _) => {
                return Ok(Self { url: "http://localhost".to_owned(), socket: Some(path.clone()), is_own: true });
            }
            (Listen::Tcp(address), _) => (*address, config.tls.is_some()),
        };
        if address.port() == 0 {
            return Err(Problem::Health("the server listens on any free port: say which, as a URL".to_owned()));
        }
        let scheme = if is_tls { "https" } else { "http" };
        Ok(Self { url: format!("{scheme}://{}", reachable(address)), socket: None, is_own: true })
    }

    /// Asks the server for its readiness, and returns its answer.
    async fn ask(self) -> Result<String, String> {
        let Self { url, socket, is_own } = self;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!("{url} must begin with http:// or https://"));
        }
        let failed = |error: reqwest::Error| {
            let mut cause: &dyn core::error::Error = &error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            format!("{url} is not healthy: {cause}")
        };
        // If a provider is installed already, it is this same one.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
        let client = if is_own { client.tls_danger_accept_invalid_certs(true) } else { client };
        #[cfg(unix)]
        let client = match socket {
            Some(path) => client.unix_socket(path),
            None => client,
        };
        #[cfg(not(unix))]
        drop(socket);
        let request = client.build().map_err(failed)?.get(format!("{}/readyz", url.trim_end_matches('/')));
        let response = request.send().await.map_err(failed)?;
        let is_ready = response.status() == StatusCode::OK;
        let status = response.status();
        let said = response.text().await.map_err(failed)?.trim().chars().take(MOST).collect::<String>();
        if is_ready { Ok(said) } else { Err(format!("{url} is not ready: {status} {said}")) }
    }
}

/// The address by which this machine reaches itself.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The timeout for the answer. Container runtimes ask often.
const PATIENCE: Duration = Duration::from_secs(3);

/// Most characters of an answer that are printed.
const MOST: usize = 200;
