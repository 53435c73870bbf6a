//! Backends as the library runs them.

use super::{Backend, Place, Program};
use crate::fault::Fault;
use attache_host::backend;
use attache_host::bridge::Bridge;
use attache_host::children::Supervision;
#[cfg(unix)]
use attache_host::client::SerialPort;
use attache_host::client::{Credential, Error, ServerCommand, Version};
use attache_host::files::{PromptFiles, ResourceFiles, ToolFiles};
use attache_host::proxy::{AppCommand, Upstream};
use std::ffi::OsString;
use std::sync::Arc;

/// A backend that can be added to a server.
#[derive(Clone)]
pub(crate) enum Made {
    Bridge(Arc<Bridge>),
    Files(Arc<dyn backend::Backend>),
}

impl core::fmt::Debug for Made {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Made").finish_non_exhaustive()
    }
}

impl Made {
    pub(crate) fn backend(&self) -> Arc<dyn backend::Backend> {
        match self {
            Self::Bridge(bridge) => Arc::clone(bridge) as _,
            Self::Files(files) => Arc::clone(files),
        }
    }

    /// Whether the backend can be called. A directory always can.
    pub(crate) fn is_connected(&self) -> bool {
        match self {
            Self::Bridge(bridge) => bridge.is_connected(),
            Self::Files(_) => true,
        }
    }

    /// Waits until the backend has published its entries, or until the first attempt has failed.
    ///
    /// # Errors
    /// Why the attempt has failed.
    pub(crate) async fn tried(&self) -> Result<(), Option<Error>> {
        match self {
            Self::Bridge(bridge) => bridge.tried().await,
            Self::Files(_) => Ok(()),
        }
    }

    /// Returns the revision that is spoken with another server, while it is connected.
    pub(crate) fn revision(&self) -> Option<Version> {
        match self {
            Self::Bridge(bridge) => bridge.revision(),
            Self::Files(_) => None,
        }
    }

    /// Waits until the backend has published its entries.
    pub(crate) async fn connected(&self) {
        if let Self::Bridge(bridge) = self {
            bridge.connected().await;
        }
    }
}

impl Backend {
    /// Makes the backend. `supervision` is that of the children of the program. `on_end` is called when
    /// the connection to a server has ended.
    ///
    /// # Errors
    /// If the files of a directory cannot be used.
    pub(crate) fn make(
        &self,
        supervision: &Supervision,
        on_end: impl Fn(&Error) + Send + Sync + 'static,
    ) -> Result<Made, String> {
        let command = |program: &Program| self.children.limited(program.command(), supervision);
        let bridge = match &self.place {
            #[cfg(unix)]
            Place::Url { url, .. } if let Some(Ok(port)) = SerialPort::parse(url) => Bridge::serial(&self.name, port),
            Place::Url { url, old_transport: true } => Bridge::old_http(&self.name, url),
            Place::Url { url, .. } => Bridge::http(&self.name, url),
            Place::Served { program, url } => Bridge::served(&self.name, command(program), url),
            Place::Command(program) => Bridge::command(&self.name, command(program)),
            Place::Tools(directory) => {
                let tools = ToolFiles::open(directory).map_err(|error| error.to_string())?;
                return Ok(Made::Files(Arc::new(tools.caps(self.children.caps()).supervision(supervision))));
            }
            Place::Prompts(directory) => {
                let prompts = PromptFiles::open(directory).map_err(|error| error.to_string())?;
                return Ok(Made::Files(Arc::new(prompts)));
            }
            Place::Resources(directory) => {
                let resources = ResourceFiles::open(&self.name, directory).map_err(|error| error.to_string())?;
                return Ok(Made::Files(Arc::new(resources)));
            }
        };
        let mut bridge = self.configured(self.children.bridged(bridge.on_end(on_end)));
        if let Some(auth) = &self.auth {
            bridge = bridge.downstream(self.downstream(auth)?);
            if auth.anonymous_lists {
                bridge = bridge.anonymous_lists();
            }
        }
        Ok(Made::Bridge(Arc::new(bridge)))
    }

    /// The origin of the application behind a proxy, with the port in place of `{port}` if it is not fixed.
    ///
    /// # Errors
    /// If the URL cannot be that of an application.
    pub(in crate::config) fn app_url(&self) -> Result<reqwest::Url, Fault> {
        let (url, is_child) = match &self.place {
            Place::Served { url, .. } => (url.replace("{port}", "1"), true),
            Place::Url { url, .. } => (url.clone(), false),
            _ => (String::new(), false),
        };
        Upstream::url(&url).map_err(|error| self.fault(&error.to_string()))?;
        let parsed = reqwest::Url::parse(&url).map_err(|error| self.fault(&error.to_string()))?;
        let is_local = matches!(parsed.host_str(), Some("127.0.0.1" | "localhost"));
        if is_child && !(parsed.scheme() == "http" && is_local) {
            return Err(self.fault("the url of a command must begin with http://127.0.0.1 or http://localhost"));
        }
        Ok(parsed)
    }

    /// Makes the upstream of a proxy, and the command of the application if this program starts it.
    ///
    /// # Errors
    /// If the URL cannot be that of an application.
    pub(crate) fn upstream(&self) -> Result<(Upstream, Option<AppCommand>), Fault> {
        let url = self.app_url()?;
        let Place::Served { program, url: written } = &self.place else {
            let upstream = Upstream::url(url.as_str()).map_err(|error| self.fault(&error.to_string()))?;
            return Ok((upstream, None));
        };
        let (first, rest) = program.words.split_first().map_or((OsString::new(), &[][..]), |(p, a)| (p.clone(), a));
        let mut command = AppCommand::new(&self.name, first, rest).caps(self.children.caps());
        for (name, value) in &program.environment {
            command = command.env(name, value);
        }
        if let Some(directory) = &program.directory {
            command = command.directory(directory);
        }
        if !written.contains("{port}") {
            command = command.port(url.port_or_known_default().unwrap_or(80));
        }
        Ok((command.upstream(), Some(command)))
    }

    /// Applies the settings of a connection to a bridge.
    fn configured(&self, mut bridge: Bridge) -> Bridge {
        if let Some(file) = &self.token_file {
            bridge = bridge.credential(Credential::BearerFile(file.clone()));
        }
        for (name, value) in &self.headers {
            bridge = bridge.header(name.clone(), value.clone());
        }
        if self.plain_http {
            bridge = bridge.allow_plain_http();
        }
        if self.keeps_entries {
            bridge = bridge.keep_entries();
        }
        match self.version {
            Some(version) => bridge.version(version),
            None => bridge,
        }
    }

    /// Whether the backend starts child processes.
    pub(crate) const fn has_children(&self) -> bool {
        matches!(self.place, Place::Command(_) | Place::Served { .. } | Place::Tools(_))
    }
}

impl Program {
    fn command(&self) -> ServerCommand {
        let (program, arguments) = self.words.split_first().map_or((OsString::new(), &[][..]), |(p, a)| (p.clone(), a));
        let mut command = ServerCommand::new(program, arguments);
        for (name, value) in &self.environment {
            command = command.env(name, value);
        }
        match &self.directory {
            Some(directory) => command.directory(directory),
            None => command,
        }
    }
}
