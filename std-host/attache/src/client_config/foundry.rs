//! The form of Microsoft Foundry: a connection of a project, and the tool that uses it.

use crate::config::Config;
use crate::config::ServerConfig;
use clap::ValueEnum;
use serde_json::{Value, json};

/// The credential by which an agent of Microsoft Foundry calls the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum Credential {
    /// An API key, in the header x-functions-key.
    Key,
    /// A token of the managed identity of the project. Add the identity's client id to auth.applications.
    Identity,
    /// A token of the person who talks to the agent.
    Oauth,
}

/// Returns the credential that fits the configuration of a server; `None` if the server needs none.
fn fitting(server: &ServerConfig, config: &Config, has_client: bool) -> Option<Credential> {
    let is_own = |issuer: &str| config.sign_in.as_ref().is_some_and(|own| own.issuer == issuer);
    match server.protection.policies.first() {
        None => server.protection.keys_file.is_some().then_some(Credential::Key),
        Some(policy) if has_client || is_own(&policy.issuer) => Some(Credential::Oauth),
        Some(_) => Some(Credential::Identity),
    }
}

/// Returns a connection of a project, for `PUT …/projects/PROJECT/connections/NAME` of the resource manager, and the entry for
/// the tools of an agent.
pub(super) fn connection(
    name: &str,
    url: &str,
    server: &ServerConfig,
    config: &Config,
    credential: Option<Credential>,
    client_id: Option<&str>,
) -> [Value; 2] {
    let credential = credential.or_else(|| fitting(server, config, client_id.is_some()));
    let mut properties = json!({ "category": "RemoteTool", "target": url, "isSharedToAll": true });
    let scopes = &server.protection.scopes;
    match credential {
        None => properties["authType"] = json!("None"),
        Some(Credential::Key) => {
            properties["authType"] = json!("CustomKeys");
            properties["credentials"] = json!({ "keys": { "x-functions-key": "${ATTACHE_KEY}" } });
        }
        Some(Credential::Identity) => {
            properties["authType"] = json!("ProjectManagedIdentity");
            // Entra ID issues such tokens for an application, and not for a URL.
            let audience = server.protection.policies.iter().flat_map(|policy| &policy.rules.audiences).next();
            properties["audience"] = json!(audience.map_or(url, String::as_str));
        }
        Some(Credential::Oauth) => {
            let [authorization, token] = endpoints(server, config);
            properties["authType"] = json!("OAuth2");
            let id = client_id.unwrap_or("${CLIENT_ID}");
            properties["credentials"] = json!({ "clientId": id, "clientSecret": "${CLIENT_SECRET}" });
            properties["authorizationUrl"] = json!(authorization);
            properties["tokenUrl"] = json!(token);
            properties["refreshUrl"] = json!(token);
            properties["scopes"] = json!(scopes);
        }
    }
    let connection = json!({ "name": name, "properties": properties });
    let tool = json!({
        "type": "mcp", "server_label": name, "server_url": url, "project_connection_id": name, "require_approval": "always",
    });
    [connection, tool]
}

/// The authorization endpoint and the token endpoint of the server's issuer. Nothing is fetched, so those of an unknown issuer are to
/// be filled in.
fn endpoints(server: &ServerConfig, config: &Config) -> [String; 2] {
    let issuer = server.protection.policies.first().map_or("", |policy| policy.issuer.as_str());
    if config.sign_in.as_ref().is_some_and(|own| own.issuer == issuer) {
        return ["authorize", "token"].map(|path| format!("{issuer}/oauth/{path}"));
    }
    let entra = issuer.strip_suffix("/v2.0").filter(|rest| rest.starts_with("https://login.microsoftonline.com/"));
    match entra {
        Some(tenant) => ["authorize", "token"].map(|path| format!("{tenant}/oauth2/v2.0/{path}")),
        None => ["AUTHORIZATION_ENDPOINT", "TOKEN_ENDPOINT"].map(|name| format!("${{{name}}}")),
    }
}
