//! Servers with `mode = "proxy"`: builds their routes, and starts their applications.

use super::auth::{self, KeyFiles, OwnIssuer};
use super::children::with_watchdog;
use super::config::{Config, ProxyConfig, RouteAccess, ServerConfig, Upgrades};
use super::fault::Fault;
use attache_host::Limits;
use attache_host::auth::key_file::Level;
use attache_host::http::Door;
use attache_host::proxy::{AppCommand, Proxy, RoutePattern, Routes, RunningApp};
use attache_host::serve::Ready;
use attache_host::sign_in::SignIn;
use axum::Router;
use std::sync::Arc;

/// An application that is started with the program.
#[derive(Debug)]
pub(super) struct PreparedApp {
    command: AppCommand,
    /// Whether the program does not start without it.
    is_needed: bool,
}

/// The parts from which the routes of a server are built.
pub(super) struct Site<'a> {
    pub(super) endpoint: &'a ServerConfig,
    pub(super) hosts: Vec<String>,
    pub(super) url: String,
    pub(super) limits: &'a Limits,
    /// The authorization server and the sign-in pages of the program.
    pub(super) credentials: (Option<&'a OwnIssuer>, Option<&'a Arc<SignIn>>),
}

/// A server that is a proxy.
#[derive(Debug)]
pub(super) struct Proxied {
    pub(super) path: String,
    pub(super) routes: Routes,
    /// The proxy of its MCP paths, which has its policy.
    pub(super) mcp: Proxy,
    /// The command of its application.
    pub(super) app: Option<PreparedApp>,
}

/// Builds the routes of a server that is a proxy, and the command of its application.
///
/// # Errors
/// If its credentials or its application cannot be used.
pub(super) fn routes(
    site: &Site<'_>,
    config: &ProxyConfig,
    key_files: &mut KeyFiles,
    ready: &Ready,
) -> Result<Proxied, Fault> {
    let endpoint = site.endpoint;
    let (upstream, app) = match (&config.app, endpoint.backends.first()) {
        (Some(app), _) => {
            let command = AppCommand::handler(app).map_err(|error| Fault::of(error.to_string()))?;
            (command.upstream(), Some(PreparedApp { command, is_needed: true }))
        }
        (None, Some(backend)) => {
            let (upstream, command) = backend.upstream()?;
            (upstream, command.map(|command| PreparedApp { command, is_needed: false }))
        }
        (None, None) => return Err(Fault::of(format!("{} has no application", endpoint.path))),
    };
    let parts = Parts::of(endpoint, config, Proxy::new(upstream).limits(site.limits));
    let (watched, path) = (parts.rest.clone(), endpoint.path.clone());
    ready.require(move || (!watched.is_up()).then(|| format!("the application of {path} is not running")));
    let mut routes = site.base(&parts.rest, key_files)?;
    for rule in &config.routes {
        let door = site.door(rule.access, key_files)?.scopes(rule.scopes.clone());
        routes = routes.add(rule.pattern.clone(), parts.of_path(config, &rule.pattern), door);
    }
    for pattern in config.mcp_paths.iter().filter(|pattern| config.routes.iter().all(|rule| rule.pattern != **pattern))
    {
        let (access, scopes) = match config.rule_of(&pattern.literal_start()) {
            Some(rule) => (rule.access, rule.scopes.clone()),
            None if config.app.is_some() => continue,
            None => (RouteAccess::Server, Vec::new()),
        };
        let door = site.door(access, key_files)?.scopes(scopes);
        routes = routes.add(pattern.clone(), parts.mcp.clone(), door);
    }
    Ok(Proxied { path: endpoint.path.clone(), routes, mcp: parts.mcp, app })
}

/// The proxies of an application: for its MCP paths, and for the rest.
struct Parts {
    mcp: Proxy,
    rest: Proxy,
}

impl Parts {
    fn of(endpoint: &ServerConfig, config: &ProxyConfig, proxy: Proxy) -> Self {
        let rest = self::proxy(endpoint, config, proxy);
        let mcp = if config.upgrades == Upgrades::ExceptMcp { rest.clone().refuse_upgrades() } else { rest.clone() };
        // Without rules, nothing is held.
        let mcp = if endpoint.has_policy() { mcp.policy(endpoint.policy()) } else { mcp };
        Self { mcp, rest }
    }

