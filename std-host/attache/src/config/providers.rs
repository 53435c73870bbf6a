//! `[[auth.provider]]`: the providers at which people sign in with a browser.

use super::given::Given;
use super::secret::{Secret, read_file};
use crate::fault::{Fault, Faults, Origin};
use attache_host::auth::{PlatformProvider, ProviderKind};
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

/// A provider at which people sign in.
#[derive(Clone, Debug)]
pub(crate) struct ProviderConfig {
    pub(crate) name: String,
    pub(crate) kind: ProviderKind,
    /// The issuer; that of the kind if it is empty.
    pub(crate) issuer: String,
    /// The API of GitHub; that of github.com if it is empty.
    pub(crate) api_url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret<String>>,
    pub(crate) label: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) identities: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) tenants: Vec<String>,
    pub(crate) email_domains: Vec<String>,
    pub(crate) origin: Origin,
}

const KINDS: [(&str, ProviderKind); 4] = [
    ("oidc", ProviderKind::OpenIdConnect),
    ("entra", ProviderKind::Entra),
    ("google", ProviderKind::Google),
    ("github", ProviderKind::GitHub),
];

/// The keys of a table: texts, lists, and the table of parameters.
const TEXTS: [(&str, &str); 7] = [
    ("name", "Name in the paths of the sign-in pages, such as /.auth/login/NAME"),
    ("kind", "oidc (OpenID Connect), entra, google or github"),
    ("issuer", "Issuer URL. Unset: that of Google, or https://github.com"),
    ("api_url", "URL of the API of a GitHub installation; unset: https://api.github.com"),
    ("client_id", "Client id of this program at the provider"),
    ("client_secret_file", "File with the secret of that client, private to its owner"),
    ("label", "Name for people, who choose among several providers by it"),
];
const LISTS: [(&str, &str); 5] = [
    ("scopes", "Scopes to request; unset: openid, profile and email, or read:user of GitHub"),
    ("identities", "People (oid or sub) who may sign in. Without identities and groups, all may"),
    ("groups", "Groups whose members may sign in, in addition to identities"),
    ("tenants", "Tenants (tid) whose people may sign in; *: all. An issuer of many tenants needs a value"),
    (
        "email_domains",
        "Domains of verified e-mail addresses, or of Google organizations (hd), whose people may sign in",
    ),
];
const PARAMETERS: (&str, &str) =
    ("parameters", "Further parameters of the request that signs a person in, such as prompt = \"select_account\"");

/// The schema of the tables.
pub(super) fn schema() -> Value {
    let text = |(_, help): &(&str, &str)| json!({"type": "string", "description": help});
    let list = |(_, help): &(&str, &str)| json!({"type": "array", "items": {"type": "string"}, "description": help});
    let mut properties = serde_json::Map::new();
    properties.extend(TEXTS.iter().map(|key| (key.0.to_owned(), text(key))));
    properties.extend(LISTS.iter().map(|key| (key.0.to_owned(), list(key))));
    properties["kind"]["enum"] = KINDS.map(|(name, _)| name).into();
    let parameters = json!({"type": "object", "additionalProperties": {"type": "string"}, "description": PARAMETERS.1});
    properties.insert(PARAMETERS.0.to_owned(), parameters);
    json!({
        "type": "array",
        "description": "Providers at which people sign in with a browser",
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["name", "kind", "client_id"],
            "properties": properties,
        },
    })
}

const NOT_A_TABLE: &str = "write [[auth.provider]], with two brackets: people may choose among several providers";

/// Reads the tables; `origin` converts an offset in the file to a position.
pub(super) fn read(
    value: &DeValue<'_>,
    at: usize,
    origin: &impl Fn(usize) -> Origin,
    faults: &mut Faults,
) -> Vec<ProviderConfig> {
    let DeValue::Array(tables) = value else {
        faults.add(Fault::at(origin(at), NOT_A_TABLE.to_owned()));
        return Vec::new();
    };
    let mut providers = Vec::new();
    for table in tables.iter() {
        let place = origin(table.span().start);
        let read = match table.get_ref() {
            DeValue::Table(table) => one(table, place, origin),
            _ => Err(Fault::at(place, NOT_A_TABLE.to_owned())),
        };
        match read {
            Ok(provider) => providers.push(provider),
            Err(fault) => faults.add(fault),
        }
    }
    providers
}

