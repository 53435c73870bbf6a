//! What a server is made of.

use crate::auth::Auth;
use crate::backend::{Backend, Backends};
use crate::budget::Budget;
use crate::call::{Completing, IntoToolOutput};
use crate::engine::Engine;
use crate::limits::Limits;
use crate::observe::Observe;
use crate::offer::{Changes, Ctx, Handler, Prompt, Resource, Taken, Tool, blocking, completion};
use attache_core::seal::Key;
use core::fmt;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// An MCP server in the making: a name, a version, and tools.
#[derive(Debug)]
pub struct Server {
    path: String,
    engine: Engine,
}

/// A path that does not begin with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPath {
    /// The path.
    pub path: String,
}

impl fmt::Display for InvalidPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path {:?} must begin with a slash", self.path)
    }
}

impl core::error::Error for InvalidPath {}

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
    #[track_caller]
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
    #[track_caller]
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
    #[track_caller]
    #[must_use]
    pub fn with_tool(self, tool: Tool) -> Self {
        added(self.engine.changes.add_tool(tool));
        self
    }

    /// Adds a prompt.
    ///
    /// # Panics
    /// If the name is taken.
    #[track_caller]
    #[must_use]
    pub fn with_prompt(self, prompt: Prompt) -> Self {
        added(self.engine.changes.add_prompt(prompt));
        self
    }

    /// Adds a resource.
    ///
    /// # Panics
    /// If the URI is taken.
    #[track_caller]
    #[must_use]
    pub fn with_resource(self, resource: Resource) -> Self {
        added(self.engine.changes.add_resource(resource));
        self
    }

    /// Adds a template: it answers for every URI that fits it and has no resource of its own.
    ///
    /// # Panics
    /// If there is the same template already.
    #[track_caller]
    #[must_use]
    pub fn with_template(self, template: Resource) -> Self {
        added(self.engine.changes.add_template(template));
        self
    }

    /// Adds a backend: what it publishes is served beside what the program itself offers. The names of its tools and prompts get
    /// `prefix`, which may be empty.
    #[must_use]
    pub fn backend(self, prefix: &str, backend: impl Backend) -> Self {
        self.engine.backends.add(prefix, Arc::new(backend));
        self
    }

    /// The handle by which the program adds, removes and stops backends while the server runs.
    pub fn backends(&self) -> Backends {
        self.engine.backends.clone()
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
    #[track_caller]
    #[must_use]
    pub fn extension(self, identifier: &str, settings: serde_json::Value) -> Self {
        // Not in the closure: a panic names the caller of this method.
        let mut extensions = Arc::clone(&self.engine.changes.offers().extensions);
        Arc::make_mut(&mut extensions).declare(identifier, settings);
        self.engine.changes.edit(|offers| offers.extensions = extensions);
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
    #[track_caller]
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
    /// # Errors
    /// [`InvalidPath`] if the path does not begin with a slash.
    pub fn path(mut self, path: &str) -> Result<Self, InvalidPath> {
        if !path.starts_with('/') {
            return Err(InvalidPath { path: path.to_owned() });
        }
        path.clone_into(&mut self.path);
        Ok(self)
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

    /// Draws memory from this budget, which other servers of the process may share. Without it the server has a budget of its own, of
    /// [`Limits::memory`].
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.engine.draw_from(budget);
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
        self.engine.keeps_within_budget();
        self.engine.auth().prepare();
        Arc::new(self.engine)
    }

    /// The endpoint and, if it takes access tokens, its [`metadata`](Server::metadata), to be merged into a router at the root of the
    /// host. Do not nest it: clients look for the metadata at a path that begins at the root. To nest an endpoint, merge its metadata
    /// at the root and nest the [`endpoint`](Server::endpoint):
    ///
    /// ```
    /// # #[cfg(all(feature = "axum", feature = "auth"))]
    /// # fn router() -> Result<axum::Router, Box<dyn core::error::Error>> {
    /// # use attache_host::Server;
    /// # use attache_host::auth::{Auth, Issuer, Tokens};
    /// let tokens = Tokens::of("https://api.example/v1/mcp", Issuer::discovered("https://id.example")?)?;
    /// let server = Server::new("thermostat", "1").auth(Auth::tokens(tokens));
    /// let metadata: axum::Router = server.metadata();
    /// let router = metadata.nest("/v1", server.endpoint());
    /// # Ok(router)
    /// # }
    /// ```
    #[cfg(feature = "axum")]
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> axum::Router<S> {
        self.metadata().merge(self.endpoint())
    }

    /// The endpoint alone, at its path.
    #[cfg(feature = "axum")]
    pub fn endpoint<S: Clone + Send + Sync + 'static>(self) -> axum::Router<S> {
        let path = self.path.clone();
        let service = crate::http::McpService::new(self.build());
        let mut router = axum::Router::new().without_v07_checks().route_service(&path, service.clone());
        if !path.ends_with('/') {
            // People add a slash, and clients do not tell them.
            router = router.route_service(&format!("{path}/"), service);
        }
        router
    }

    /// The document that tells clients where to get access tokens, at the well-known path that belongs to the public URL of the endpoint
    /// (RFC 9728 §3.1); an empty router if the endpoint takes none.
    #[cfg(feature = "axum")]
    pub fn metadata<S: Clone + Send + Sync + 'static>(&self) -> axum::Router<S> {
        let path = self.engine.auth().resource().map(|resource| resource.metadata_path().concat());
        path.and_then(|path| metadata(&self.engine, &path)).unwrap_or_default()
    }

    /// The [`metadata`](Server::metadata) for clients that look for it at the root of the host, to be merged into a router by one server of
    /// it. Nothing if the endpoint takes no access tokens, or if its public URL has no path: the root is then the one place.
    #[cfg(feature = "axum")]
    pub fn root_metadata<S: Clone + Send + Sync + 'static>(&self) -> Option<axum::Router<S>> {
        const ROOT: &str = "/.well-known/oauth-protected-resource";
        let is_own = self.engine.auth().resource()?.metadata_path().concat() == ROOT;
        if is_own { None } else { metadata(&self.engine, ROOT) }
    }
}

