//! `attache serve`: serves HTTP, or one client on standard input and output.

use super::assemble::{Assembled, MakeServer, assemble, made, sealed};
use super::backends::disconnect;
use super::client_config::{Wanted, over_http};
use super::config::{Backend, Config, Layers, Place, ServerConfig, is_setting};
use super::fault::{Fault, Faults, Origin};
use super::observability::Observability;
use super::print::{complain, say};
use super::problem::Problem;
use super::proxy::RunningApps;
use super::reach::{Reach, url};
use super::reload::{Read, Reloadable, Source};
use super::settings::Settings;
use super::sign_in::Store;
use super::{auth, listen, log, system};
use attache_host::serve::{Certificate, Listener, serve};
use attache_host::{Budget, Changes, stdio};
use axum::Router;
use clap::Args;
use core::pin::pin;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;

#[derive(Args, Clone, Debug)]
pub(super) struct Serve {
    /// Serve one client on standard input and output instead of HTTP
    #[arg(long, conflicts_with_all = ["listen", "path", "allow_host", "allow_origin"])]
    stdio: bool,

    /// Serve the executables of this directory as tools, each with a description file; see docs/gate.md
    #[arg(long, value_name = "DIR", help_heading = "Server")]
    tools_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(super) settings: Settings,
}

impl Serve {
    pub(super) fn run(self, make: MakeServer<'_>) -> Result<(), Problem> {
        match self.settings.config() {
            Ok(config) => self.run_with(config, make, Ok),
            // The operator sees the faults of the files that are named as well.
            Err(problem) => Err(self.settings.check(make).err().unwrap_or(problem)),
        }
    }

    /// Serves as the configuration says. `amend` adds what only the command line says, at the start and at each
    /// reload.
    pub(super) fn run_with(
        &self,
        config: Config,
        make: MakeServer<'_>,
        amend: impl Fn(Config) -> Result<Config, Fault> + Send + Sync + 'static,
    ) -> Result<(), Problem> {
        let (settings, tools_dir) = (self.settings.clone(), self.tools_dir.clone());
        let amend = move |config| with_tools(amend(config)?, tools_dir.as_deref());
        let config = amend(config)?;
        let read = move || Ok(amend(settings.layers_again()?.config()?)?);
        self.run_after(&config, Box::new(read), make, async { Ok(()) }, &|router| router)
    }

    /// Adds the directory of the flag `--tools-dir` to the backends.
    pub(super) fn with_tools(&self, config: Config) -> Result<Config, Fault> {
        with_tools(config, self.tools_dir.as_deref())
    }

    /// Serves after `prepared` has succeeded, which runs in the runtime of the server. `read` reads the configuration
    /// again. `wrap` may add layers and routes to the router.
    pub(super) fn run_after(
        &self,
        config: &Config,
        read: Read,
        make: MakeServer<'_>,
        prepared: impl Future<Output = Result<(), Problem>>,
        wrap: &dyn Fn(Router) -> Router,
    ) -> Result<(), Problem> {
        let source = Source::new(config, read);
        protect_memory(config);
        let budget = Budget::new(&config.limits);
        let log = log::start(config, &budget);
        let observability = Observability::new(config, &log, &budget)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Problem::Runtime)?;
        let served = runtime.block_on(async {
            prepared.await?;
            match (self.stdio, config.servers.first()) {
                (true, Some(first)) => over_stdio(config, first, make, &observability, budget).await,
                _ => http(config, source, make, &observability, &budget, wrap).await,
            }
        });
        // A pending read of standard input cannot be cancelled, and must not delay the end.
        runtime.shutdown_background();
        served
    }
}

/// Adds the directory of the flag `--tools-dir` to the backends.
fn with_tools(mut config: Config, directory: Option<&Path>) -> Result<Config, Fault> {
    if let Some(directory) = directory {
        let place = Place::Tools(directory.to_owned());
        let tools = Backend::new("tools", place, Origin::Flag("tools-dir".to_owned()));
        tools.check()?;
        config.add_backends(vec![tools])?;
    }
    Ok(config)
}

