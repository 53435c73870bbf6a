//! From the configuration to the router that is served: everything that `serve` does before it opens a socket.

use super::auth::{self, Rings};
use super::config::{Config, Listen, METADATA, Rates, Secret, ServerConfig, Tls};
use super::fault::{Fault, Faults};
use super::health::Ready;
use super::listener::Listener;
use super::print::complain;
use super::{MakeServer, administration, listen};
use attache_core::auth::{ANY, Gate};
use attache_host::http::Front;
use attache_host::{Changes, Limits, Rate, Server};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use core::fmt;
use core::net::SocketAddr;
use hmac::{Hmac, Mac};
use http::StatusCode;
use sha2::Sha256;
use std::collections::HashSet;

/// Where callers reach the program.
#[derive(Debug)]
pub(super) struct Reach {
    /// The authority of URLs; a Unix socket has none.
    pub(super) address: Option<SocketAddr>,
    /// Whether this machine alone can connect.
    is_local: bool,
    name: String,
}

impl From<&Listener> for Reach {
    fn from(listener: &Listener) -> Self {
        Self { address: listener.address(), is_local: listener.is_local(), name: listener.to_string() }
    }
}

impl From<&Listen> for Reach {
    fn from(listen: &Listen) -> Self {
        Self { address: listen.address(), is_local: listen.is_local(), name: listen.to_string() }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What is served.
pub(super) struct Assembled {
    /// For requests that come by the listener.
    pub(super) router: Router,
    /// For requests that do not come by the listener, as those of the status page.
    pub(super) beside: Router,
    pub(super) changes: Vec<Changes>,
    pub(super) ready: Ready,
    pub(super) limits: Limits,
}

/// Marks a request that the listener has let in by what it knows of the connection: a client certificate, or the permissions of a
/// Unix socket. A request of the status page has no such mark.
#[derive(Clone, Copy, Debug)]
struct Admitted;

/// Builds the router; `make` makes each server, and `watch` adds its observers.
///
/// # Errors
/// All that keeps the servers of the configuration from being served at `reach`.
pub(super) fn assemble(
    config: &Config,
    reach: &Reach,
    make: MakeServer<'_>,
    watch: impl Fn(Server) -> Server,
) -> Result<Assembled, Fault> {
    let limits = limits(config, reach);
    let (mut changes, mut rings, mut faults) = (Vec::new(), Rings::default(), Faults::default());
    let (mut router, mut mounted) = (Router::new().without_v07_checks(), HashSet::new());
    let mut root = None;
    for endpoint in &config.servers {
        let server = match served(make, endpoint, reach)
            .and_then(|server| protected(server, endpoint, reach, config.tls.as_ref(), &mut rings))
        {
            Ok(server) => watch(sealed(server, endpoint, config.seal.as_ref())).limits(limits.clone()),
            Err(fault) => {
                faults.add(fault);
                continue;
            }
        };
        root = root.or_else(|| server.root_metadata());
        // Servers with one public URL share a document, which is served once.
        if endpoint.metadata_path().is_some_and(|path| mounted.insert(path)) {
            router = router.merge(server.metadata());
        }
        changes.push(server.changes());
        router = router.merge(server.endpoint());
    }
    if let (Some(root), false) = (root, mounted.contains(METADATA)) {
        router = router.merge(root);
    }
    if let Some(file) = &config.administered {
        match rings.of(file) {
            Ok(ring) => {
                let front = Front::new(all_hosts(config, reach), [], &limits);
                router = router.merge(administration::routes(ring, front, limits.body_time));
            }
            Err(fault) => faults.add(fault),
        }
    }
    faults.end()?;
    let ready = Ready::default();
    let [router, beside] =
        by_admission(router, config, reach).map(|router| router.merge(ready.routes()).fallback(listen::not_found));
    Ok(Assembled { router, beside, changes, ready, limits })
}

/// The limits, with the rate that holds where callers reach the program.
fn limits(config: &Config, reach: &Reach) -> Limits {
    let limits = match config.rates {
        Rates::Auto if reach.is_local => config.limits.clone(),
        Rates::Auto => config.limits.clone().rate(Some(Rate::default())),
        Rates::Off => config.limits.clone(),
        Rates::Of(rate) => config.limits.clone().rate(Some(rate)),
    };
    match config.identity_rates {
        Rates::Auto => {
            let rate = limits.rate;
            limits.identity_rate(rate)
        }
        Rates::Off => limits,
        Rates::Of(rate) => limits.identity_rate(Some(rate)),
    }
}

/// The router for the listener, and the router for requests that do not come by it. If the listener lets callers in by their
/// connection, the second one refuses.
fn by_admission(router: Router, config: &Config, reach: &Reach) -> [Router; 2] {
    let admits = reach.address.is_none() || config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if !admits {
        return [router.clone(), router];
    }
    let beside = router.layer(from_fn(admitted_alone));
    [beside.clone().layer(axum::Extension(Admitted)), beside]
}

async fn admitted_alone(request: Request, next: Next) -> Response {
    if request.extensions().get::<Admitted>().is_some() {
        return next.run(request).await;
    }
    let body = serde_json::json!({"jsonrpc": "2.0", "id": null, "error": {
        "code": -32600,
        "message": "This server takes requests only by its listener, which checks client certificates or the permissions of its socket",
    }});
    let fields = [(http::header::CONTENT_TYPE, "application/json")];
    (StatusCode::FORBIDDEN, fields, body.to_string()).into_response()
}

/// The server, with the credentials that its callers need.
fn protected(
    server: Server,
    endpoint: &ServerConfig,
    reach: &Reach,
    tls: Option<&Tls>,
    rings: &mut Rings,
) -> Result<Server, Fault> {
    let ServerConfig { path, protection, .. } = endpoint;
    let by_certificate = tls.is_some_and(|tls| tls.client_ca.is_some());
    let is_open = matches!(protection.gate, Some(Gate::Open(_))) || by_certificate || reach.is_local;
    if !protection.asks() && !is_open {
        return Err(Fault::of(format!(
            "{reach} is reachable from other machines and no authentication is set for {path}: set auth.keys_file or auth.issuer, or \
             let everyone call with --auth-require anonymous"
        )));
    }
    let signs_in = std::env::var(SIGNS_IN).is_ok_and(|word| word.eq_ignore_ascii_case("true"));
    if protection.vouched && !(signs_in && reach.is_local) {
        return Err(Fault::of(format!(
            "auth.platform_principal works only with {SIGNS_IN}=True, which a platform sets, and on a loopback address or a Unix \
             socket: any other client could write the header itself"
        )));
    }
    if protection.require_https && tls.is_none() && !reach.is_local {
        return Err(Fault::of(format!(
            "{reach} is reachable from other machines, and tokens would travel without encryption: set tls.certificate and tls.key, \
             listen on a loopback address behind a server with TLS, or set httpSettings.requireHttps to false in auth.platform_file"
        )));
    }
    if protection.policies.iter().any(|policy| matches!(policy.rules.applications.as_slice(), [any] if any == ANY)) {
        complain(&format!("warning: any application with a token for this server may call {path}"));
    }
    let url = url(reach.address, path, tls);
    match auth::of(endpoint, &url, rings)? {
        Some(auth) => Ok(server.auth(auth)),
        None => Ok(server),
    }
}

/// The variable that a platform sets where it signs callers in.
const SIGNS_IN: &str = "WEBSITE_AUTH_ENABLED";

/// The URL of an endpoint, as long as nothing says otherwise.
pub(super) fn url(address: Option<SocketAddr>, path: &str, tls: Option<&Tls>) -> String {
    let scheme = if tls.is_some() { "https" } else { "http" };
    match address {
        Some(address) => format!("{scheme}://{address}{path}"),
        None => format!("{scheme}://localhost{path}"),
    }
}

/// The server, which seals with keys that are made of those of the program and of its path: what one server has sealed means nothing
/// to another.
pub(super) fn sealed(server: Server, endpoint: &ServerConfig, keys: Option<&Secret<Vec<[u8; 32]>>>) -> Server {
    let own = |key: &[u8; 32]| {
        let mac = Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(&endpoint.path));
        // Keys of any length do.
        mac.map_or(*key, |mac| mac.finalize().into_bytes().into())
    };
    match keys {
        Some(Secret(keys)) => server.seal_keys(keys.iter().map(own)),
        None => server,
    }
}

/// The author's server, with the instructions of the configuration.
pub(super) fn made(make: MakeServer<'_>, endpoint: &ServerConfig) -> Server {
    match &endpoint.instructions {
        Some(text) => make(endpoint).instructions(text),
        None => make(endpoint),
    }
}

fn served(make: MakeServer<'_>, endpoint: &ServerConfig, reach: &Reach) -> Result<Server, Fault> {
    let server = made(make, endpoint)
        .path(&endpoint.path)
        .map_err(|error| Fault::of(error.to_string()))?
        .origins(endpoint.origins.clone());
    if !reach.is_local && endpoint.hosts.is_empty() {
        complain(&format!(
            "warning: the Host header is not checked for {} (DNS rebinding): set --allow-host",
            endpoint.path
        ));
    }
    Ok(server.hosts(hosts(endpoint, reach)))
}

/// The names that a server answers to; none if any will do.
fn hosts(endpoint: &ServerConfig, reach: &Reach) -> Vec<String> {
    let own: &[&str] = if reach.is_local { attache_core::http::LOOPBACK } else { &[] };
    own.iter().map(ToString::to_string).chain(endpoint.hosts.clone()).collect()
}

/// The names that any of the servers answers to; none if one of them answers to any.
fn all_hosts(config: &Config, reach: &Reach) -> Vec<String> {
    let each: Vec<_> = config.servers.iter().map(|endpoint| hosts(endpoint, reach)).collect();
    if each.iter().any(Vec::is_empty) { Vec::new() } else { each.concat() }
}