/// The metadata of the endpoint at this path (RFC 9728): public, and for pages of any origin to read.
#[cfg(feature = "axum")]
fn metadata<S: Clone + Send + Sync + 'static>(engine: &Engine, path: &str) -> Option<axum::Router<S>> {
    use http::header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE, VARY,
    };
    let auth = Arc::clone(engine.auth());
    // The metadata would show that a hidden endpoint exists.
    auth.resource().filter(|_| !auth.is_hidden())?;
    // RFC 9110 §12.5.5 and RFC 9111 §3.5: where a proxy says how the endpoint is called, the document is only for clients that come
    // by the same way.
    let (cache, vary) = match auth.url_fields() {
        None => ("public, max-age=300", None),
        Some([host, proto]) => ("private, max-age=300", Some([(VARY, format!("{host}, {proto}"))])),
    };
    let fields = [(CONTENT_TYPE, "application/json"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CACHE_CONTROL, cache)];
    let answer = async move |request: axum::extract::Request| {
        let (head, _) = request.into_parts();
        let vary = axum::response::AppendHeaders(vary.into_iter().flatten());
        (fields, vary, auth.url(&head).and_then(|url| auth.metadata(&url)).unwrap_or_default())
    };
    // Fetch Standard §3.3.2: clients send the version of the protocol along, which a page may do only after a preflight.
    let preflight = async || {
        let fields = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, "GET"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "*, Authorization"),
            (ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        (http::StatusCode::NO_CONTENT, fields)
    };
    // To a router braces are a pattern; here they are characters of the URL.
    let path = path.replace('{', "{{").replace('}', "}}");
    Some(axum::Router::new().without_v07_checks().route(&path, axum::routing::get(answer).options(preflight)))
}

/// A name that is taken is a mistake in the program, found at its start.
#[track_caller]
fn added(added: Result<(), Taken>) {
    if let Err(taken) = added {
        panic!("{taken}");
    }
}
