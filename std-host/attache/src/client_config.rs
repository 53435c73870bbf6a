//! Writes the configuration file that a client needs to find the servers of this program.

mod foundry;

pub(super) use foundry::Credential;

use super::config::{Config, ServerConfig};
use super::reach::url;
use attache_core::http::LOOPBACK;
use attache_host::serve::TlsFiles;
use clap::ValueEnum;
use core::net::SocketAddr;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::path::Path;

/// The client that reads the file. Clients differ in the names of its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    /// Visual Studio Code: `.vscode/mcp.json`.
    #[default]
    Vscode,
    /// Claude Code: `.mcp.json`. The key is taken from the variable ATTACHE_KEY.
    Claude,
    /// Cursor: `.cursor/mcp.json`. The key is taken from the variable ATTACHE_KEY.
    Cursor,
    /// Microsoft Foundry: connections of a project, and the tools of an agent that use them. Replace the names in ${...}.
    Foundry,
}

/// The wishes of the operator for the document.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'w> {
    pub(super) client: Client,
    /// The client id that the clients use. `None` takes that of the configuration.
    pub(super) client_id: Option<&'w str>,
    /// The credential of an agent. `None` takes the one that fits the configuration.
    pub(super) credential: Option<Credential>,
}

/// Returns one document with all servers, for clients that connect over HTTP. `address` is where
/// the program listens.
pub(super) fn over_http(wanted: Wanted<'_>, config: &Config, address: Option<SocketAddr>) -> Value {
    let Wanted { client, client_id, credential } = wanted;
    if client == Client::Foundry {
        return over_connections(config, address, client_id, credential);
    }
    let (mut servers, mut inputs) = (Map::new(), Vec::new());
    let several = config.servers.len() > 1;
    for (name, endpoint) in named(&config.servers) {
        let mut server = json!({ "url": public_url(endpoint, address, config.tls.as_ref()) });
        if client != Client::Cursor {
            server["type"] = json!("http");
        }
        if endpoint.protection.keys_file.is_some() {
            let id = if several { format!("key-{name}") } else { "key".to_owned() };
            server["headers"] = json!({ "x-functions-key": match client {
                Client::Vscode => format!("${{input:{id}}}"),
                Client::Cursor => "${env:ATTACHE_KEY}".to_owned(),
                Client::Claude | Client::Foundry => "${ATTACHE_KEY}".to_owned(),
            }});
            let description = if several { format!("API key of {name}") } else { "API key of the server".to_owned() };
            inputs.push(json!({ "type": "promptString", "id": id, "description": description, "password": true }));
        }
        if let Some(id) = client_id.or(endpoint.protection.client_id.as_deref()) {
            match client {
                Client::Cursor => server["auth"] = json!({ "CLIENT_ID": id, "scopes": endpoint.protection.scopes }),
                _ => server["oauth"] = json!({ "clientId": id }),
            }
        }
        servers.insert(name, server);
    }
    document(client, servers, inputs)
}

/// Returns the connections of a Foundry project with all servers, and the tools that use them.
fn over_connections(
    config: &Config,
    address: Option<SocketAddr>,
    client_id: Option<&str>,
    credential: Option<Credential>,
) -> Value {
    let all = named(&config.servers).into_iter().map(|(name, endpoint)| {
        let url = public_url(endpoint, address, config.tls.as_ref());
        let client_id = client_id.or(endpoint.protection.client_id.as_deref());
        foundry::connection(&name, &url, endpoint, config, credential, client_id)
    });
    let (connections, tools): (Vec<_>, Vec<_>) = all.map(|[connection, tool]| (connection, tool)).unzip();
    json!({ "connections": connections, "tools": tools })
}

/// Returns the document for the first server, which the client starts itself.
pub(super) fn over_stdio(client: Client, config: &Config, file: Option<&Path>) -> Value {
    let program = std::env::current_exe().map_or("attache".to_owned(), |path| path.to_string_lossy().into_owned());
    let mut arguments = vec!["serve".to_owned(), "--stdio".to_owned()];
    if config.servers.first().is_some_and(|server| !server.tools.is_empty()) {
        arguments.push("--demo".to_owned());
    }
    if let Some(file) = file {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        arguments.extend(["--config".to_owned(), file.to_string_lossy().into_owned()]);
    }
    let server = json!({ "type": "stdio", "command": program, "args": arguments });
    let servers = named(&config.servers).into_iter().take(1).map(|(name, _)| (name, server.clone()));
    document(client, servers.collect(), Vec::new())
}

fn document(client: Client, servers: Map<String, Value>, inputs: Vec<Value>) -> Value {
    match client {
        Client::Vscode if inputs.is_empty() => json!({ "servers": servers }),
        Client::Vscode => json!({ "servers": servers, "inputs": inputs }),
        Client::Claude | Client::Cursor | Client::Foundry => json!({ "mcpServers": servers }),
    }
}

/// Gives each server a unique name.
fn named(servers: &[ServerConfig]) -> Vec<(String, &ServerConfig)> {
    let mut taken = HashSet::new();
    let mut unique = |endpoint: &ServerConfig| {
        let mut name = endpoint.name.clone();
        while !taken.insert(name.clone()) {
            name = format!("{name}{}", endpoint.path.trim_end_matches('/').replace('/', "-"));
            if endpoint.path == "/" {
                name.push_str("-root");
            }
        }
        name
    };
    servers.iter().map(|endpoint| (unique(endpoint), endpoint)).collect()
}

/// The URL that clients use: the public URL if it is set, otherwise one with the first allowed
/// host, otherwise the address.
pub(super) fn public_url(endpoint: &ServerConfig, address: Option<SocketAddr>, tls: Option<&TlsFiles>) -> String {
    let ServerConfig { hosts, protection, .. } = endpoint;
    let path = &endpoint.resource_path();
    if let Some(resource) = &protection.resource {
        return resource.clone();
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    match (address, public_host(hosts)) {
        // A host is allowed although other machines cannot connect: a proxy in front has that name,
        // and serves HTTPS.
        (Some(address), Some(host)) if address.ip().is_loopback() => format!("https://{host}{path}"),
        (None, Some(host)) => format!("https://{host}{path}"),
        (Some(address), Some(host)) => match (scheme, address.port()) {
            ("https", 443) | ("http", 80) => format!("{scheme}://{host}{path}"),
            (_, port) => format!("{scheme}://{host}:{port}{path}"),
        },
        // Clients cannot connect to the unspecified address.
        (Some(address), None) if address.ip().is_unspecified() => {
            format!("{scheme}://localhost:{}{path}", address.port())
        }
        _ => url(address, path, tls),
    }
}

/// Whether a URL is for clients on this machine only.
pub(super) fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    LOOPBACK
        .iter()
        .any(|name| host.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])))
}

/// Returns the first of the allowed hosts that is not a name of the machine itself.
fn public_host(hosts: &[String]) -> Option<&String> {
    hosts.iter().find(|host| !LOOPBACK.contains(&host.as_str()))
}

/// Whether the document names this machine although other machines can connect: clients there need
/// another host.
pub(super) fn names_this_machine(config: &Config, address: Option<SocketAddr>) -> bool {
    let is_open = address.is_some_and(|address| address.ip().is_unspecified());
    is_open
        && config
            .servers
            .iter()
            .any(|server| public_host(&server.hosts).is_none() && server.protection.resource.is_none())
}
