//! Builds the router from the configuration: everything that `serve` does before it opens a socket.

use super::auth::{self, KeyFiles, OwnIssuer};
use super::config::{Backend, Config, METADATA, Rates, Secret, ServerConfig};
use super::fault::{Fault, Faults};
use super::print::complain;
use super::proxy::{self, PreparedApp, Proxied, Site};
use super::reach::{Reach, url};
use super::sign_in::{self, Store};
use super::sign_in_pages;
use attache_core::auth::{ANY, Gate};
use attache_host::auth::{Issuer, IssuerSettings, Unauthenticated};
use attache_host::backend::Backends;
use attache_host::proxy::Proxy;
use attache_host::serve::{Ready, TlsFiles, key_administration, not_found};
use attache_host::sign_in::SignIn;
use attache_host::{Changes, Limits, Rate, Server, ServerBuilder};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hmac::{Hmac, Mac};
use http::StatusCode;
use sha2::Sha256;
use std::collections::HashSet;
use std::sync::Arc;

/// Creates the server of an endpoint from its configuration.
pub(super) type MakeServer<'a> = &'a dyn Fn(&ServerConfig) -> ServerBuilder;

/// The router and the handles that the listener needs.
pub(super) struct Assembled {
    /// Serves requests that arrive through the listener.
    pub(super) router: Router,
    /// Serves requests that do not arrive through the listener, such as those of the status page.
    pub(super) beside: Router,
    pub(super) changes: Vec<Changes>,
    /// The backends of each server of the configuration, which `connect` starts.
    pub(super) backends: Vec<Backends>,
    /// The applications of proxies, which are started before the first request is served.
    pub(super) apps: Vec<PreparedApp>,
    /// The proxies whose policies can be replaced, by the paths of their servers.
    pub(super) proxies: Vec<(String, Proxy)>,
    pub(super) ready: Ready,
    pub(super) limits: Limits,
}

/// Marks a request that the listener has admitted because of its connection: a client certificate,
/// or the permissions of a Unix socket. A request of the status page does not carry this mark.
#[derive(Clone, Copy, Debug)]
struct Admitted;

