//! `attache functions`: runs a function app, whose MCP triggers become tools, resources and prompts.

mod handler;
mod http;
mod new;

use super::children;
use super::config::{Config, Layers, ServerConfig};
use super::fault::{Fault, Faults, Origin};
use super::print::{complain, print, say};
use super::problem::Problem;
use super::reload::Read;
use super::serve::Serve;
use super::settings::Settings;
use attache_core::auth::Gate;
use attache_host::Server;
use attache_host::backend::{Backend, Kind};
use attache_host::functions::{App, AppBuilder, HostFile, HttpLevel, StartError, WithHeadersLayer};
use attache_host::proxy::AppCommand;
use axum::Router;
use clap::{Args, Subcommand};
use core::cell::{Cell, OnceCell};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Run a function app, as it is, without its platform: its MCP triggers become tools, resources and prompts
///
/// DIR has the host.json of the app, and its code in Python (v2 model) or Node.js (v4 model), or the build output of
/// a .NET isolated app. An app whose host.json has the profile mcp-custom-handler, or routes for its custom handler, is a server
/// of its own: its handler is started, and gets the requests as they are. Every setting of `attache serve` holds here too, such as keys, tokens and TLS. The server
/// listens on 127.0.0.1:7071 at /runtime/webhooks/mcp unless told otherwise; a handler has its own paths.
#[derive(Args, Debug)]
#[command(after_help = AFTER, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Functions {
    #[command(subcommand)]
    command: Option<Command>,

    /// Directory of the function app
    #[arg(value_name = "DIR", required = true)]
    directory: Option<PathBuf>,

    /// Directory of the platform's worker for the language of the app (it has a worker.config.json); without it, an
    /// installed one is looked for, and then the worker of this program is used
    #[arg(long, value_name = "DIR", help_heading = "Function app")]
    worker: Option<PathBuf>,

    /// Number of worker processes [env: FUNCTIONS_WORKER_PROCESS_COUNT]
    #[arg(long, value_name = "NUMBER", help_heading = "Function app", value_parser = clap::value_parser!(u8).range(1..=10))]
    processes: Option<u8>,

    /// Set a variable of the app, or pass on one of this program; repeatable. Values of local.settings.json are set anyway
    #[arg(long = "env", value_name = "NAME[=VALUE]", help_heading = "Function app")]
    environment: Vec<String>,

    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
}

const AFTER: &str = "\
Examples:
  attache functions new --python weather-app
  attache functions weather-app
  attache functions --auth-keys-file keys --listen 0.0.0.0:8443 --tls-certificate cert.pem --tls-key key.pem weather-app";

impl Functions {
    pub(super) fn run(self) -> Result<(), Problem> {
        if let Some(Command::New(new)) = self.command {
            return new.run();
        }
        let builder = self.builder()?;
        let layers = self.serve.settings.layers()?;
        if let Some(routes) = builder.host().handler_routes() {
            return self.run_handler(&builder, layers, &routes);
        }
        let config = config(layers, self.directory(), builder.host())?;
        check_key(&config, builder.host())?;
        let config = self.serve.with_tools(config)?;
        let read = self.reader(builder.host().clone());
        let version = builder.host().server_version.clone().unwrap_or_else(|| "1.0.0".to_owned());
        let (access, limit) = (http::Access::of(&config), config.limits.body);
        let (app, doors) = (OnceCell::new(), Cell::new(None));
        let make = |config: &ServerConfig| {
            let server = Server::new(config.name(), &version);
            if let Some(app) = app.get() {
                server.backends().add("", Arc::new(App::clone(app)));
            }
            server
        };
        let start = async {
            let builder = builder.supervision(&children::with_watchdog(&config));
            let started = builder.start().await.map_err(|error| explain(&error))?;
            print_entries(&started);
            // The file of keys is watched by a task.
            doors.set(Some(access.doors()?));
            if config.watch {
                tokio::spawn(App::clone(&started).watch());
            }
            // It is set only here.
            let _ = app.set(started);
            Ok(())
        };
        let wrap = |router: Router| match (app.get(), doors.take()) {
            (Some(app), Some(doors)) => http::add(router.layer(WithHeadersLayer), app, doors, limit),
            _ => router,
        };
        self.serve.run_after(&config, read, &make, start, &wrap)
    }

    /// Serves an app whose custom handler is a server of its own.
    fn run_handler(self, app: &AppBuilder, layers: Layers, routes: &[(String, HttpLevel)]) -> Result<(), Problem> {
        if self.worker.is_some() || self.processes.is_some() {
            complain(
                "warning: --worker and --processes have no effect on a custom handler that is a server of its own",
            );
        }
        app.host().ignored.iter().for_each(|what| complain(&format!("warning: {what}")));
        let config = handler::config(layers, self.directory(), app, routes)?;
        let make = |config: &ServerConfig| Server::new(config.name(), "1.0.0");
        let (serve, directory) = (self.serve.clone(), self.directory().to_owned());
        let (app, routes) = (app.clone(), routes.to_vec());
        let read: Read = Box::new(move || handler::config(serve.settings.layers_again()?, &directory, &app, &routes));
        self.serve.run_after(&config, read, &make, async { Ok(()) }, &|router| router)
    }

