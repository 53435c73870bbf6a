//! The configuration file in which a client lists its servers (`mcpServers`), in the format of
//! Claude Desktop, Claude Code, Cursor and others.

use crate::config::{Backend, Place, Program};
use crate::fault::{Fault, Origin};
use crate::text;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct File {
    #[serde(rename = "mcpServers", alias = "servers")]
    servers: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type", alias = "transport")]
    kind: Option<String>,
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<PathBuf>,
    #[serde(alias = "serverUrl")]
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    disabled: bool,
}

/// Reads the servers of a file. If there are several, the name of each becomes its prefix.
pub(super) fn read(file: &Path) -> Result<Vec<Backend>, Fault> {
    let fault = |line: usize, what: String| Fault::at(Origin::File(file.to_owned(), line), what);
    let text = text::read(file).map_err(|error| Fault::of(format!("{}: cannot be read: {error}", file.display())))?;
    let read: File = serde_json::from_str(&text).map_err(|error| fault(error.line(), error.to_string()))?;
    let servers: Vec<_> = read.servers.into_iter().filter(|(_, entry)| !entry.disabled).collect();
    if servers.is_empty() {
        return Err(fault(1, "there is no server in mcpServers".to_owned()));
    }
    let has_several = servers.len() > 1;
    let backend = |(name, entry): (String, Entry)| {
        let line = line_of(&text, &name);
        let prefix = if has_several { prefix(&name) } else { String::new() };
        let made = entry.backend(&name, Origin::File(file.to_owned(), line));
        made.map(|backend| Backend { prefix, ..backend })
            .map_err(|what| fault(line, format!("server {name:?}: {what}")))
    };
    servers.into_iter().map(backend).collect()
}

impl Entry {
    fn backend(self, name: &str, origin: Origin) -> Result<Backend, String> {
        let place = match (self.command, self.url) {
            (Some(command), None) => Place::Command(Program {
                words: core::iter::once(command)
                    .chain(self.args)
                    .map(|word| expanded(&word).map(OsString::from))
                    .collect::<Result<_, _>>()?,
                environment: self
                    .env
                    .into_iter()
                    .map(|(name, value)| Ok((name, expanded(&value)?.into())))
                    .collect::<Result<_, String>>()?,
                directory: self.cwd,
            }),
            (None, Some(url)) => {
                Place::Url { url: expanded(&url)?, old_transport: self.kind.as_deref() == Some("sse") }
            }
            _ => return Err("it needs a command or a url".to_owned()),
        };
        let header = |(name, value): (String, String)| {
            let mut field =
                HeaderValue::from_str(&expanded(&value)?).map_err(|_| format!("header {name} has no good value"))?;
            field.set_sensitive(true);
            Ok((HeaderName::try_from(&name).map_err(|_| format!("{name:?} is not the name of a header"))?, field))
        };
        let headers = self.headers.into_iter().map(header).collect::<Result<_, String>>()?;
        Ok(Backend { headers, ..Backend::new(name, place, origin) })
    }
}

/// Replaces `${NAME}` and `${NAME:-DEFAULT}` in the text by their values, as clients do.
fn expanded(text: &str) -> Result<String, String> {
    let Some((before, rest)) = text.split_once("${") else { return Ok(text.to_owned()) };
    let (inside, behind) = rest.split_once('}').ok_or_else(|| format!("{text:?} has a ${{ without its }}"))?;
    let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
    let value = match (std::env::var(name), default) {
        (Ok(value), _) => value,
        (Err(_), Some(default)) => default.to_owned(),
        (Err(_), None) => return Err(format!("the environment variable {name} is not set")),
    };
    Ok(format!("{before}{value}{}", expanded(behind)?))
}

/// Makes a prefix for tool names from the name of a server.
fn prefix(name: &str) -> String {
    let mut prefix: String =
        name.chars().map(|char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' }).collect();
    prefix.push('_');
    prefix
}

/// Returns the number of the line that names a server.
fn line_of(text: &str, name: &str) -> usize {
    let key = format!("{name:?}");
    text.lines().position(|line| line.contains(&key)).map_or(1, |line| line + 1)
}
