//! The builder of a server.

use crate::auth::Auth;
use crate::backend::{Backend, Backends};
use crate::budget::Budget;
use crate::call::{CompletionRequest, IntoToolOutput};
#[cfg(feature = "oauth-client")]
use crate::downstream::{Downstream, Downstreams};
use crate::engine::Server;
use crate::limits::Limits;
use crate::observe::Observe;
use crate::offer::{AddError, Changes, Ctx, Handler, Prompt, Resource, States, Tool, completion};
use crate::policy::Policy;
use crate::session::neighbours::Neighbours;
use crate::store::SessionStore;
use attache_core::seal::Key;
use core::fmt;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The builder of a [`Server`]: a name, a version, and tools. [`Server::new`] creates it.
#[derive(Debug)]
pub struct ServerBuilder {
    path: String,
    /// Whether the endpoint offers the transport of revision 2024-11-05, too.
    #[cfg(feature = "axum")]
    has_http_sse: bool,
    server: Server,
    states: States,
    #[cfg(feature = "oauth-client")]
    downstreams: Downstreams,
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
    /// Begins a server with a name and a version. It answers on `/mcp`, and only to the names of
    /// this machine (`localhost`, `127.0.0.1`, `[::1]`), until [`hosts`](ServerBuilder::hosts) sets
    /// others.
    #[expect(clippy::new_ret_no_self, reason = "an author writes the name of what is built, not of its builder")]
    pub fn new(name: &str, version: &str) -> ServerBuilder {
        ServerBuilder {
            path: "/mcp".to_owned(),
            #[cfg(feature = "axum")]
            has_http_sse: false,
            server: Self::empty(name, version),
            states: States::default(),
            #[cfg(feature = "oauth-client")]
            downstreams: Downstreams::default(),
        }
    }
}

impl ServerBuilder {
    /// Instructions for the model on how to use this server.
    #[must_use]
    pub fn instructions(mut self, text: &str) -> Self {
        self.server.instruct(text);
        self
    }

