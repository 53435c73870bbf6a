//! What a server is made of.

use crate::engine::Engine;
use crate::tools::{AsyncTool, IntoToolOutput};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// An MCP server in the making: a name, a version, and tools.
#[derive(Debug)]
pub struct Server {
    path: String,
    engine: Engine,
}

impl Server {
    /// A server with a name and a version of its own. It answers on `/mcp`, to the names of this machine alone
    /// (`localhost`, `127.0.0.1`, `[::1]`), until [`hosts`](Server::hosts) says otherwise.
    pub fn new(name: &str, version: &str) -> Self {
        Self { path: "/mcp".to_owned(), engine: Engine::new(name, version) }
    }

    /// Words for the model on how to use this server.
    #[must_use]
    pub fn instructions(mut self, text: &str) -> Self {
        self.engine.instruct(text);
        self
    }

    /// Adds a tool: `description` is for the model, the schema of the arguments comes from their type.
    ///
    /// Arguments that do not fit the type never reach `handler`; the model is told what to mend. Arguments that the type
    /// does not name are refused, unless the type takes them (`#[serde(flatten)]` into a map).
    ///
    /// # Panics
    /// If the name is taken, or is not 1 to 128 characters of `A-Z a-z 0-9 _ - .`, or if the schema of the arguments is
    /// not that of an object. Each is a mistake in the program, found at its start.
    #[must_use]
    pub fn tool<A, R, F>(mut self, name: &str, description: &str, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoToolOutput,
        F: AsyncTool<A, R>,
    {
        self.engine.tools.add(name, description, handler);
        self
    }

    /// Answers on this path instead of `/mcp`.
    ///
    /// # Panics
    /// If the path does not begin with a slash.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        assert!(path.starts_with('/'), "path {path:?} must begin with a slash");
        path.clone_into(&mut self.path);
        self
    }

    /// The names, without port, by which clients call this server; they replace those of the machine itself. With no
    /// name at all any `Host` is served: do that only where something in front has checked it.
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.engine.hosts = names.into_iter().collect();
        self
    }

    /// Origins of web pages that may call, such as `https://app.example`, besides pages of this server's own hosts.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        self.engine.origins = origins.into_iter().collect();
        self
    }

    /// The finished server.
    pub fn build(self) -> Arc<Engine> {
        Arc::new(self.engine)
    }

    /// The endpoint, to be merged into a router.
    #[cfg(feature = "axum")]
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> axum::Router<S> {
        let path = self.path.clone();
        axum::Router::new().route_service(&path, crate::http::McpService::new(self.build()))
    }
}
