//! `[[server.backend]]`: the sources of tools, prompts and resources of a server.

mod auth;
mod children;
mod environment;
mod made;
mod place;
mod schema;

use super::policy::{self, PolicyRules};
use crate::fault::{Fault, Faults, Origin};
use attache_host::client::Version;
pub(crate) use auth::BackendAuth;
pub(crate) use children::Children;
use core::fmt;
use environment::environment;
use http::{HeaderName, HeaderValue};
pub(crate) use made::Made;
pub(crate) use place::{Place, Program};
pub(super) use schema::schema;
use std::ffi::OsString;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue};

/// A server behind the gate, or a directory with tools, prompts or resources.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) place: Place,
    pub(crate) token_file: Option<PathBuf>,
    /// The way to get tokens for calls.
    pub(crate) auth: Option<BackendAuth>,
    /// Header fields of each HTTP request.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) plain_http: bool,
    pub(crate) version: Option<Version>,
    pub(crate) rules: PolicyRules,
    /// Whether the entries stay in the lists while the server is down.
    pub(crate) keeps_entries: bool,
    pub(crate) children: Children,
    pub(crate) origin: Origin,
}

// Header fields may be secret.
impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Backend {
    /// Makes a backend without further settings.
    pub(crate) fn new(name: &str, place: Place, origin: Origin) -> Self {
        Self {
            name: name.to_owned(),
            prefix: String::new(),
            place,
            token_file: None,
            auth: None,
            headers: Vec::new(),
            plain_http: false,
            version: None,
            rules: PolicyRules::default(),
            keeps_entries: false,
            children: Children::default(),
            origin,
        }
    }

    /// Checks for faults that would prevent every connection.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if let Some((file, Err(error))) = self.token_file.as_ref().map(|file| (file, std::fs::read_to_string(file))) {
            return Err(self.fault(&format!("token_file {} cannot be read: {error}", file.display())));
        }
        if let Some(auth) = &self.auth {
            self.downstream(auth).map(drop).map_err(|what| self.fault(&what))?;
        }
        self.place.check().map_err(|what| self.fault(&what))
    }

    /// Whether a running backend of this configuration can stay. Policies can be replaced while it runs.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let Self {
            name,
            prefix,
            place,
            token_file,
            auth,
            headers,
            plain_http,
            version,
            rules: _,
            keeps_entries,
            children,
            origin: _,
        } = self;
        (name, prefix, place, token_file, headers)
            == (&other.name, &other.prefix, &other.place, &other.token_file, &other.headers)
            && (auth, plain_http, version, keeps_entries, children)
                == (&other.auth, &other.plain_http, &other.version, &other.keeps_entries, &other.children)
    }

    /// Returns the variables of child processes, by name.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &(String, OsString)> {
        self.place.environment().iter().chain(self.children.environments())
    }

    /// Says what is wrong with the backend.
    pub(crate) fn fault(&self, what: &str) -> Fault {
        Fault::at(self.origin.clone(), format!("backend {:?}: {what}", self.name))
    }
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
    let name = given.name.take().ok_or_else(|| fault("a backend needs a name, such as name = \"files\""))?;
    let where_to = given.place().map_err(|what| fault(&what))?;
    given.children.check(&where_to).map_err(|what| fault(&what))?;
    let backend = Backend {
        prefix: given.prefix,
        token_file: given.token_file,
        auth: given.auth,
        plain_http: given.plain_http,
        version: given.version,
        rules: given.rules,
        keeps_entries: given.keeps_entries,
        children: given.children,
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
    auth: Option<BackendAuth>,
    plain_http: bool,
    version: Option<Version>,
    rules: PolicyRules,
    keeps_entries: bool,
    tools: Option<PathBuf>,
    prompts: Option<PathBuf>,
    resources: Option<PathBuf>,
    children: Children,
}

const KEYS: [&str; 15] = [
    "name",
    "command",
    "url",
    "transport",
    "prefix",
    "env",
    "cwd",
    "token_file",
    "auth",
    "plain_http",
    "revision",
    "when_down",
    "tools_dir",
    "prompts_dir",
    "resources_dir",
];

impl Given {
    /// The place that the keys name together.
    fn place(&mut self) -> Result<Place, String> {
        let directories = [
            self.tools.take().map(Place::Tools),
            self.prompts.take().map(Place::Prompts),
            self.resources.take().map(Place::Resources),
        ];
        let mut directories = directories.into_iter().flatten();
        let program = self.command.take().map(|words| Program {
            words: words.into_iter().map(OsString::from).collect(),
            environment: core::mem::take(&mut self.environment),
            directory: self.directory.take(),
        });
        match (self.url.take(), program, directories.next(), directories.next()) {
            (Some(url), None, None, None) => Ok(Place::Url { url, old_transport: self.old_transport }),
            (None, Some(program), None, None) => Ok(Place::Command(program)),
            (Some(_), Some(_), None, None) if self.old_transport => {
                Err("a server with a command and a url is used over Streamable HTTP: remove transport".to_owned())
            }
            (Some(url), Some(program), None, None) => Ok(Place::Served { program, url }),
            (None, None, Some(directory), None) => Ok(directory),
            _ => Err(format!("a backend needs one of {PLACES}")),
        }
    }

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
            "auth" => self.auth = Some(BackendAuth::read(value)?),
            "plain_http" => {
                self.plain_http = match value {
                    DeValue::Boolean(switch) => *switch,
                    _ => return Err("plain_http must be true or false".to_owned()),
                }
            }
            "revision" => self.version = Some(revision(&text()?)?),
            "when_down" => {
                self.keeps_entries = match text()?.as_str() {
                    "hide" => false,
                    "fail" => true,
                    other => return Err(format!("when_down {other:?} must be hide or fail")),
                }
            }
            "tools_dir" => self.tools = Some(text()?.into()),
            "prompts_dir" => self.prompts = Some(text()?.into()),
            "resources_dir" => self.resources = Some(text()?.into()),
            _ if children::KEYS.contains(&key) => self.children.take(key, value)?,
            _ => {
                let keys = [&KEYS[..], &children::KEYS, &policy::KEYS].concat().join(", ");
                return Err(format!("there is no setting {key} of a backend: choose from {keys}"));
            }
        }
        Ok(())
    }
}

const PLACES: &str = "command, url, tools_dir, prompts_dir and resources_dir, or command and url of a server that is started and \
                      serves HTTP";

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

pub(crate) fn revision(date: &str) -> Result<Version, String> {
    Version::parse(date.as_bytes())
        .ok_or_else(|| "revision must be 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25 or 2026-07-28".to_owned())
}