/// Builds the router. `make` creates each server, and `watch` adds its observers.
///
/// # Errors
/// Every fault that prevents the configured servers from being served at `reach`.
pub(super) fn assemble(
    config: &Config,
    reach: &Reach,
    make: MakeServer<'_>,
    watch: impl Fn(ServerBuilder) -> ServerBuilder,
    store: &Store,
) -> Result<Assembled, Fault> {
    let limits = limits(config, reach);
    let sign_in = config.sign_in.as_ref();
    let sign_in = sign_in.map(|sign_in| sign_in::server(config, sign_in, reach.address, store, &limits)).transpose()?;
    let pages = config.sign_in_pages.as_ref();
    let pages = pages
        .map(|pages| sign_in_pages::pages(config, pages, reach.address, store, all_hosts(config, reach), &limits))
        .transpose()?;
    if let Some(endpoint) = config.servers.iter().find(|endpoint| way_in(endpoint, reach).is_some()) {
        people_are_real(config, endpoint, reach)?;
    }
    let own = config.sign_in.as_ref().zip(sign_in.as_ref()).map(|(config, server)| OwnIssuer {
        issuer: config.issuer.clone(),
        key_set: server.key_set(),
        revocations: server.revocations(),
    });
    let (mut changes, mut backends) = (Vec::new(), Vec::new());
    let (mut key_files, mut faults) = (KeyFiles::default(), Faults::default());
    let (mut router, mut mounted) = (Router::new().without_v07_checks(), HashSet::new());
    let (mut root, ready, mut apps, mut proxies) = (None, Ready::default(), Vec::new(), Vec::new());
    for endpoint in &config.servers {
        faults.or_default(endpoint.check_policies());
        let tls = config.tls.as_ref();
        let exposed =
            exposed(endpoint, reach, tls).map_err(|fault| fault.placed(&config.written).or_at(&config.listen_origin));
        faults.or_default(exposed);
        faults.or_default(apart(config, endpoint, reach));
        if let Some(proxied) = &endpoint.proxy {
            let site = Site {
                endpoint,
                hosts: hosts(endpoint, reach),
                url: url(reach.address, &endpoint.resource_path(), tls),
                limits: &limits,
                credentials: (own.as_ref(), pages.as_ref()),
            };
            match proxy::routes(&site, proxied, &mut key_files, &ready) {
                Ok(proxied) => proxies.push(proxied),
                Err(fault) => faults.add(fault),
            }
        }
        let server = match endpoint.proxy {
            // A server without entries, which only tells where clients get their tokens.
            Some(_) => metadata_server(endpoint, reach),
            None => served(make, endpoint, reach),
        };
        let server = server
            .and_then(|server| protected(server, endpoint, reach, tls, &mut key_files, (own.as_ref(), pages.as_ref())));
        let server = match server {
            Ok(server) => watch(sealed(server, endpoint, config.seal.as_ref())).limits(limits.clone()),
            Err(fault) => {
                faults.add(fault);
                continue;
            }
        };
        root = root.or_else(|| server.root_metadata());
        // Servers with one public URL share a metadata document, which is mounted once.
        if endpoint.metadata_path().is_some_and(|path| mounted.insert(path)) {
            router = router.merge(server.metadata());
        }
        changes.push(server.changes());
        backends.push(server.backends());
        if endpoint.proxy.is_none() {
            router = router.merge(server.endpoint());
        }
    }
    if let (Some(root), false) = (root, mounted.contains(METADATA)) {
        router = router.merge(root);
    }
    let has_proxy_at_root = proxies.iter().any(|proxied| proxied.path == "/");
    let mut policies = Vec::new();
    for Proxied { path, routes, mcp, app } in proxies {
        router = proxy::mount(router, &path, routes);
        apps.extend(app);
        policies.push((path, mcp));
    }
    if let Some(pages) = &pages {
        router = pages.around(router);
    }
    if let Some(server) = sign_in {
        router = router.merge(server.hosts(sign_in_hosts(config, reach)).routes());
    }
    if let Some(file) = &config.administered {
        match key_files.of(file) {
            Ok(key_file) => router = router.merge(key_administration(key_file, all_hosts(config, reach), &limits)),
            Err(fault) => faults.add(fault),
        }
    }
    faults.end()?;
    if let Some(text) = front_page(&config.servers) {
        router = router
            .route("/", get(move || core::future::ready((StatusCode::NOT_FOUND, text.clone()))).fallback(not_found));
    }
    let [router, beside] = by_admission(router, config, reach).map(|router| {
        let router = router.merge(ready.routes());
        if has_proxy_at_root { router } else { router.fallback(not_found) }
    });
    Ok(Assembled { router, beside, changes, backends, apps, proxies: policies, ready, limits })
}

/// A server for the metadata of a proxy, which names the authorization servers of its callers.
fn metadata_server(endpoint: &ServerConfig, reach: &Reach) -> Result<ServerBuilder, Fault> {
    let server = Server::new(endpoint.name(), env!("CARGO_PKG_VERSION")).path(&endpoint.path);
    let server = server.map_err(|error| Fault::of(error.to_string()))?;
    Ok(server.hosts(hosts(endpoint, reach)).origins(endpoint.origins.clone()))
}

/// The text for a person who opens the root of the server in a browser. `None` if a server has this
/// path, or if one of them is hidden from strangers.
fn front_page(servers: &[ServerConfig]) -> Option<String> {
    let is_hidden = |server: &ServerConfig| server.protection.unauthenticated == Unauthenticated::NotFound;
    if servers.iter().any(|server| server.path == "/" || is_hidden(server)) {
        return None;
    }
    let paths: Vec<&str> = servers.iter().map(|server| server.path.as_str()).collect();
    Some(format!(
        "This is a server of the Model Context Protocol (MCP), for programs and not for browsers.\n\
         Point an MCP client at {} on this host; `attache mcp-json` prints its configuration.\n",
        paths.join(" or ")
    ))
}

/// The limits, with the rate limit that applies to `reach`.
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

/// Returns the router for the listener, and the router for requests that do not arrive through it.
/// If the listener admits callers by their connection, the second router refuses every request.
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

