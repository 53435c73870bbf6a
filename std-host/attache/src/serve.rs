//! `attache serve`: HTTP, or one client on standard input and output.

use super::assemble::{Assembled, Reach, assemble, made, sealed, url};
use super::client_config::{Client, over_http};
use super::config::{Config, ServerConfig};
use super::connections::Connections;
use super::fault::Faults;
use super::listen::{self, Serving};
use super::listener::Listener;
use super::print::{complain, say};
use super::problem::Problem;
use super::seeing::Seeing;
use super::tls::Certificate;
use super::{MakeServer, Settings, auth, log, system};
use attache_host::{Budget, Changes, stdio};
use clap::Args;
use std::io;
use std::sync::Arc;
use tokio::sync::oneshot;

#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Serve one client on standard input and output instead of HTTP
    #[arg(long, conflicts_with_all = ["listen", "path", "allow_host", "allow_origin"])]
    stdio: bool,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub(super) fn run(self, make: MakeServer<'_>) -> Result<(), Problem> {
        let config = self.settings.config()?;
        protect_memory(&config);
        let budget = Budget::new(&config.limits);
        let log = log::start(&config, &budget);
        let seeing = Seeing::new(&config, &log, &budget)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Problem::Runtime)?;
        let served = runtime.block_on(async {
            match (self.stdio, config.servers.first()) {
                (true, Some(first)) => over_stdio(&config, first, make, &seeing, budget).await,
                _ => http(&config, make, &seeing, &budget).await,
            }
        });
        // A read of standard input cannot be cancelled, and must not delay the end.
        runtime.shutdown_background();
        served
    }
}

impl Check {
    /// Does what `serve` does before it opens a socket.
    pub(super) fn run(&self, make: MakeServer<'_>) -> Result<(), Problem> {
        let config = self.settings.config()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
        runtime.block_on(async {
            let mut faults = Faults::default();
            let assembled = assemble(&config, &Reach::from(&config.listen), make, |server| server);
            faults.or_default(assembled.map(drop));
            faults.or_default(config.tls.as_ref().map(Certificate::read).transpose().map(drop));
            faults.end()
        })?;
        let paths: Vec<&str> = config.servers.iter().map(|server| server.path.as_str()).collect();
        super::print::print(&format!("The configuration is valid: {} on {}\n", paths.join(", "), config.listen))
    }
}

/// Keeps keys in memory out of core dumps.
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
    seeing: &Seeing,
    budget: Budget,
) -> Result<(), Problem> {
    // Before anything is read: as the first process of a container, a program gets only the signals that it has asked for.
    let mut signals = system::Signals::take().map_err(Problem::Signals)?;
    let server = sealed(made(make, first), first, config.seal.as_ref());
    let limits = Arc::new(config.limits.clone());
    let server = seeing.watch(server).budget(budget).limits(config.limits.clone()).build();
    seeing.figures(&limits, axum::Router::new()).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = stdio::serve_until(server, tokio::io::stdin(), tokio::io::stdout(), async {
        let _ = stopped.await;
    });
    tokio::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        () = signals.next() => {
            tracing::info!("stopping");
            let _ = stop.send(());
            tokio::select! {
                served = &mut serving => served,
                () = signals.next() => Ok(()),
            }
        }
    };
    match served {
        // A client that closes its end wants nothing more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            tracing::info!("the client has closed standard output");
            Ok(())
        }
        served => served.map_err(Problem::Stdio),
    }
}

async fn http(config: &Config, make: MakeServer<'_>, seeing: &Seeing, budget: &Budget) -> Result<(), Problem> {
    let listener = Listener::bind(&config.listen, config.socket_mode).await?;
    let reach = Reach::from(&listener);
    let mut faults = Faults::default();
    let assembled = assemble(config, &reach, make, |server| seeing.watch(server).budget(budget.clone()))
        .map_err(|fault| faults.add(fault))
        .ok();
    let tls = faults.or_default(config.tls.as_ref().map(Certificate::read).transpose());
    faults.end()?;
    let Some(Assembled { router, beside, changes, ready, limits }) = assembled else { return Ok(()) };
    // Before the greeting: its reader may send a signal.
    let mut signals = system::Signals::take().map_err(Problem::Signals)?;
    let mut reload = system::Reload::take().map_err(Problem::Signals)?;
    match tls.clone() {
        Some(certificate) => tokio::spawn(certificate.follow(reload)),
        // Without this task the signal would end the program.
        None => tokio::spawn(async move {
            loop {
                reload.next().await;
                tracing::info!("nothing to reload: there is no certificate, and key files are watched all the time");
            }
        }),
    };
    let stop = || {
        ready.stop();
        changes.iter().for_each(Changes::end_subscriptions);
    };
    let (limits, metrics) = (Arc::new(limits), Arc::clone(&seeing.metrics));
    seeing.figures(&limits, ready.routes()).await?;
    let status = seeing.status(&limits, config, &beside).await?;
    tracing::info!(%listener, servers = config.servers.len(), "serving");
    greet(&listener, config);
    if let Some(address) = status {
        say(&format!("Status page on http://{address}/"));
    }
    let (proxies, connections) = (Arc::new(config.proxies.clone()), Connections::new(&limits));
    let serving = Arc::new(Serving { router, limits, tls, metrics, proxies, budget: budget.clone(), connections });
    listen::serve(listener, serving, &mut signals, stop).await;
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
