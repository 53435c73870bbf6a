//! `[[server.backend]]`: other servers that provide tools, prompts and resources to a server.

use super::policy::{self, PolicyRules};
use crate::fault::{Fault, Faults, Origin};
use attache_host::bridge::Bridge;
use attache_host::client::{Credential, ServerCommand, Version};
use core::fmt;
use http::{HeaderName, HeaderValue};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// A server behind the gate.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) place: Place,
    pub(crate) token_file: Option<PathBuf>,
    /// Header fields of each HTTP request.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) plain_http: bool,
    pub(crate) version: Option<Version>,
    pub(crate) rules: PolicyRules,
    pub(crate) origin: Origin,
}

/// The location of the server.
#[derive(Clone)]
pub(crate) enum Place {
    Url { url: String, old_transport: bool },
    Command { words: Vec<OsString>, environment: Vec<(String, OsString)>, directory: Option<PathBuf> },
}

// The environment may contain secrets.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, .. } => f.debug_tuple("Url").field(url).finish(),
            Self::Command { words, .. } => f.debug_tuple("Command").field(words).finish(),
        }
    }
}

// Header fields may be secret.
impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("name", &self.name).field("place", &self.place).finish_non_exhaustive()
    }
}

impl Backend {
    /// Makes a backend without further settings.
    pub(crate) fn new(name: &str, place: Place, origin: Origin) -> Self {
        let (name, prefix) = (name.to_owned(), String::new());
        let (headers, rules) = (Vec::new(), PolicyRules::default());
        Self { name, prefix, place, token_file: None, headers, plain_http: false, version: None, rules, origin }
    }

    /// Checks for faults that would prevent every connection.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let fault = |what: String| Err(Fault::at(self.origin.clone(), format!("backend {:?}: {what}", self.name)));
        match &self.place {
            Place::Url { url, .. } => match reqwest::Url::parse(url) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
                _ => fault(format!("{url:?} must be a URL such as http://127.0.0.1:3000/mcp")),
            },
            Place::Command { words, directory, .. } => {
                let Some(program) = words.first() else { return fault("command must not be empty".to_owned()) };
                if let Some(directory) = directory.as_ref().filter(|directory| !directory.is_dir()) {
                    return fault(format!("cwd {} is not a directory", directory.display()));
                }
                if is_there(Path::new(program), directory.as_deref()) {
                    return Ok(());
                }
                fault(format!("there is no program {}: install it, or write its path", Path::new(program).display()))
            }
        }
    }

    /// Returns the bridge to the backend.
    pub(crate) fn bridge(&self) -> Bridge {
        let mut bridge = match &self.place {
            Place::Url { url, old_transport: false } => Bridge::http(&self.name, url),
            Place::Url { url, old_transport: true } => Bridge::old_http(&self.name, url),
            Place::Command { words, environment, directory } => {
                let (program, arguments) =
                    words.split_first().map_or((OsString::new(), &[][..]), |(p, a)| (p.clone(), a));
                let mut command = ServerCommand::new(program, arguments);
                for (name, value) in environment {
                    command = command.env(name, value);
                }
                if let Some(directory) = directory {
                    command = command.directory(directory);
                }
                Bridge::command(&self.name, command)
            }
        };
        if let Some(file) = &self.token_file {
            bridge = bridge.credential(Credential::BearerFile(file.clone()));
        }
        for (name, value) in &self.headers {
            bridge = bridge.header(name.clone(), value.clone());
        }
        if self.plain_http {
            bridge = bridge.allow_plain_http();
        }
        match self.version {
            Some(version) => bridge.version(version),
            None => bridge,
        }
    }
}