/// Refuses to serve other machines without the protection that they make necessary.
fn exposed(endpoint: &ServerConfig, reach: &Reach, tls: Option<&TlsFiles>) -> Result<(), Fault> {
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
    if let Some(issuer) =
        protection.policies.iter().map(|policy| &policy.issuer).find(|issuer| Issuer::is_local(issuer))
        && let Some(way_in) = way_in(endpoint, reach)
    {
        return Err(Fault::of(format!(
            "{path} trusts the issuer {issuer}, which is on this machine, and is reachable from other machines ({way_in}): the people of \
             a development issuer are made up, and everyone could sign in. Set auth.issuer to the URL by which clients reach the \
             issuer, or listen on a loopback address without a public name"
        )));
    }
    Ok(())
}

/// Refuses to let people of a development provider in from other machines.
fn people_are_real(config: &Config, endpoint: &ServerConfig, reach: &Reach) -> Result<(), Fault> {
    let pages = config.sign_in_pages.iter().flat_map(|pages| &pages.providers);
    let local =
        pages.filter(|provider| !provider.issuer.is_empty()).find(|provider| Issuer::is_local(&provider.issuer));
    match (local, way_in(endpoint, reach)) {
        (Some(provider), Some(way_in)) => Err(Fault::at(
            provider.origin.clone(),
            format!(
                "the issuer {} of provider {:?} is on this machine, and {} is reachable from other machines ({way_in}): the people of a \
                 development issuer are made up, and everyone could sign in. Set the URL by which browsers reach the issuer, or listen on a \
                 loopback address without a public name",
                provider.issuer, provider.name, endpoint.path
            ),
        )),
        _ => Ok(()),
    }
}

/// Adds to the server the credentials that its callers need.
fn protected(
    server: ServerBuilder,
    endpoint: &ServerConfig,
    reach: &Reach,
    tls: Option<&TlsFiles>,
    key_files: &mut KeyFiles,
    (own, pages): (Option<&OwnIssuer>, Option<&Arc<SignIn>>),
) -> Result<ServerBuilder, Fault> {
    let ServerConfig { path, protection, .. } = endpoint;
    let is_own = |issuer: &str| own.is_some_and(|own| own.issuer == issuer);
    let is_any = |policy: &IssuerSettings| matches!(policy.rules.applications.as_slice(), [any] if any == ANY);
    if protection.policies.iter().any(|policy| is_any(policy) && !is_own(&policy.issuer)) {
        complain(&format!("warning: any application with a token for this server may call {path}"));
    }
    let url = url(reach.address, &endpoint.resource_path(), tls);
    match auth::of(endpoint, &url, key_files, own, pages)? {
        Some(auth) => Ok(server.auth(auth)),
        None => Ok(server),
    }
}

/// Says how other machines reach an endpoint: by its address, or through a proxy that has a public
/// name.
fn way_in(endpoint: &ServerConfig, reach: &Reach) -> Option<String> {
    let is_public = |host: &&String| !attache_core::http::LOOPBACK.contains(&host.as_str());
    let host = || endpoint.hosts.iter().find(is_public).map(|host| format!("allow_host has {host}"));
    let resource = || {
        let resource = endpoint.protection.resource.as_ref().filter(|resource| !Issuer::is_local(resource));
        resource.map(|resource| format!("auth.resource is {resource}"))
    };
    let address = || (!reach.is_local).then(|| format!("it listens on {reach}"));
    address().or_else(host).or_else(resource)
}

/// The environment variable by which a platform announces that it authenticates callers.
const SIGNS_IN: &str = "WEBSITE_AUTH_ENABLED";

/// Gives the server its own seal keys, derived from the program's keys and the server's path. A
/// value that one server has sealed is therefore invalid at another.
pub(super) fn sealed(
    server: ServerBuilder,
    endpoint: &ServerConfig,
    keys: Option<&Secret<Vec<[u8; 32]>>>,
) -> ServerBuilder {
    let own = |key: &[u8; 32]| {
        let mac = Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(&endpoint.path));
        // HMAC accepts keys of any length, so this cannot fail.
        mac.map_or(*key, |mac| mac.finalize().into_bytes().into())
    };
    match keys {
        Some(Secret(keys)) => server.seal_keys(keys.iter().map(own)),
        None => server,
    }
}

