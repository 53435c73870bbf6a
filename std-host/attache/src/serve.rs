//! `attache serve`: serves HTTP, or one client on standard input and output.

use super::assemble::{Assembled, Reach, assemble, connect, disconnect, made, sealed, url};
use super::client_config::{Client, over_http};
use super::config::{Config, ServerConfig};
use super::fault::{Fault, Faults};
use super::observability::Observability;
use super::print::{complain, say};
use super::problem::Problem;
use super::sign_in::Store;
use super::{MakeServer, Settings, auth, listen, log, system};
use attache_host::serve::{Certificate, Listener, serve};
use attache_host::{Budget, Changes, stdio};
use clap::Args;
use core::pin::pin;
use std::io;
use std::sync::Arc;
use tokio::sync::oneshot;

#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Serve one client on standard input and output instead of HTTP
    #[arg(long, conflicts_with_all = ["listen", "path", "allow_host", "allow_origin"])]
    stdio: bool,

    #[command(flatten)]
    pub(super) settings: Settings,
}

#[derive(Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub(super) fn run(self, make: MakeServer<'_>) -> Result<(), Problem> {
        let config = self.settings.config()?;
        self.run_with(&config, make)
    }

    /// Serves as the configuration says.
    pub(super) fn run_with(self, config: &Config, make: MakeServer<'_>) -> Result<(), Problem> {
        protect_memory(config);
        let budget = Budget::new(&config.limits);
        let log = log::start(config, &budget);
        let observability = Observability::new(config, &log, &budget)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Problem::Runtime)?;
        let served = runtime.block_on(async {
            match (self.stdio, config.servers.first()) {
                (true, Some(first)) => over_stdio(config, first, make, &observability, budget).await,
                _ => http(config, make, &observability, &budget).await,
            }
        });
        // A pending read of standard input cannot be cancelled, and must not delay the end.
        runtime.shutdown_background();
        served
    }
}

impl Check {
    /// Makes the preparations of `serve` before it opens a socket.
    pub(super) fn run(&self, make: MakeServer<'_>) -> Result<(), Problem> {
        let config = self.settings.config()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
        runtime.block_on(async {
            let mut faults = Faults::default();
            let assembled = assemble(&config, &Reach::from(&config.listen), make, |server| server, &Store::unused());
            faults.or_default(assembled.map(drop));
            faults.or_default(certificate(&config).map(drop));
            faults.end()
        })?;
        let paths: Vec<&str> = config.servers.iter().map(|server| server.path.as_str()).collect();
        super::print::print(&format!("The configuration is valid: {} on {}\n", paths.join(", "), config.listen))
    }
}

/// Excludes keys in memory from core dumps.
fn protect_memory(config: &Config) {
    if (config.tls.is_some() || config.seal.is_some())
        && let Err(error) = system::forbid_core_dumps()
    {
        complain(&format!("warning: core dumps could not be switched off, and would hold keys: {error}"));
    }
}

async fn over_stdio(
    config: &Config,
    first: &ServerConfig,
    make: MakeServer<'_>,
    observability: &Observability,
    budget: Budget,
) -> Result<(), Problem> {
    // Takes the signals before reading: the first process of a container receives only the signals
    // for which it has a handler.
    let mut signals = system::Signals::take().map_err(Problem::Signals)?;
    let server = sealed(made(make, first)?, first, config.seal.as_ref());
    let limits = Arc::new(config.limits.clone());
    let backends = vec![server.backends()];
    let server = observability.watch(server).budget(budget).limits(config.limits.clone()).build();
    connect(config, &backends).await;
    observability.figures(&limits, axum::Router::new()).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = stdio::serve_until(server, tokio::io::stdin(), tokio::io::stdout(), async {
        let _ = stopped.await;
        tracing::info!("stopping");
    });
    let served = until_stopped(serving, stop, &mut signals).await;
    disconnect(backends).await;
    match served {
        // A client may close its end at any time.
        Some(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            tracing::info!("the client has closed standard output");
            Ok(())
        }
        Some(served) => served.map_err(Problem::Stdio),
        None => Ok(()),
    }
}

