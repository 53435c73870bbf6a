//! Keys of callers, made and taken away by whoever runs the server.

use super::config::Fault;
use super::key_file::{Entry, Kind, change, made, read, remove};
use attache_core::auth::digest;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Makes and removes the keys by which callers are let in. A server that runs with the file takes each change within a few seconds.
#[derive(Args, Debug)]
pub(super) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new key, and print its value, which nobody can print again.
    Add(Named),
    /// Make a new value for a key, print it, and let the old one in no more.
    Renew(Named),
    /// Let the holder of a key in no more.
    Remove(Named),
    /// Print the names of all keys.
    List(File),
}

#[derive(Args, Debug)]
struct Named {
    /// What the key is called in the log, such as the one who gets it.
    name: String,

    /// What the key opens.
    #[arg(long, value_enum, default_value_t = Level::Host)]
    level: Level,

    /// The path of the one server that a key of level `function` opens.
    #[arg(long, value_name = "PATH", required_if_eq("level", "function"))]
    server: Option<String>,

    #[command(flatten)]
    file: File,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    /// All servers that ask for level `function`, as they do unless auth.key_level says otherwise.
    Host,
    /// One of them.
    Function,
    /// The servers that ask for a key of this level and name.
    System,
    /// Everything, and the keys themselves (auth.key_administration).
    Master,
}

#[derive(Args, Debug)]
struct File {
    /// The file of keys, as auth.keys_file names it.
    #[arg(long, value_name = "FILE", env = "ATTACHE_AUTH_KEYS_FILE")]
    keys_file: PathBuf,
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
}

impl Key {
    pub(super) fn run(&self) -> Result<(), Fault> {
        match &self.command {
            Command::Add(named) => {
                let value = change(&named.file.keys_file, |keys| add(keys, &named.name, named.kind()))?;
                println!("{}", value.1);
            }
            Command::Renew(named) => {
                let value = change(&named.file.keys_file, |keys| renew(keys, &named.name, &named.kind()))?;
                println!("{}", value.1);
            }
            Command::Remove(named) => {
                change(&named.file.keys_file, |keys| match remove(keys, &named.name, &named.kind()) {
                    true => Ok(()),
                    false => Err(unknown(&named.name)),
                })?;
            }
            Command::List(file) => {
                for Entry { name, kind, .. } in read(&file.keys_file)? {
                    match kind {
                        Kind::Host => println!("{name}"),
                        kind => println!("{name} {kind}"),
                    }
                }
            }
        }
        Ok(())
    }
}

fn add(keys: &mut Vec<Entry>, name: &str, kind: Kind) -> Result<String, String> {
    if keys.iter().any(|key| key.is(name, &kind)) {
        return Err(format!("there is a key {name:?} already: renew it, or choose another name"));
    }
    let value = made()?;
    keys.push(Entry { name: name.to_owned(), kind, digest: digest(value.as_bytes()) });
    Ok(value)
}

fn renew(keys: &mut [Entry], name: &str, kind: &Kind) -> Result<String, String> {
    let key = keys.iter_mut().find(|key| key.is(name, kind)).ok_or_else(|| unknown(name))?;
    let value = made()?;
    key.digest = digest(value.as_bytes());
    Ok(value)
}

fn unknown(name: &str) -> String {
    format!("there is no key {name:?} of this level: `attache key list` prints those that there are")
}
