//! `attache key`: lets the operator add, renew, remove and list API keys.

use super::config::{Flags, Layers};
use super::fault::Fault;
use super::print::print;
use super::problem::Problem;
use attache_core::auth::digest;
use attache_host::auth::key_file::{self, Entry, Kind, new_value, read_for_owner, remove};
use attache_host::private_file::InvalidFile;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Add, renew, remove and list API keys; a running server picks up each change within seconds
#[derive(Args, Debug)]
pub(super) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new key and print its value, which is shown only once
    Add(Named),
    /// Replace a key and print its new value; the old value stops working
    Renew(Named),
    /// Delete a key
    Remove(Named),
    /// Print the names of all keys
    List(File),
}

#[derive(Args, Debug)]
struct Named {
    /// Name of the key in the log, such as the name of its holder
    name: String,

    /// Servers that the key opens
    #[arg(long, value_enum, default_value_t = Level::Host)]
    level: Level,

    /// Path of the one server that a key of level `function` opens
    #[arg(long, value_name = "PATH", required_if_eq("level", "function"))]
    server: Option<String>,

    #[command(flatten)]
    file: File,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    /// Opens every server (unless its auth.key_level says otherwise)
    Host,
    /// Opens the server at --server
    Function,
    /// Opens the servers that ask for a system key of this name
    System,
    /// Opens everything, and key administration (auth.key_administration)
    Master,
}

#[derive(Args, Debug)]
struct File {
    /// File of API keys [default: auth.keys_file of the configuration]
    #[arg(long, value_name = "FILE")]
    keys_file: Option<PathBuf>,

    /// Configuration file [env: ATTACHE_CONFIG]; attache.toml in the working directory is read
    /// without being named
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl File {
    /// The key file. With several servers, the one of the server at `path`.
    fn path(&self, path: Option<&str>) -> Result<PathBuf, Fault> {
        if let Some(file) = &self.keys_file {
            return Ok(file.clone());
        }
        let file = Layers::read(&Flags::default(), self.config.as_deref())?.keys_file(path);
        file.ok_or_else(|| {
            Fault::of("no file of keys is configured: set auth.keys_file, or give --keys-file".to_owned())
        })
    }
}

impl Named {
    fn kind(&self) -> Kind {
        match self.level {
            Level::Host => Kind::Host,
            Level::Function => Kind::Function(self.server.clone().unwrap_or_default()),
            Level::System => Kind::System,
            Level::Master => Kind::Master,
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Entry>) -> Result<T, String>) -> Result<T, Fault> {
        let (_, given) =
            key_file::change(&self.file.path(self.server.as_deref())?, change).map_err(InvalidFile::from)?;
        Ok(given)
    }
}

impl Key {
    pub(super) fn run(&self) -> Result<(), Problem> {
        match &self.command {
            Command::Add(named) => {
                let value = named.change(|keys| add(keys, &named.name, named.kind()))?;
                print(&format!("{value}\n"))
            }
            Command::Renew(named) => {
                let value = named.change(|keys| renew(keys, &named.name, &named.kind()))?;
                print(&format!("{value}\n"))
            }
            Command::Remove(named) => Ok(named.change(|keys| match remove(keys, &named.name, &named.kind()) {
                true => Ok(()),
                false => Err(unknown(&named.name)),
            })?),
            Command::List(file) => {
                let keys = read_for_owner(&file.path(None)?)?;
                let line = |Entry { name, kind, .. }: &Entry| match kind {
                    Kind::Host => format!("{name}\n"),
                    kind => format!("{name} {kind}\n"),
                };
                print(&keys.iter().map(line).collect::<String>())
            }
        }
    }
}

fn add(keys: &mut Vec<Entry>, name: &str, kind: Kind) -> Result<String, String> {
    if keys.iter().any(|key| key.is(name, &kind)) {
        return Err(format!("there is a key {name:?} already: renew it, or choose another name"));
    }
    let value = new_value()?;
    keys.push(Entry { name: name.to_owned(), kind, digest: digest(value.as_bytes()) });
    Ok(value)
}

fn renew(keys: &mut [Entry], name: &str, kind: &Kind) -> Result<String, String> {
    let key = keys.iter_mut().find(|key| key.is(name, kind)).ok_or_else(|| unknown(name))?;
    let value = new_value()?;
    key.digest = digest(value.as_bytes());
    Ok(value)
}

fn unknown(name: &str) -> String {
    format!("there is no key {name:?} of this level: `attache key list` prints those that there are")
}