    /// Gives handlers a value of the program, such as a connection pool: [`Ctx::state`] returns it by
    /// its type. There may be one value of each type.
    ///
    /// ```
    /// use attache_host::{Ctx, NoArgs, Server};
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// #[derive(Default)]
    /// struct Visits(AtomicU32);
    ///
    /// let server = Server::new("counter", "1.0").state(Visits::default()).tool(
    ///     "visit",
    ///     "Count one visit, and return the number of visits",
    ///     async |_: NoArgs, ctx: Ctx| {
    ///         let visits = ctx.state::<Visits>()?;
    ///         Ok(visits.0.fetch_add(1, Ordering::Relaxed) + 1)
    ///     },
    /// );
    /// ```
    ///
    /// With handlers that are methods of one type, [`with`](crate::with) needs no look-up, and
    /// nothing can be missing.
    ///
    /// # Panics
    /// If there is a value of this type already.
    #[track_caller]
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.add(value);
        self
    }

    /// Passes values of this type from the extensions of an HTTP request on to its handler, which
    /// gets them by [`Ctx::request_extension`]. A layer in front of the endpoint sets them, such as
    /// one that looks up a session or a tenant.
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use attache_host::{Ctx, NoArgs, Server};
    /// use axum::Extension;
    ///
    /// #[derive(Clone)]
    /// struct Tenant(String);
    ///
    /// let server = Server::new("billing", "1.0").request_extension::<Tenant>().tool(
    ///     "tenant",
    ///     "The tenant of this request",
    ///     async |_: NoArgs, ctx: Ctx| Ok(ctx.request_extension::<Tenant>()?.0.clone()),
    /// );
    /// let router: axum::Router = server.routes().layer(Extension(Tenant("acme".to_owned())));
    /// # }
    /// ```
    #[must_use]
    pub fn request_extension<T: Clone + Send + Sync + 'static>(mut self) -> Self {
        self.server.passed.declare::<T>();
        self
    }

    /// Lets handlers get tokens for another server by [`Ctx::token_for`], as its `resource` is named. Keeps the access tokens of
    /// callers if the grant needs them.
    #[cfg(feature = "oauth-client")]
    #[must_use]
    pub fn downstream(mut self, tokens: Downstream) -> Self {
        self.server.keeps_caller_tokens |= tokens.needs_caller_token();
        self.downstreams.add(tokens);
        self
    }

    /// Keeps the verified access tokens of callers during their calls, for backends that get tokens on behalf of callers
    /// ([`Bridge::downstream`](crate::bridge::Bridge::downstream)). Handlers cannot read them.
    #[cfg(feature = "oauth-client")]
    #[must_use]
    pub const fn keep_caller_tokens(mut self) -> Self {
        self.server.keeps_caller_tokens = true;
        self
    }

    /// Adds a tool. `description` is for the model. The schema of the arguments is derived from
    /// their type.
    ///
    /// Arguments that do not fit the type never reach `handler`; the model is told what to correct.
    /// Arguments that the type does not name are refused, unless the type collects them
    /// (`#[serde(flatten)]` into a map).
    ///
    /// ```
    /// use attache_host::{Ctx, Server};
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Greet {
    ///     /// the name of the person to greet
    ///     name: String,
    /// }
    ///
    /// let server = Server::new("greeter", "1.0")
    ///     .tool("greet", "Greet a person", async |greet: Greet, _: Ctx| format!("Hello, {}!", greet.name));
    /// ```
    ///
    /// # Panics
    /// If the name is taken, or is not 1 to 128 characters of `A-Z a-z 0-9 _ - .`, or if the schema
    /// of the arguments is not that of an object. Each is a mistake in the program, found at its
    /// start.
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

    /// Adds a tool with a blocking closure, which does not await. It runs on a separate thread;
    /// each such tool has up to [`BLOCKING`](crate::limits::BLOCKING) threads, and further calls
    /// wait. A cancelled call runs to its end, and its result is dropped.
    ///
    /// # Panics
    /// As [`tool`](ServerBuilder::tool).
    #[track_caller]
    #[must_use]
    pub fn tool_blocking<A, R, F>(self, name: &str, description: &str, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoToolOutput,
        F: Fn(A, Ctx) -> R + Send + Sync + 'static,
    {
        self.with_tool(Tool::blocking(name, description, handler))
    }

    /// Adds a [`Tool`], which can declare more than a name and a description.
    ///
    /// # Panics
    /// If the name is taken, or if a member breaks a rule of the protocol ([`AddError`]).
    #[track_caller]
    #[must_use]
    pub fn with_tool(self, tool: Tool) -> Self {
        added(self.server.changes.add_tool(tool));
        self
    }

    /// Adds several tools, such as those of [`tools!`](crate::tools).
    ///
    /// # Panics
    /// If a name is taken, or if a member breaks a rule of the protocol ([`AddError`]).
    #[track_caller]
    #[must_use]
    pub fn with_tools(self, tools: impl IntoIterator<Item = Tool>) -> Self {
        for tool in tools {
            added(self.server.changes.add_tool(tool));
        }
        self
    }

    /// Adds a prompt.
    ///
    /// # Panics
    /// If the name is taken, or if a member breaks a rule of the protocol ([`AddError`]).
    #[track_caller]
    #[must_use]
    pub fn with_prompt(self, prompt: Prompt) -> Self {
        added(self.server.changes.add_prompt(prompt));
        self
    }

    /// Adds a resource.
    ///
    /// # Panics
    /// If the URI is taken, or if a member breaks a rule of the protocol ([`AddError`]).
    #[track_caller]
    #[must_use]
    pub fn with_resource(self, resource: Resource) -> Self {
        added(self.server.changes.add_resource(resource));
        self
    }

    /// Adds a resource template. It serves every URI that matches it and is not a resource of its
    /// own.
    ///
    /// # Panics
    /// If the same template was added before, or if a member breaks a rule of the protocol
    /// ([`AddError`]).
    #[track_caller]
    #[must_use]
    pub fn with_template(self, template: Resource) -> Self {
        added(self.server.changes.add_template(template));
        self
    }

    /// Adds a backend, whose tools, prompts and resources are served in addition to those of the
    /// program itself. The names of its tools and prompts get `prefix`, which may be empty.
    #[must_use]
    pub fn backend(self, prefix: &str, backend: impl Backend) -> Self {
        self.server.backends.add(prefix, Arc::new(backend));
        self
    }

    /// Adds a backend with a policy for its entries. The policy of the server applies, too.
    #[must_use]
    pub fn backend_with_policy(self, prefix: &str, backend: impl Backend, policy: Policy) -> Self {
        self.server.backends.add_with_policy(prefix, Arc::new(backend), policy);
        self
    }

    /// Sets the policy for everything that the server offers: the program's own tools, prompts and
    /// resources, and those of all backends.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        self.server.changes.set_policy(policy);
        self
    }

    /// The handle by which the program adds, removes and stops backends while the server runs.
    pub fn backends(&self) -> Backends {
        self.server.backends.clone()
    }

    /// Whether the server offers no tool, prompt, resource or template so far.
    pub fn is_empty(&self) -> bool {
        self.server.changes.offers().is_empty()
    }

    /// Completes the arguments of prompts and the variables of templates that have no completion of
    /// their own ([`Prompt::complete`], [`Resource::complete`]). `handler` gets the typed text and
    /// returns possible completions, best first. At most a hundred are sent.
    #[must_use]
    pub fn completion<H: Handler<CompletionRequest, Vec<String>>>(self, handler: H) -> Self {
        self.server.changes.edit(|offers| offers.complete_with(completion(handler)));
        self
    }

    /// Lets handlers write to the log of clients that have requested it
    /// ([`Ctx::log`](crate::Ctx::log)).
    #[must_use]
    pub fn logging(self) -> Self {
        self.server.changes.edit(|offers| offers.logging = true);
        self
    }

    /// Lets clients subscribe to changes of the lists and of resources. The program makes or
    /// reports the changes with [`changes`](ServerBuilder::changes).
    #[must_use]
    pub fn subscriptions(self) -> Self {
        self.server.changes.edit(|offers| offers.subscriptions = true);
        self
    }

    /// Declares an extension of the protocol by its identifier, such as `com.example/name`, and its
    /// settings. Handlers implement the extension, see [`Ctx::extension`](crate::Ctx::extension).
    ///
    /// # Panics
    /// If the identifier has no prefix or breaks the grammar of keys (MCP 2026-07-28 basic/index),
    /// or is declared already, or the settings are not an object.
    #[track_caller]
    #[must_use]
    pub fn extension(self, identifier: &str, settings: serde_json::Value) -> Self {
        // Outside of the closure, so that a panic names the caller of this method.
        let mut extensions = Arc::clone(&self.server.changes.offers().extensions);
        Arc::make_mut(&mut extensions).declare(identifier, settings);
        self.server.changes.edit(|offers| offers.extensions = extensions);
        self
    }

    /// The handle by which the program adds and removes tools, prompts and resources while the
    /// server runs, and notifies subscribers of changes. Handlers get it from
    /// [`Ctx::changes`](crate::Ctx::changes).
    pub fn changes(&self) -> Changes {
        self.server.changes.clone()
    }

    /// Seals session ids, and the state that clients return with their answers, with the first of
    /// these keys of 32 random bytes. All keys open sealed values. Without this, each start of the
    /// program generates a key, so sessions end with the program. Replicas that share sessions need
    /// the same keys. To change a key, put the new one first, and remove the old one a day later.
    ///
    /// # Panics
    /// If there are no keys.
    #[track_caller]
    #[must_use]
    pub fn seal_keys(mut self, keys: impl IntoIterator<Item = [u8; 32]>) -> Self {
        self.server.seal_with(keys.into_iter().map(Key::new).collect());
        self
    }

    /// Stores the state of legacy sessions in `store`, which other servers may share: log levels, and which sessions have ended. Without
    /// it the server has a store of its own.
    #[must_use]
    pub fn session_store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.server.store_sessions(store);
        self
    }

    /// Asks `neighbours` where a request belongs to a call of another process of this server: a cancellation, an answer to a question,
    /// a stream that is resumed, or a retry of a call that waits for answers. All processes need the same
    /// [`seal_keys`](ServerBuilder::seal_keys). Without it such a request is refused, so a load balancer has to send all requests of a session,
    /// and retries, to one process. See [`neighbours`](crate::neighbours).
    #[must_use]
    pub fn neighbours(mut self, neighbours: impl Neighbours) -> Self {
        self.server.join(Arc::new(neighbours));
        self
    }

    /// Lists at most this many entries in one answer. Clients request the rest page by page.
    /// Without this, each list is sent whole.
    #[must_use]
    pub fn page_size(mut self, entries: usize) -> Self {
        self.server.page = entries;
        self
    }

    /// Serves this path instead of `/mcp`.
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

    /// Also offers the transport of revision 2024-11-05 (HTTP with SSE) for clients that know no other: a stream of
    /// events at `PATH/sse`, and messages to `PATH/message`. A stream and its messages have to reach the same process.
    #[cfg(feature = "axum")]
    #[must_use]
    pub fn http_sse(mut self) -> Self {
        self.has_http_sse = true;
        self
    }

    /// The host names, without port, by which clients call this server. They replace those of the
    /// machine itself. If empty, the `Host` header is not checked: do that only if a proxy in front
    /// has checked it.
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.server.checks.hosts = names.into_iter().map(Into::into).collect();
        self
    }

    /// Origins of web pages that may call, such as `https://app.example`, in addition to pages of
    /// this server's own hosts.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.server.checks.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Authenticates callers over HTTP. Without it, everyone who can reach the server may call.
    /// Standard input and output always serve the process that has started the program.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.server.protect(auth);
        self
    }

    /// Removes from lists the entries that the caller may not use, so that a model does not see
    /// tools that would be refused. Without it, every caller sees all entries, and a refusal names
    /// the missing scope.
    #[must_use]
    pub fn hide_forbidden(mut self) -> Self {
        self.server.hides_forbidden = true;
        self
    }

    /// Declares that scope `broad` includes scope `narrow`: a token with the first is accepted for
    /// both. Only the first [`IMPLIED`](attache_core::limits::IMPLIED) pairs count.
    #[must_use]
    pub fn scope_implies(self, broad: &str, narrow: &str) -> Self {
        self.server.changes.edit(|offers| offers.implied.push((broad.to_owned(), narrow.to_owned())));
        self
    }

    /// Charges memory to this budget, which other servers of the process may share. Without it the
    /// server has a separate budget of [`Limits::memory`].
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.server.draw_from(budget);
        self
    }

    /// Replaces the default resource limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.server.limit(limits);
        self
    }

    /// Adds an observer, which is notified of each answered message. There may be several.
    #[must_use]
    pub fn observe(mut self, observer: Arc<dyn Observe>) -> Self {
        self.server.observe(observer);
        self
    }

    /// Finishes the server.
    pub fn build(self) -> Arc<Server> {
        #[cfg(feature = "oauth-client")]
        let states = self.states.with(self.downstreams);
        #[cfg(not(feature = "oauth-client"))]
        let states = self.states;
        self.server.changes.share(states);
        self.server.keeps_within_budget();
        self.server.meet_neighbours();
        self.server.auth().prepare();
        Arc::new(self.server)
    }

    /// Returns the router of the endpoint and, if the endpoint accepts access tokens, of its
    /// [`metadata`](ServerBuilder::metadata). Merge it into a router at the root of the host. Do not nest
    /// it: clients look for the metadata at a path from the root. To nest an endpoint, merge its
    /// metadata at the root and nest the [`endpoint`](ServerBuilder::endpoint):
    ///
    /// ```
    /// # #[cfg(all(feature = "axum", feature = "discovery"))]
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

    /// Returns the router of the endpoint only, at its path.
    #[cfg(feature = "axum")]
    pub fn endpoint<S: Clone + Send + Sync + 'static>(self) -> axum::Router<S> {
        let (path, has_http_sse) = (self.path.clone(), self.has_http_sse);
        let server = self.build();
        let service = crate::http::McpService::new(Arc::clone(&server));
        let mut router = axum::Router::new().without_v07_checks().route_service(&path, service.clone());
        if has_http_sse {
            router = router.merge(crate::http::HttpSse::routes(server, &path));
        }
        if !path.ends_with('/') {
            // People add a slash to the URL, and clients do not correct it.
            router = router.route_service(&format!("{path}/"), service);
        }
        router
    }

    /// Returns the router of the metadata document, which tells clients where to get access tokens.
    /// Its well-known path is derived from the public URL of the endpoint (RFC 9728 §3.1). The
    /// router is empty if the endpoint does not accept tokens.
    #[cfg(feature = "axum")]
    pub fn metadata<S: Clone + Send + Sync + 'static>(&self) -> axum::Router<S> {
        let path = self.server.auth().resource().map(|resource| resource.metadata_path().concat());
        path.and_then(|path| metadata(&self.server, &path)).unwrap_or_default()
    }

    /// Returns a router with the [`metadata`](ServerBuilder::metadata) at the root of the host, for
    /// clients that look for it there. Only one server of a host can be merged in this way. `None`
    /// if the endpoint does not accept access tokens, or if the public URL has no path, so that the
    /// metadata is at the root already.
    #[cfg(feature = "axum")]
    pub fn root_metadata<S: Clone + Send + Sync + 'static>(&self) -> Option<axum::Router<S>> {
        const ROOT: &str = "/.well-known/oauth-protected-resource";
        let is_own = self.server.auth().resource()?.metadata_path().concat() == ROOT;
        if is_own { None } else { metadata(&self.server, ROOT) }
    }
}