/// Runs `serving` to its end. After the first signal it stops gracefully; after a second one it is
/// dropped, and this function returns `None`.
async fn until_stopped<T>(
    serving: impl Future<Output = T>,
    stop: oneshot::Sender<()>,
    signals: &mut system::Signals,
) -> Option<T> {
    let mut serving = pin!(serving);
    tokio::select! {
        served = &mut serving => return Some(served),
        () = signals.next() => {
            let _ = stop.send(());
        }
    }
    tokio::select! {
        served = &mut serving => Some(served),
        () = signals.next() => None,
    }
}

/// Reads the certificate, if one is configured.
fn certificate(config: &Config) -> Result<Option<Certificate>, Fault> {
    Ok(config.tls.as_ref().map(Certificate::read).transpose()?)
}

/// Reloads the certificate when its files change, and when the operator sends the signal.
fn follow(certificate: Option<Certificate>) -> Result<(), Problem> {
    let mut reload = system::Reload::take().map_err(Problem::Signals)?;
    if let Some(certificate) = &certificate {
        tokio::spawn(certificate.clone().follow());
    }
    tokio::spawn(async move {
        loop {
            reload.next().await;
            match &certificate {
                None => {
                    tracing::info!(
                        "nothing to reload: there is no certificate, and key files are watched all the time"
                    );
                }
                Some(certificate) => {
                    if let Err(fault) = certificate.reload().await {
                        tracing::error!(%fault, "TLS certificate not reloaded, the old one stays in use");
                    }
                }
            }
        }
    });
    Ok(())
}

async fn http(
    config: &Config,
    make: MakeServer<'_>,
    observability: &Observability,
    budget: &Budget,
) -> Result<(), Problem> {
    let listener = listen::bind(&config.listen, config.socket_mode).await?;
    let reach = Reach::from(&listener);
    let mut faults = Faults::default();
    let store = Store::open(config)?;
    let watch = |server| observability.watch(server).budget(budget.clone());
    let assembled = assemble(config, &reach, make, watch, &store).map_err(|fault| faults.add(fault)).ok();
    let tls = faults.or_default(certificate(config));
    faults.end()?;
    let Some(Assembled { router, beside, changes, backends, ready, limits }) = assembled else { return Ok(()) };
    // Takes the signals before the greeting: a program that reads the greeting may send a signal.
    let mut signals = system::Signals::take().map_err(Problem::Signals)?;
    follow(tls.clone())?;
    let limits = Arc::new(limits);
    observability.figures(&limits, ready.routes()).await?;
    let status = observability.status(&limits, config, &beside).await?;
    connect(config, &backends).await;
    tracing::info!(%listener, servers = config.servers.len(), "serving");
    greet(&listener, config);
    if let Some(address) = status {
        say(&format!("Status page on http://{address}/"));
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve(listener, router)
        .limits(limits)
        .budget(budget.clone())
        .tls(tls)
        .proxies(config.proxies.clone())
        .metrics(Arc::clone(&observability.metrics))
        .stop(async {
            let _ = stopped.await;
        })
        .on_stop(move || {
            ready.stop();
            changes.iter().for_each(Changes::end_subscriptions);
        });
    if until_stopped(serving.into_future(), stop, &mut signals).await.is_none() {
        tracing::warn!("stopped by a second signal; requests that were not answered yet were dropped");
    }
    disconnect(backends).await;
    Ok(())
}

fn greet(listener: &Listener, config: &Config) {
    for ServerConfig { path, protection, .. } in &config.servers {
        let url = url(listener.address(), path, config.tls.as_ref());
        let policy = auth::Words(protection, &url);
        match listener.address() {
            Some(_) => say(&format!("Serving MCP on {url} (stop with Ctrl-C)\n{policy}")),
            None => say(&format!("Serving MCP on {path} of {listener} (stop with Ctrl-C)\n{policy}")),
        }
    }
    if let Some(address) = listener.address() {
        let json = over_http(Client::default(), config, Some(address));
        say(&format!("\nFor a client's mcp.json (others: attache mcp-json --help):\n{json:#}"));
    }
}
