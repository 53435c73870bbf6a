//! Applications that this program starts itself.

use super::upstream::Upstream;
use crate::children::{Caps, Supervision, inherited};
use crate::functions::{Address, AppBuilder, Launch, Recipe, Served, StartError, Told, handler_error};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The command of an application that serves HTTP on a loopback port.
#[derive(Debug)]
#[must_use]
pub struct AppCommand {
    recipe: Recipe,
    address: Address,
}

impl AppCommand {
    /// The command and its arguments. `{port}` in an argument or a variable is the port on which the application has to listen.
    pub fn new(name: &str, program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let launch = Launch {
            program: program.as_ref().to_owned(),
            arguments: arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect(),
            environment: inherited(),
            directory: PathBuf::from("."),
            ..Launch::default()
        };
        let recipe = Recipe { app: name.into(), levels: Arc::new([]), launch, port: None, told: Told::Placeholder };
        Self { recipe, address: Address::new(None) }
    }

    /// The custom handler of a function app that is a server of its own
    /// ([`HostFile::handler_routes`](crate::functions::HostFile::handler_routes)).
    ///
    /// # Errors
    /// If the program is not set, or the app has functions as well.
    pub fn handler(app: &AppBuilder) -> Result<Self, StartError> {
        Ok(Self { recipe: app.handler()?, address: Address::new(None) })
    }

    /// The application as the upstream of a proxy. Requests wait until it is started.
    pub fn upstream(&self) -> Upstream {
        Upstream::at(self.address.subscribe())
    }

    /// Sets an environment variable. Otherwise the process inherits only `HOME`, `LOGNAME`, `PATH`, `SHELL`, `TERM` and `USER`.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.recipe.launch.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the working directory.
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        directory.as_ref().clone_into(&mut self.recipe.launch.directory);
        self
    }

    /// Sets the port on which the application listens; by default a free one is chosen at each start.
    pub const fn port(mut self, port: u16) -> Self {
        self.recipe.port = Some(port);
        self
    }

    /// Limits what the process and its descendants may use.
    pub fn caps(mut self, caps: Caps) -> Self {
        self.recipe.launch.caps = caps;
        self
    }

    /// Supervises the process. Without a supervision, it may survive this process if this process is killed.
    pub fn supervision(mut self, supervision: &Supervision) -> Self {
        self.recipe.launch.supervision = Some(supervision.clone());
        self
    }

    /// Starts the application, and starts it again when it ends. Call it in a Tokio runtime.
    pub fn start(self) -> RunningApp {
        RunningApp(Served::keep(self.recipe, None, self.address))
    }

    /// Starts the application, and waits until it answers. It is started again when it ends.
    ///
    /// # Errors
    /// If it ends, or does not answer in time.
    pub async fn started(self) -> Result<RunningApp, StartError> {
        match self.recipe.serve(self.address).await {
            Ok((served, _)) => Ok(RunningApp(served)),
            Err(failure) => Err(handler_error(&failure)),
        }
    }
}

/// The process of an application. Dropping it kills the process.
#[derive(Debug)]
pub struct RunningApp(Served);

impl RunningApp {
    /// Ends the process: SIGTERM, a wait, SIGKILL.
    pub async fn stop(&self) {
        self.0.stop().await;
    }
}