fn one(table: &DeTable<'_>, place: Origin, origin: &impl Fn(usize) -> Origin) -> Result<ProviderConfig, Fault> {
    let mut texts: Vec<(String, String)> = Vec::new();
    let mut lists: Vec<(String, Vec<String>)> = Vec::new();
    let mut parameters = Vec::new();
    for (key, value) in table.iter() {
        let (name, value) = (key.get_ref().as_ref(), value.get_ref());
        let fault = |what: String| Fault::at(origin(key.span().start), what);
        match name {
            _ if TEXTS.iter().any(|(text, _)| *text == name) => {
                texts.push((name.to_owned(), text(name, value).map_err(fault)?))
            }
            _ if LISTS.iter().any(|(list, _)| *list == name) => {
                lists.push((name.to_owned(), list(name, value).map_err(fault)?))
            }
            _ if name == PARAMETERS.0 => parameters = table_of_texts(value).map_err(fault)?,
            _ => {
                let keys: Vec<_> = TEXTS.iter().chain(&LISTS).chain([&PARAMETERS]).map(|(key, _)| *key).collect();
                return Err(fault(format!(
                    "there is no setting {name} of a provider: choose from {}",
                    keys.join(", ")
                )));
            }
        }
    }
    let fault = |what: &str| Fault::at(place.clone(), format!("a provider needs {what}"));
    let text = |name: &str| texts.iter().find(|(own, _)| own == name).map(|(_, text)| text.clone());
    let list = |name: &str| lists.iter().find(|(own, _)| own == name).map(|(_, list)| list.clone()).unwrap_or_default();
    let name = text("name").ok_or_else(|| fault("a name, such as name = \"company\""))?;
    let word = text("kind").ok_or_else(|| fault("a kind: oidc, entra, google or github"))?;
    let kind = KINDS.iter().find(|(own, _)| *own == word).map(|(_, kind)| *kind);
    let kind =
        kind.ok_or_else(|| Fault::at(place.clone(), format!("kind {word:?} must be oidc, entra, google or github")))?;
    let issuer = text("issuer").unwrap_or_default();
    if issuer.is_empty() && matches!(kind, ProviderKind::OpenIdConnect | ProviderKind::Entra) {
        return Err(fault("an issuer, such as issuer = \"https://login.microsoftonline.com/TENANT/v2.0\""));
    }
    let client_id = text("client_id").ok_or_else(|| fault("a client_id"))?;
    let file = text("client_secret_file").map(|file| Given { texts: vec![file], origin: place.clone() });
    let client_secret = file.map(|file| read_file("client_secret_file", &file)).transpose()?;
    let client_secret = client_secret.map(|Secret(text)| Secret(text.trim().to_owned()));
    if client_secret.as_ref().is_some_and(|Secret(secret)| secret.is_empty()) {
        return Err(Fault::at(place, "client_secret_file is empty".to_owned()));
    }
    if client_secret.is_none() && kind == ProviderKind::GitHub {
        return Err(fault("a client_secret_file: GitHub requires the secret of the client"));
    }
    Ok(ProviderConfig {
        label: text("label").unwrap_or_else(|| label(kind, &name)),
        api_url: text("api_url").unwrap_or_default(),
        scopes: list("scopes"),
        identities: list("identities"),
        groups: list("groups"),
        tenants: list("tenants"),
        email_domains: list("email_domains"),
        origin: place,
        name,
        kind,
        issuer,
        client_id,
        client_secret,
        parameters,
    })
}

/// Returns the kind with this name.
pub(super) fn kind(word: &str) -> ProviderKind {
    KINDS.iter().find(|(own, _)| *own == word).map(|(_, kind)| *kind).unwrap_or_default()
}

/// The name for people of a provider without a label.
fn label(kind: ProviderKind, name: &str) -> String {
    match kind {
        ProviderKind::Entra => "Microsoft".to_owned(),
        ProviderKind::Google => "Google".to_owned(),
        ProviderKind::GitHub => "GitHub".to_owned(),
        ProviderKind::OpenIdConnect => name.to_owned(),
    }
}

impl From<PlatformProvider> for ProviderConfig {
    fn from(provider: PlatformProvider) -> Self {
        Self {
            label: label(provider.kind, &provider.name),
            name: provider.name,
            kind: provider.kind,
            issuer: provider.issuer,
            api_url: String::new(),
            client_id: provider.client_id,
            client_secret: Some(Secret(provider.client_secret)),
            scopes: provider.scopes,
            parameters: provider.parameters,
            identities: provider.identities,
            groups: provider.groups,
            tenants: provider.tenants,
            email_domains: Vec::new(),
            origin: Origin::Default,
        }
    }
}

fn text(key: &str, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) if !text.is_empty() => Ok(text.to_string()),
        _ => Err(format!("{key} must be a text")),
    }
}

fn list(key: &str, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let DeValue::Array(values) = value else { return Err(format!("{key} must be an array of texts")) };
    values.iter().map(|value| text(key, value.get_ref())).collect()
}

fn table_of_texts(value: &DeValue<'_>) -> Result<Vec<(String, String)>, String> {
    let DeValue::Table(table) = value else {
        return Err("parameters must be a table, such as parameters = { prompt = \"select_account\" }".to_owned());
    };
    let pair = |(key, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
        Ok((key.get_ref().to_string(), text(key.get_ref(), value.get_ref())?))
    };
    table.iter().map(pair).collect()
}
