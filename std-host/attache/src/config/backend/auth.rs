//! `[server.backend.auth]`: how tokens for the calls to a backend are got.

use super::{Backend, Place};
use attache_host::downstream::{Downstream, Grant};
use attache_host::private_file;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue};

/// The table `auth` of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackendAuth {
    grant: Grant,
    issuer: String,
    token_endpoint: Option<String>,
    client_id: String,
    client_secret_file: Option<PathBuf>,
    scopes: Vec<String>,
    resource: Option<String>,
    audience: Option<String>,
    /// Whether the lists are fetched without a token.
    pub(super) anonymous_lists: bool,
}

const KEYS: [&str; 9] =
    ["kind", "issuer", "token_endpoint", "client_id", "client_secret_file", "scopes", "resource", "audience", "lists"];

impl BackendAuth {
    pub(super) fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let DeValue::Table(table) = value else { return Err("write [server.backend.auth]".to_owned()) };
        if let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(&key.get_ref().as_ref())) {
            return Err(format!("there is no setting auth.{}: choose from {}", key.get_ref(), KEYS.join(", ")));
        }
        let required = |key: &str| text(table, key)?.ok_or_else(|| format!("auth needs {key}"));
        Ok(Self {
            grant: grant(&required("kind")?)?,
            issuer: required("issuer")?,
            token_endpoint: text(table, "token_endpoint")?,
            client_id: required("client_id")?,
            client_secret_file: text(table, "client_secret_file")?.map(PathBuf::from),
            scopes: scopes(table)?,
            resource: text(table, "resource")?,
            audience: text(table, "audience")?,
            anonymous_lists: match text(table, "lists")?.as_deref() {
                None | Some("client-credentials") => false,
                Some("anonymous") => true,
                Some(other) => return Err(format!("auth.lists {other:?} must be client-credentials or anonymous")),
            },
        })
    }
}

fn grant(kind: &str) -> Result<Grant, String> {
    match kind {
        "client-credentials" => Ok(Grant::ClientCredentials),
        "exchange" => Ok(Grant::Exchange),
        "on-behalf-of" => Ok(Grant::OnBehalfOf),
        other => Err(format!("auth.kind {other:?} must be client-credentials, exchange or on-behalf-of")),
    }
}

fn text(table: &DeTable<'_>, key: &str) -> Result<Option<String>, String> {
    match table.get(key).map(toml::Spanned::get_ref) {
        None => Ok(None),
        Some(DeValue::String(text)) if !text.is_empty() => Ok(Some(text.to_string())),
        Some(_) => Err(format!("auth.{key} must be a text")),
    }
}

fn scopes(table: &DeTable<'_>) -> Result<Vec<String>, String> {
    const WANTED: &str = "auth.scopes must be an array of texts without spaces";
    let Some(scopes) = table.get("scopes") else { return Ok(Vec::new()) };
    let DeValue::Array(scopes) = scopes.get_ref() else { return Err(WANTED.to_owned()) };
    let scope = |value: &toml::Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(scope) if !scope.is_empty() && !scope.contains(' ') => Ok(scope.to_string()),
        _ => Err(WANTED.to_owned()),
    };
    scopes.iter().map(scope).collect()
}

impl Backend {
    /// Whether the tokens of callers are needed for tokens of this backend.
    pub(crate) fn needs_caller_token(&self) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.grant != Grant::ClientCredentials)
    }

    /// Makes the source of tokens.
    ///
    /// # Errors
    /// If a setting is wrong, or the file with the secret cannot be used.
    pub(super) fn downstream(&self, auth: &BackendAuth) -> Result<Downstream, String> {
        let Place::Url { url, .. } = &self.place else { return Err("auth is for a backend with a url".to_owned()) };
        let failed = |key: &str, error: &dyn core::fmt::Display| format!("auth.{key}: {error}");
        let secret = match &auth.client_secret_file {
            None => None,
            Some(file) => {
                let text = private_file::read_for_owner("auth.client_secret_file", file);
                match text.map_err(|error| error.to_string())?.trim() {
                    "" => return Err(format!("auth.client_secret_file {} is empty", file.display())),
                    secret => Some(secret.to_owned()),
                }
            }
        };
        let resource = auth.resource.as_ref().unwrap_or(url);
        let mut tokens = Downstream::new(auth.grant, &auth.issuer, resource)
            .map_err(|error| failed("issuer", &error))?
            .client(&auth.client_id, secret)
            .scopes(&auth.scopes);
        if let Some(audience) = &auth.audience {
            tokens = tokens.audience(audience);
        }
        match &auth.token_endpoint {
            Some(endpoint) => tokens.token_endpoint(endpoint).map_err(|error| failed("token_endpoint", &error)),
            None => Ok(tokens),
        }
    }
}