    /// Reads the configuration again.
    fn reader(&self, host: HostFile) -> Read {
        let (serve, directory) = (self.serve.clone(), self.directory().to_owned());
        Box::new(move || Ok(serve.with_tools(config(serve.settings.layers_again()?, &directory, &host)?)?))
    }

    fn directory(&self) -> &Path {
        self.directory.as_deref().unwrap_or(Path::new("."))
    }

    fn builder(&self) -> Result<AppBuilder, Fault> {
        let mut builder = App::at(self.directory()).map_err(|error| Fault::of(error.to_string()))?;
        if let Some(worker) = &self.worker {
            builder = builder.worker(worker);
        }
        if let Some(processes) = self.processes {
            builder = builder.processes(processes.into());
        }
        for text in &self.environment {
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, OsString::from(value)),
                None => (text.as_str(), std::env::var_os(text).ok_or_else(|| unset(text))?),
            };
            builder = builder.env(name, value);
        }
        Ok(builder)
    }
}

/// The configuration of an app, with the defaults of the platform.
fn config(layers: Layers, directory: &Path, host: &HostFile) -> Result<Config, Problem> {
    let defaults = [("path", "/runtime/webhooks/mcp"), ("auth.key_level", "system")];
    Ok(with_defaults(layers, directory, host, &defaults)?.config()?)
}

/// Adds the defaults of the platform for all apps, and these.
fn with_defaults(
    mut layers: Layers,
    directory: &Path,
    host: &HostFile,
    defaults: &[(&str, &str)],
) -> Result<Layers, Fault> {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let own = || directory.file_name().map_or_else(|| "functions".to_owned(), |name| name.to_string_lossy().into());
    let mut faults = Faults::default();
    let name = host.server_name.clone().unwrap_or_else(own);
    for (key, text) in [("listen", "127.0.0.1:7071"), ("name", name.as_str())].iter().chain(defaults) {
        faults.or_default(layers.set_default(key, (*text).to_owned()));
    }
    if let Some(text) = &host.instructions {
        faults.or_default(layers.set_default("instructions", text.clone()));
    }
    faults.end().map(|()| layers)
}

/// Returns the configuration of the app in a directory, and the version in its `host.json`.
pub(super) fn config_of(settings: &Settings, directory: &Path) -> Result<(Config, Option<String>), Problem> {
    let app = App::at(directory).map_err(|error| Fault::of(error.to_string()))?;
    let (layers, version) = (settings.layers()?, app.host().server_version.clone());
    let config = match app.host().handler_routes() {
        Some(routes) => {
            let mut config = handler::config(layers, directory, &app, &routes)?;
            // The proxy has all paths, and clients use one of them.
            config.servers.iter_mut().for_each(|server| handler::MCP_PATH.clone_into(&mut server.path));
            config
        }
        None => config(layers, directory, app.host())?,
    };
    Ok((config, version))
}

fn unset(name: &str) -> Fault {
    Fault::at(Origin::Flag("env".to_owned()), format!("{name} is not set: write {name}=VALUE"))
}

/// Refuses to serve other machines without the key that `host.json` asks for.
fn check_key(config: &Config, host: &HostFile) -> Result<(), Fault> {
    let needs_key = !host.is_anonymous && !config.listen.is_local();
    let [server] = config.servers.as_slice() else {
        return Err(Fault::of(ONE_SERVER.to_owned()));
    };
    let is_open = matches!(server.protection.gate, Some(Gate::Open(_)));
    if needs_key && server.protection.keys_file.is_none() && !is_open {
        return Err(Fault::of(
            "host.json asks for the system key mcp_extension (extensions.mcp.system.webhookAuthorizationLevel), and there is no \
             key: run attache key add mcp_extension --level system --keys-file KEYS, and give --auth-keys-file KEYS. To serve \
             without a key, set the level to Anonymous"
                .to_owned(),
        ));
    }
    Ok(())
}

const ONE_SERVER: &str = "attache functions serves one app: the configuration file may have one [[server]]";

/// Prints what an app has written before it failed, and returns the advice.
fn explain(error: &StartError) -> Problem {
    if let StartError::Load { output, advice } = error {
        let _ = writeln!(std::io::stderr(), "{output}");
        return Fault::of(advice.clone()).into();
    }
    Fault::of(error.to_string()).into()
}

/// Loads an app and prints what it offers, and what has no effect in its files.
///
/// # Errors
/// If the app cannot be run.
pub(super) fn check(directory: &Path) -> Result<(), Problem> {
    let builder = App::at(directory).map_err(|error| Fault::of(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
    runtime.block_on(async {
        if builder.host().handler_routes().is_some() {
            let handler = AppCommand::handler(&builder).map_err(|error| explain(&error))?;
            handler.started().await.map_err(|error| explain(&error))?.stop().await;
            return Ok(());
        }
        let app = builder.start().await.map_err(|error| explain(&error))?;
        print_entries(&app);
        app.stop().await;
        Ok::<_, Problem>(())
    })?;
    print("The function app is valid\n")
}

fn print_entries(app: &App) {
    for warning in app.warnings() {
        complain(&format!("warning: {warning}"));
    }
    for (kind, name) in app.entries() {
        let kind = match kind {
            Kind::Tool => "tool",
            Kind::Prompt => "prompt",
            Kind::Resource => "resource",
            Kind::Template => "template",
        };
        say(&format!("{kind:8} {name}"));
    }
    for route in app.http_routes() {
        say(&format!("http     {route}"));
    }
}