impl Settings {
    /// Reads the configuration and the files that it names, as `serve` does before it opens a
    /// socket. Starts no backend and connects to nothing.
    ///
    /// # Errors
    /// All faults of both.
    pub(super) fn check(&self, make: MakeServer<'_>) -> Result<Config, Problem> {
        let mut faults = Faults::default();
        let Some(layers) = Layers::collect(&self.flags, self.config.as_deref(), &mut faults) else {
            faults.end()?;
            return self.config();
        };
        // Key files are followed by tasks, which end with the runtime.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
        let _context = runtime.enter();
        let mut contradictions = Faults::default();
        let config = layers.typed(&mut contradictions);
        // Two routes with the same path cannot be built.
        let assembled = match config.check_paths() {
            Ok(()) => {
                assemble(&config, &Reach::from(&config.listen), make, |server| server, &Store::unused()).map(drop)
            }
            Err(_) => Ok(()),
        };
        for checked in [contradictions.end(), assembled, certificate(&config).map(drop)] {
            if let Err(fault) = checked {
                faults.add_later(fault.placed(&config.written), is_setting);
            }
        }
        faults.end()?;
        Ok(config)
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
    if first.proxy.is_some() {
        let what = "an application in mode = \"proxy\" is served over HTTP alone: remove --stdio";
        return Err(Fault::at(first.path_origin().clone(), what.to_owned()).into());
    }
    let server = sealed(made(make, first)?, first, config.seal.as_ref());
    let limits = Arc::new(config.limits.clone());
    let backends = vec![server.backends()];
    let server = observability.watch(server).budget(budget).limits(config.limits.clone()).build();
    if let Err(fault) = observability.fleet.start(config, &backends).await {
        disconnect(backends).await;
        return Err(fault.into());
    }
    observability.figures(&limits, Router::new()).await?;
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

async fn http(
    config: &Config,
    source: Source,
    make: MakeServer<'_>,
    observability: &Observability,
    budget: &Budget,
    wrap: &dyn Fn(Router) -> Router,
) -> Result<(), Problem> {
    let listener = listen::bind(&config.listen, config.socket_mode).await?;
    let reach = Reach::from(&listener);
    let mut faults = Faults::default();
    let store = Store::open(config)?;
    let watch = |server| observability.watch(server).budget(budget.clone());
    let assembled = assemble(config, &reach, make, watch, &store).map_err(|fault| faults.add(fault)).ok();
    let tls = faults.or_default(certificate(config));
    faults.end().map_err(|fault| fault.placed(&config.written))?;
    let Some(Assembled { router, beside, changes, backends, apps, proxies, ready, limits }) = assembled else {
        return Ok(());
    };
    // Takes the signals before the greeting: a program that reads the greeting may send a signal.
    let mut signals = system::Signals::take().map_err(Problem::Signals)?;
    let reload = system::Reload::take().map_err(Problem::Signals)?;
    if let Some(certificate) = &tls {
        tokio::spawn(certificate.clone().follow());
    }
    let limits = Arc::new(limits);
    observability.figures(&limits, ready.routes()).await?;
    let status = observability.status(&limits, config, &beside).await?;
    let apps = RunningApps::start(config, apps).await?;
    let fleet = observability.fleet.clone();
    if let Err(fault) = fleet.start(config, &backends).await {
        disconnect(backends).await;
        apps.stop().await;
        return Err(fault.into());
    }
    ready.require({
        let fleet = fleet.clone();
        move || fleet.unready()
    });
    let reloadable = Reloadable::new(config, source, tls.clone(), observability, proxies);
    tokio::spawn(reloadable.follow(reload));
    tracing::info!(%listener, servers = config.servers.len(), "serving");
    greet(&listener, config);
    if let Some(address) = status {
        say(&format!("Status page on http://{address}/"));
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve(listener, wrap(router))
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
    apps.stop().await;
    Ok(())
}

fn greet(listener: &Listener, config: &Config) {
    for endpoint in &config.servers {
        let path = &endpoint.resource_path();
        let url = url(listener.address(), path, config.tls.as_ref());
        let policy = auth::Words(&endpoint.protection, &url);
        let what = match &endpoint.proxy {
            None => "Serving MCP",
            Some(_) => "Serving an application",
        };
        match listener.address() {
            Some(_) => say(&format!("{what} on {url} (stop with Ctrl-C)\n{policy}")),
            None => say(&format!("{what} on {path} of {listener} (stop with Ctrl-C)\n{policy}")),
        }
    }
    if let Some(address) = listener.address() {
        let json = over_http(Wanted::default(), config, Some(address));
        say(&format!("\nFor a client's mcp.json (others: attache mcp-json --help):\n{json:#}"));
    }
}