    /// The proxy for the paths of a pattern.
    fn of_path(&self, config: &ProxyConfig, pattern: &RoutePattern) -> Proxy {
        let is_mcp = config.mcp_paths.iter().any(|mcp| mcp.covers(&pattern.literal_start()));
        if is_mcp { self.mcp.clone() } else { self.rest.clone() }
    }
}

fn proxy(endpoint: &ServerConfig, config: &ProxyConfig, proxy: Proxy) -> Proxy {
    let protection = &endpoint.protection;
    let mut proxy = proxy.name(endpoint.name()).idle_time(config.idle_time);
    let takes_tokens = !protection.policies.is_empty() || protection.vouched;
    if config.pass_authorization || !takes_tokens {
        proxy = proxy.pass_authorization();
    }
    if config.pass_host {
        proxy = proxy.pass_host();
    }
    if protection.key_in_query {
        proxy = proxy.key_in_query();
    }
    if config.upgrades == Upgrades::Nowhere { proxy.refuse_upgrades() } else { proxy }
}

impl Site<'_> {
    /// The routes below the path of the server, with the credentials of the server.
    fn base(&self, proxy: &Proxy, key_files: &mut KeyFiles) -> Result<Routes, Fault> {
        // The handler of a function app has no other paths than its routes.
        if self.endpoint.proxy.as_ref().is_some_and(|config| config.app.is_some()) {
            return Ok(Routes::none());
        }
        let door = self.door(RouteAccess::Server, key_files)?;
        if self.endpoint.path == "/" {
            return Ok(Routes::new(proxy.clone(), door));
        }
        let pattern = format!("{}/*", self.endpoint.path.trim_end_matches('/'));
        let pattern = RoutePattern::parse(&pattern)
            .map_err(|error| Fault::at(self.endpoint.path_origin().clone(), error.to_string()))?;
        Ok(Routes::none().add(pattern, proxy.clone(), door))
    }

    /// The access checks for a route.
    fn door(&self, access: RouteAccess, key_files: &mut KeyFiles) -> Result<Door, Fault> {
        let level = match access {
            RouteAccess::Public | RouteAccess::NoKey => None,
            RouteAccess::Server => Some(self.endpoint.protection.key_level.clone()),
            RouteAccess::Function => Some(Level::Function),
            RouteAccess::Admin => Some(Level::Admin),
        };
        let auth = match access {
            RouteAccess::Public => None,
            _ => auth::of_level(self.endpoint, level.as_ref(), &self.url, key_files, self.credentials)?,
        };
        let door = auth.map_or_else(Door::open, Door::new);
        Ok(door
            .name(self.endpoint.name())
            .hosts(self.hosts.clone())
            .origins(self.endpoint.origins.clone())
            .limits(self.limits))
    }
}

/// Adds the routes of a proxy to the router. The routes of a proxy at `/` get the requests that no other route takes.
pub(super) fn mount(router: Router, path: &str, routes: Routes) -> Router {
    match path.trim_end_matches('/') {
        "" => router.fallback_service(routes),
        path => router
            .route_service(path, routes.clone())
            .route_service(&format!("{path}/"), routes.clone())
            .route_service(&format!("{path}/{{*rest}}"), routes),
    }
}

/// The applications that run.
#[derive(Debug, Default)]
pub(super) struct RunningApps(Vec<RunningApp>);

impl RunningApps {
    /// Starts the applications, and waits for those without which the program does not start.
    ///
    /// # Errors
    /// If one of these does not start.
    pub(super) async fn start(config: &Config, apps: Vec<PreparedApp>) -> Result<Self, Fault> {
        let mut running = Self::default();
        if apps.is_empty() {
            return Ok(running);
        }
        let supervision = with_watchdog(config);
        for PreparedApp { command, is_needed } in apps {
            let command = command.supervision(&supervision);
            running.0.push(match is_needed {
                true => command.started().await.map_err(|error| Fault::of(error.to_string()))?,
                false => command.start(),
            });
        }
        Ok(running)
    }

    /// Ends the applications.
    pub(super) async fn stop(self) {
        for app in &self.0 {
            app.stop().await;
        }
    }
}
