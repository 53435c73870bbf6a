//! `attache describe`: the documents that register the servers of a configuration in a catalogue.

use super::client_config::{is_local, public_url};
use super::config::{Config, ServerConfig};
use super::fault::{Fault, Origin};
use super::functions;
use super::print::{complain, print};
use super::problem::Problem;
use super::settings::Settings;
use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Print the document that registers this server in a catalogue: Azure API Center, or the public MCP registry
///
/// The document has the public URL of the server: set allow_host or auth.resource.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("catalogue").required(true))]
pub(super) struct Describe {
    /// Print the OpenAPI document that is the definition of an API of type MCP in Azure API Center
    #[arg(long, group = "catalogue")]
    api_center: bool,

    /// Print the server.json of the public MCP registry (registry.modelcontextprotocol.io) for a server of this name,
    /// such as com.example/weather or io.github.NAME/weather
    #[arg(long, value_name = "NAME", group = "catalogue")]
    registry: Option<String>,

    /// What the server is for, in one sentence; by default the first sentence of its instructions
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Version of the server; by default extensions.mcp.serverVersion of host.json, else 1.0.0
    #[arg(long, value_name = "VERSION")]
    server_version: Option<String>,

    /// Directory of a function app, instead of the servers of the configuration
    #[arg(value_name = "DIR")]
    app: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

impl Describe {
    pub(super) fn run(&self) -> Result<(), Problem> {
        let (config, version) = match &self.app {
            Some(app) => functions::config_of(&self.settings, app)?,
            None => (self.settings.config()?, None),
        };
        let version = self.server_version.clone().or(version).unwrap_or_else(|| "1.0.0".to_owned());
        let Some(first) = config.servers.first() else { return Ok(()) };
        let document = match &self.registry {
            Some(name) => registry(name, &self.description(first)?, &version, &config)?,
            None => api_center(&self.description(first)?, &version, &config),
        };
        if urls(&config).iter().any(|url| is_local(url)) {
            complain(
                "note: the URL is for clients on this machine; set allow_host to the name that others use, or auth.resource",
            );
        }
        print(&format!("{document:#}\n"))
    }

    /// The description of the server.
    fn description(&self, server: &ServerConfig) -> Result<String, Fault> {
        let of_instructions = || {
            let text = server.instructions.as_deref()?;
            let sentence = text.split_inclusive(". ").next()?.trim().trim_end_matches('.');
            Some(sentence.to_owned()).filter(|sentence| !sentence.is_empty() && sentence.chars().count() <= MOST)
        };
        let description = self.description.clone().or_else(of_instructions);
        let description = description.unwrap_or_else(|| format!("{}, an MCP server", server.name()));
        match description.chars().count() {
            1..=MOST => Ok(description),
            length => Err(Fault::at(
                Origin::Flag("description".to_owned()),
                format!("the description has {length} characters: 1 to {MOST} are possible"),
            )),
        }
    }
}

/// Most characters of a description in the public registry.
const MOST: usize = 100;

fn urls(config: &Config) -> Vec<String> {
    config.servers.iter().map(|server| public_url(server, config.listen.address(), config.tls.as_ref())).collect()
}

/// The definition of an API of type MCP.
// azure.md G.
fn api_center(description: &str, version: &str, config: &Config) -> Value {
    let title = config.servers.first().map(ServerConfig::name);
    let servers: Vec<Value> = urls(config).into_iter().map(|url| json!({ "url": url })).collect();
    json!({
        "openapi": "3.0.0",
        "info": { "title": title, "description": description, "version": version },
        "servers": servers,
    })
}

/// The `server.json` of the public registry, of the schema of 2025-12-11.
fn registry(name: &str, description: &str, version: &str, config: &Config) -> Result<Value, Fault> {
    let at_flag = |what: String| Fault::at(Origin::Flag("registry".to_owned()), what);
    let is_word = |text: &str, others: &str| {
        !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || others.contains(char))
    };
    let is_name =
        |(namespace, name): (&str, &str)| namespace.contains('.') && is_word(namespace, ".-") && is_word(name, "._-");
    if !name.split_once('/').is_some_and(is_name) || name.len() > 200 {
        return Err(at_flag(format!(
            "{name:?} is not a name of the registry: a domain that you control, reversed, a slash and a name, such as com.example/weather"
        )));
    }
    let mut remotes = Vec::new();
    for (server, url) in config.servers.iter().zip(urls(config)) {
        let mut add = |kind: &str, url: String| {
            let mut remote = json!({ "type": kind, "url": url });
            if server.protection.keys_file.is_some() {
                let key = "x-functions-key";
                remote["headers"] = json!([{ "name": key, "description": "API key of the server", "isRequired": true, "isSecret": true }]);
            }
            remotes.push(remote);
        };
        add("streamable-http", url.clone());
        if server.http_sse {
            add("sse", format!("{}/sse", url.trim_end_matches('/')));
        }
    }
    Ok(json!({
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": name,
        "title": config.servers.first().map(ServerConfig::name),
        "description": description,
        "version": version,
        "remotes": remotes,
    }))
}