/// The metadata of the endpoint at this path (RFC 9728). It is public, and pages of any origin may
/// read it.
#[cfg(feature = "axum")]
fn metadata<S: Clone + Send + Sync + 'static>(server: &Server, path: &str) -> Option<axum::Router<S>> {
    use http::header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE, VARY,
    };
    let auth = Arc::clone(server.auth());
    // The metadata would reveal that a hidden endpoint exists.
    auth.resource().filter(|_| !auth.is_hidden())?;
    // RFC 9110 §12.5.5 and RFC 9111 §3.5: if a proxy reports the public URL, the document is valid
    // only for clients that come through the same proxy.
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
    // Fetch Standard §3.3.2: clients send the protocol version in a header field, which a page may
    // do only after a preflight.
    let preflight = async || {
        let fields = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, "GET"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "*, Authorization"),
            (ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        (http::StatusCode::NO_CONTENT, fields)
    };
    // Braces are a pattern to the router, but characters of the URL here.
    let path = path.replace('{', "{{").replace('}', "}}");
    Some(axum::Router::new().without_v07_checks().route(&path, axum::routing::get(answer).options(preflight)))
}

/// Panics if an entry cannot be added, which is a mistake in the program that shows at its start.
#[track_caller]
fn added(added: Result<(), AddError>) {
    if let Err(error) = added {
        panic!("{error}");
    }
}
