//! What a server is made of.

use crate::auth::Auth;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::observe::Observe;
use crate::tools::{
    Changes, Completing, Ctx, Handler, IntoToolOutput, Prompt, Resource, Taken, Tool, blocking, completion,
};
use attache_core::seal::Key;
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
    pub fn tool<A, R, H>(self, name: &str, description: &str, handler: H) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoToolOutput,
        H: Handler<A, R>,
    {
        self.with_tool(Tool::new(name, description, handler))
    }

    /// Adds a tool whose closure takes its time without awaiting: it runs on threads of its own, of which there are
    /// [`BLOCKING`](crate::limits::BLOCKING) for each such tool; further calls wait. A call that is cancelled runs to its end,
    /// unheard.
    ///
    /// # Panics
    /// As [`tool`](Server::tool).
    #[must_use]
    pub fn tool_blocking<A, R, F>(self, name: &str, description: &str, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoToolOutput,
        F: Fn(A, Ctx) -> R + Send + Sync + 'static,
    {
        self.with_tool(Tool::new(name, description, blocking(handler)))
    }

    /// Adds a tool that says more of itself.
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    pub fn with_tool(self, tool: Tool) -> Self {
        added(self.engine.changes.add_tool(tool));
        self
    }

    /// Adds a prompt.
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    pub fn with_prompt(self, prompt: Prompt) -> Self {
        added(self.engine.changes.add_prompt(prompt));
        self
    }

    /// Adds a resource.
    ///
    /// # Panics
    /// If the URI is taken.
    #[must_use]
    pub fn with_resource(self, resource: Resource) -> Self {
        added(self.engine.changes.add_resource(resource));
        self
    }

    /// Adds a template: it answers for every URI that fits it and has no resource of its own.
    ///
    /// # Panics
    /// If there is the same template already.
    #[must_use]
    pub fn with_template(self, template: Resource) -> Self {
        added(self.engine.changes.add_template(template));
        self
    }

    /// Completes arguments of prompts and variables of templates: `handler` is given what is typed and answers what it could
    /// become, best first. A hundred are sent at most.
    #[must_use]
    pub fn completion<H: Handler<Completing, Vec<String>>>(self, handler: H) -> Self {
        self.engine.changes.edit(|offers| offers.complete_with(completion(handler)));
        self
    }

    /// Lets handlers write to the log of clients that ask for it ([`Ctx::log`](crate::Ctx::log)).
    #[must_use]
    pub fn logging(self) -> Self {
        self.engine.changes.edit(|offers| offers.logging = true);
        self
    }

    /// Lets clients subscribe to changes of the lists and of resources; the program makes them, or tells of them, by
    /// [`changes`](Server::changes).
    #[must_use]
    pub fn subscriptions(self) -> Self {
        self.engine.changes.edit(|offers| offers.subscriptions = true);
        self
    }

    /// Declares an extension of the protocol by its identifier, such as `com.example/name`, and its settings. What it means is
    /// the business of the handlers: see [`Ctx::extension`](crate::Ctx::extension).
    ///
    /// # Panics
    /// If the identifier has no prefix or breaks the grammar of keys (MCP 2026-07-28 basic/index), or is declared already, or
    /// the settings are not an object.
    #[must_use]
    pub fn extension(self, identifier: &str, settings: serde_json::Value) -> Self {
        self.engine.changes.edit(|offers| Arc::make_mut(&mut offers.extensions).declare(identifier, settings));
        self
    }

    /// The handle by which the program adds and removes tools, prompts and resources while the server runs, and tells
    /// subscriptions of changes. Handlers have it as [`Ctx::changes`](crate::Ctx::changes).
    pub fn changes(&self) -> Changes {
        self.engine.changes.clone()
    }

    /// Seals session ids, and what waits with clients for their answers, with the first of these keys of 32 random bytes, and opens
    /// what any of them has sealed. Without it each start of the program has a key of its own, so sessions end with it; replicas
    /// that are to serve each other's sessions need the same keys. To change a key, put the new one in front, and take the old one
    /// away a day later.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn seal_keys(mut self, keys: impl IntoIterator<Item = [u8; 32]>) -> Self {
        self.engine.seal_with(keys.into_iter().map(Key::new).collect());
        self
    }

    /// Lists at most this many entries in one answer; clients ask for the rest. Without it a list comes whole.
    #[must_use]
    pub fn page(mut self, entries: usize) -> Self {
        self.engine.page = entries;
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

    /// Who may call over HTTP. Without it everybody who reaches the server may; standard input and output is for whoever has started
    /// the program.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.engine.protect(auth);
        self
    }

    /// Leaves out of lists what their caller may not use, so that a model is not shown tools whose calls would be refused. Without it
    /// everybody sees everything, and learns by a refusal which scope would help.
    #[must_use]
    pub fn hide_forbidden(mut self) -> Self {
        self.engine.hides_forbidden = true;
        self
    }

    /// A token with scope `broad` is as good as one with `narrow`, too. The first [`IMPLIED`](attache_core::limits::IMPLIED) pairs count.
    #[must_use]
    pub fn implies(self, broad: &str, narrow: &str) -> Self {
        self.engine.changes.edit(|offers| offers.implied.push((broad.to_owned(), narrow.to_owned())));
        self
    }

    /// What callers may cost, instead of the defaults.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.engine.limit(limits);
        self
    }

    /// Has `observer` hear of each message that is answered; there may be several.
    #[must_use]
    pub fn observe(mut self, observer: Arc<dyn Observe>) -> Self {
        self.engine.observe(observer);
        self
    }

    /// The finished server.
    pub fn build(self) -> Arc<Engine> {
        self.engine.auth().prepare();
        Arc::new(self.engine)
    }

    /// The endpoint, to be merged into a router; and where access tokens are asked for, what tells clients where to get them, at the
    /// well-known path that belongs to the public URL of the endpoint (RFC 9728 §3.1).
    #[cfg(feature = "axum")]
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> axum::Router<S> {
        let path = self.path.clone();
        let engine = self.build();
        let router = axum::Router::new().route_service(&path, crate::http::McpService::new(Arc::clone(&engine)));
        match engine.auth().resource().and_then(|resource| metadata(&engine, &resource.metadata_path().concat())) {
            Some(metadata) => router.merge(metadata),
            None => router,
        }
    }

    /// The metadata of the endpoint for clients that look for it at the root of the host, to be merged into a router by one server of
    /// it; nothing where no access tokens are asked for. That at the path of the endpoint is among its [`routes`](Server::routes).
    #[cfg(feature = "axum")]
    pub fn root_metadata<S: Clone + Send + Sync + 'static>(&self) -> Option<axum::Router<S>> {
        metadata(&self.engine, "/.well-known/oauth-protected-resource")
    }
}

/// The metadata of the endpoint at this path (RFC 9728): public, and for pages of any origin to read.
#[cfg(feature = "axum")]
fn metadata<S: Clone + Send + Sync + 'static>(engine: &Engine, path: &str) -> Option<axum::Router<S>> {
    use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
    let auth = Arc::clone(engine.auth());
    // The metadata would show that a hidden endpoint exists.
    auth.resource().filter(|_| !auth.is_hidden())?;
    let fields = [
        (CONTENT_TYPE, "application/json"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (CACHE_CONTROL, "public, max-age=300"),
    ];
    let answer = async move |request: axum::extract::Request| {
        let (head, _) = request.into_parts();
        (fields, auth.url(&head).and_then(|url| auth.metadata(&url)).unwrap_or_default())
    };
    Some(axum::Router::new().route(path, axum::routing::get(answer)))
}

/// A name that is taken is a mistake in the program, found at its start.
fn added(added: Result<(), Taken>) {
    if let Err(taken) = added {
        panic!("{taken}");
    }
}