/// Whether a program can be started: by its path, or from `PATH`.
fn is_there(program: &Path, directory: Option<&Path>) -> bool {
    if program.components().count() > 1 {
        // A relative path is resolved against the working directory of the child.
        return directory.map_or_else(|| program.to_owned(), |directory| directory.join(program)).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Reads the tables `[[server.backend]]` of one server; `origin` converts an offset in the file to
/// a position.
pub(super) fn read(
    value: &DeValue<'_>,
    at: usize,
    origin: &impl Fn(usize) -> Origin,
    faults: &mut Faults,
) -> Vec<Backend> {
    let DeValue::Array(tables) = value else {
        faults.add(Fault::at(origin(at), "write [[server.backend]], with two brackets".to_owned()));
        return Vec::new();
    };
    let mut backends: Vec<Backend> = Vec::new();
    for table in tables.iter() {
        let place = origin(table.span().start);
        let read = match table.get_ref() {
            DeValue::Table(table) => one(table, &place, origin),
            _ => Err(Fault::at(place, "write [[server.backend]], with two brackets".to_owned())),
        };
        match read {
            Ok(backend) if backends.iter().any(|known| known.name == backend.name) => {
                let what = format!("there are two backends {:?}: give each a name of its own", backend.name);
                faults.add(Fault::at(backend.origin, what));
            }
            Ok(backend) => backends.push(backend),
            Err(fault) => faults.add(fault),
        }
    }
    backends
}

fn one(table: &DeTable<'_>, place: &Origin, origin: &impl Fn(usize) -> Origin) -> Result<Backend, Fault> {
    let mut given = Given::default();
    for (key, value) in table.iter() {
        let at = origin(key.span().start);
        let is_rule = given.rules.take(key.get_ref(), value.get_ref(), at.clone());
        if !is_rule.map_err(|what| Fault::at(at.clone(), what))? {
            given.take(key.get_ref(), value.get_ref()).map_err(|what| Fault::at(at, what))?;
        }
    }
    let fault = |what: &str| Fault::at(place.clone(), what.to_owned());
    let name = given.name.ok_or_else(|| fault("a backend needs a name"))?;
    let where_to = match (given.url, given.command) {
        (Some(url), None) => Place::Url { url, old_transport: given.old_transport },
        (None, Some(command)) => Place::Command {
            words: command.into_iter().map(OsString::from).collect(),
            environment: given.environment,
            directory: given.directory,
        },
        (Some(_), Some(_)) => return Err(fault("a backend has a command or a url, and not both")),
        (None, None) => return Err(fault("a backend needs a command or a url")),
    };
    let backend = Backend {
        prefix: given.prefix,
        token_file: given.token_file,
        plain_http: given.plain_http,
        version: given.version,
        rules: given.rules,
        ..Backend::new(&name, where_to, place.clone())
    };
    backend.check().map(|()| backend)
}

/// The values of one table.
#[derive(Default)]
struct Given {
    name: Option<String>,
    url: Option<String>,
    command: Option<Vec<String>>,
    old_transport: bool,
    prefix: String,
    environment: Vec<(String, OsString)>,
    directory: Option<PathBuf>,
    token_file: Option<PathBuf>,
    plain_http: bool,
    version: Option<Version>,
    rules: PolicyRules,
}

const KEYS: [&str; 10] =
    ["name", "command", "url", "transport", "prefix", "env", "cwd", "token_file", "plain_http", "revision"];

impl Given {
    fn take(&mut self, key: &str, value: &DeValue<'_>) -> Result<(), String> {
        let text = || match value {
            DeValue::String(text) if !text.is_empty() => Ok(text.to_string()),
            _ => Err(format!("{key} must be a text")),
        };
        match key {
            "name" => self.name = Some(text()?),
            "url" => self.url = Some(text()?),
            "command" => self.command = Some(words(value)?),
            "transport" => {
                self.old_transport = match text()?.as_str() {
                    "http" => false,
                    "sse" => true,
                    other => return Err(format!("transport {other:?} must be http or sse")),
                }
            }
            "prefix" => self.prefix = prefix(&text()?)?,
            "env" => self.environment = environment(value)?,
            "cwd" => self.directory = Some(text()?.into()),
            "token_file" => self.token_file = Some(text()?.into()),
            "plain_http" => {
                self.plain_http = match value {
                    DeValue::Boolean(switch) => *switch,
                    _ => return Err("plain_http must be true or false".to_owned()),
                }
            }
            "revision" => self.version = Some(revision(&text()?)?),
            _ => {
                let keys = KEYS.iter().chain(&policy::KEYS).copied().collect::<Vec<_>>();
                return Err(format!("there is no setting {key} of a backend: choose from {}", keys.join(", ")));
            }
        }
        Ok(())
    }
}

fn words(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    const WANTED: &str = "command must be an array of texts: the program and its arguments";
    let DeValue::Array(words) = value else { return Err(WANTED.to_owned()) };
    let word = |value: &toml::Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(word) => Ok(word.to_string()),
        _ => Err(WANTED.to_owned()),
    };
    words.iter().map(word).collect()
}

/// Parses a prefix for tool names.
// MCP 2025-11-25 server/tools, "Tool Names": letters, digits, _ - and dots.
fn prefix(text: &str) -> Result<String, String> {
    match text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')) {
        true => Ok(text.to_owned()),
        false => Err(format!("prefix {text:?} must have letters, digits, _, - and . alone")),
    }
}

/// Variables with their values, or the names of variables that the child inherits.
fn environment(value: &DeValue<'_>) -> Result<Vec<(String, OsString)>, String> {
    const WANTED: &str = r#"env must be { NAME = "value" }, or ["NAME"] to pass variables of this program on"#;
    match value {
        DeValue::Table(table) => table
            .iter()
            .map(|(name, value)| match value.get_ref() {
                DeValue::String(value) => Ok((name.get_ref().to_string(), value.to_string().into())),
                _ => Err(WANTED.to_owned()),
            })
            .collect(),
        DeValue::Array(names) => names
            .iter()
            .map(|name| match name.get_ref() {
                DeValue::String(name) => {
                    let value = std::env::var_os(name.as_ref());
                    let value = value.ok_or_else(|| format!("env names {name}, which is not set"))?;
                    Ok((name.to_string(), value))
                }
                _ => Err(WANTED.to_owned()),
            })
            .collect(),
        _ => Err(WANTED.to_owned()),
    }
}

pub(crate) fn revision(date: &str) -> Result<Version, String> {
    Version::parse(date.as_bytes())
        .ok_or_else(|| "revision must be 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25 or 2026-07-28".to_owned())
}

/// The schema of a table, for editors.
pub(super) fn schema() -> serde_json::Value {
    use serde_json::json;
    let text = |description: &str| json!({"type": "string", "description": description});
    let mut schema = json!({
        "type": "array",
        "description": "Other servers whose tools, prompts and resources this one offers",
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["name"],
            "properties": {
                "name": text("Name for people and the log"),
                "command": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Program and arguments of a server on standard input and output",
                },
                "url": text("URL of a server"),
                "transport": {"enum": ["http", "sse"], "description": "sse: the HTTP transport of revision 2024-11-05", "default": "http"},
                "prefix": text("Put before the names of its tools and prompts"),
                "env": {
                    "type": ["object", "array"],
                    "items": {"type": "string"},
                    "additionalProperties": {"type": "string"},
                    "description": "Variables of the child: values by name, or names of variables to pass on",
                },
                "cwd": text("Working directory of the child"),
                "token_file": text("File with the access token that is sent to url"),
                "plain_http": {"type": "boolean", "description": "Let the token travel unencrypted to another machine", "default": false},
                "revision": text("The only revision of MCP to speak with it; unset: the newest that both sides speak"),
            },
        },
    });
    for (key, rule) in policy::schema() {
        schema["items"]["properties"][key] = rule;
    }
    schema
}