/// Creates the author's server, with the instructions of the configuration.
///
/// # Errors
/// If the server offers nothing.
pub(super) fn made(make: MakeServer<'_>, endpoint: &ServerConfig) -> Result<ServerBuilder, Fault> {
    let server = make(endpoint);
    if server.is_empty() && endpoint.backends.is_empty() {
        return Err(Fault::of(format!("{} has nothing to serve. {NOTHING}", endpoint.path)));
    }
    let server = server.policy(endpoint.policy());
    Ok(match &endpoint.instructions {
        Some(text) => server.instructions(text),
        None => server,
    })
}

const NOTHING: &str = r#"Put another MCP server behind it, in attache.toml:

    [[server]]
    path = "/mcp"
    [[server.backend]]
    name = "files"
    command = ["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv/data"]
    [[server.backend]]
    name = "crm"
    url = "http://127.0.0.1:3000/mcp"
    prefix = "crm_"
    [[server.backend]]
    name = "scripts"
    tools_dir = "/srv/tools"

or name one server on the command line: attache gate URL, or attache gate -- COMMAND ARGS
or a directory with tools: attache serve --tools-dir DIR
To try the program without another server: attache serve --demo"#;

fn served(make: MakeServer<'_>, endpoint: &ServerConfig, reach: &Reach) -> Result<ServerBuilder, Fault> {
    let server = made(make, endpoint)
        .map_err(|fault| fault.or_at(endpoint.path_origin()))?
        .path(&endpoint.path)
        .map_err(|error| Fault::of(error.to_string()))?
        .origins(endpoint.origins.clone());
    let server = match endpoint.backends.iter().any(Backend::needs_caller_token) {
        true => server.keep_caller_tokens(),
        false => server,
    };
    let server = if endpoint.http_sse { server.http_sse() } else { server };
    if !reach.is_local && endpoint.hosts.is_empty() {
        complain(&format!(
            "warning: the Host header is not checked for {} (DNS rebinding): set --allow-host",
            endpoint.path
        ));
    }
    Ok(server.hosts(hosts(endpoint, reach)))
}

/// The host names that the server accepts. Empty if it accepts any.
fn hosts(endpoint: &ServerConfig, reach: &Reach) -> Vec<String> {
    let own: &[&str] = if reach.is_local { attache_core::http::LOOPBACK } else { &[] };
    own.iter().map(ToString::to_string).chain(endpoint.hosts.clone()).collect()
}

/// The host of the authorization server.
fn sign_in_host(config: &Config) -> Option<String> {
    let issuer = reqwest::Url::parse(&config.sign_in.as_ref()?.issuer).ok()?;
    issuer.host_str().map(str::to_owned)
}

/// The host names of the authorization server: its own, and those of the servers, unless pages of an application are there.
fn sign_in_hosts(config: &Config, reach: &Reach) -> Vec<String> {
    let own = sign_in_host(config);
    let others = all_hosts(config, reach);
    match config.servers.iter().any(|endpoint| endpoint.proxy.is_some()) {
        true => own.into_iter().collect(),
        false if others.is_empty() => others,
        false => others.into_iter().chain(own).collect(),
    }
}

/// Refuses a proxied application on the host of the authorization server: in the browser of a person, its pages could read and send
/// the pages of the sign-in.
fn apart(config: &Config, endpoint: &ServerConfig, reach: &Reach) -> Result<(), Fault> {
    let (Some(host), Some(_), Some(sign_in)) = (sign_in_host(config), &endpoint.proxy, &config.sign_in) else {
        return Ok(());
    };
    let names = hosts(endpoint, reach);
    if !names.is_empty() && !names.contains(&host) {
        return Ok(());
    }
    let (issuer, path) = (&sign_in.issuer, &endpoint.path);
    Err(Fault::at(
        endpoint.path_origin().clone(),
        format!(
            "auth.server.issuer {issuer} has the host of {path}, which is an application (mode = \"proxy\") whose pages could act as the \
             sign-in: give the sign-in a host of its own, such as https://signin.example, and name the hosts of {path} in allow_host"
        ),
    ))
}

/// The host names that any of the servers accepts. Empty if one of them accepts any.
fn all_hosts(config: &Config, reach: &Reach) -> Vec<String> {
    let each: Vec<_> = config.servers.iter().map(|endpoint| hosts(endpoint, reach)).collect();
    if each.iter().any(Vec::is_empty) { Vec::new() } else { each.concat() }
}
