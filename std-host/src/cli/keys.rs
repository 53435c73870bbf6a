//! Files of API keys: a line for each, its name and the SHA-256 of its value. The value itself is shown once, when it is made.

use super::config::{Fault, check_readers};
use super::system;
use attache_core::auth::digest;
use attache_host::auth::Keys;
use clap::{Args, Subcommand};
use core::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tokio::time::{Duration, sleep};

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

    #[command(flatten)]
    file: File,
}

#[derive(Args, Debug)]
struct File {
    /// The file of keys, as auth.keys_file names it.
    #[arg(long, value_name = "FILE", env = "ATTACHE_AUTH_KEYS_FILE")]
    keys_file: PathBuf,
}

impl Key {
    pub(super) fn run(&self) -> Result<(), Fault> {
        match &self.command {
            Command::Add(Named { name, file }) => change(&file.keys_file, |keys| {
                if keys.iter().any(|(known, _)| known == name) {
                    return Err(format!("there is a key {name:?} already: renew it, or choose another name"));
                }
                let value = made()?;
                keys.push((name.clone(), digest(value.as_bytes())));
                Ok(Some(value))
            }),
            Command::Renew(Named { name, file }) => change(&file.keys_file, |keys| {
                let key = keys.iter_mut().find(|(known, _)| known == name).ok_or_else(|| unknown(name))?;
                let value = made()?;
                key.1 = digest(value.as_bytes());
                Ok(Some(value))
            }),
            Command::Remove(Named { name, file }) => change(&file.keys_file, |keys| {
                let before = keys.len();
                keys.retain(|(known, _)| known != name);
                if keys.len() < before { Ok(None) } else { Err(unknown(name)) }
            }),
            Command::List(file) => {
                read(&file.keys_file)?.iter().for_each(|(name, _)| println!("{name}"));
                Ok(())
            }
        }
    }
}

fn unknown(name: &str) -> String {
    format!("there is no key {name:?}: `attache key list` prints those that there are")
}

/// The keys of a file, by name.
pub(super) type Digests = Vec<(String, [u8; 32])>;

/// A new value.
fn made() -> Result<String, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the operating system gives no randomness: {error}"))?;
    Ok(hexadecimal(&bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A `String` takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Changes the file, whole or not at all, and then prints the value that the change has made.
fn change(path: &Path, change: impl FnOnce(&mut Digests) -> Result<Option<String>, String>) -> Result<(), Fault> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    // As long as it is there nobody else changes the file.
    let mut file = system::create_private(&fresh).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Fault::of(format!(
            "{} is there: another `attache key` is at work, or one was killed, and then it may be removed",
            fresh.display()
        )),
        _ => cannot(path, "written", &error),
    })?;
    let changed = changed(path, change).and_then(|(keys, value)| {
        let text: String = keys.iter().map(|(name, digest)| format!("{name} {}\n", hexadecimal(digest))).collect();
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| fs::rename(&fresh, path)).map_err(|error| cannot(path, "written", &error))?;
        Ok(value)
    });
    match changed {
        Ok(value) => {
            value.iter().for_each(|value| println!("{value}"));
            Ok(())
        }
        Err(fault) => {
            let _ = fs::remove_file(&fresh);
            Err(fault)
        }
    }
}

fn changed(
    path: &Path,
    change: impl FnOnce(&mut Digests) -> Result<Option<String>, String>,
) -> Result<(Digests, Option<String>), Fault> {
    let mut keys = if path.exists() { read(path)? } else { Digests::new() };
    let value = change(&mut keys).map_err(Fault::of)?;
    if let Some((name, _)) = keys.iter().find(|(name, _)| name.is_empty() || name.contains(char::is_whitespace)) {
        return Err(Fault::of(format!("the name of a key must be one word, and {name:?} is none")));
    }
    Ok((keys, value))
}

/// The keys in the file.
pub(super) fn read(path: &Path) -> Result<Digests, Fault> {
    check_readers("auth.keys_file", path)?;
    let text = fs::read_to_string(path).map_err(|error| cannot(path, "read", &error))?;
    let mut keys = Digests::new();
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = || {
            let line = format!("{}:{number}", path.display());
            Fault::of(format!(
                "{line}: a line must be the name of a key and 64 hexadecimal digits: attache key add NAME"
            ))
        };
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, digits) = line.split_once(' ').ok_or_else(wrong)?;
        keys.push((name.to_owned(), super::config::bytes(digits.trim()).ok_or_else(wrong)?));
    }
    Ok(keys)
}

fn cannot(path: &Path, what: &str, error: &io::Error) -> Fault {
    Fault::of(format!("auth.keys_file {} cannot be {what}: {error}", path.display()))
}

/// Reads the file again and again, and takes what it says instead of what it said `before`. What cannot be read is told, and the old
/// keys stay.
pub(super) async fn follow(path: PathBuf, mut before: Digests, keys: Keys) {
    let mut told = None;
    loop {
        sleep(LOOK).await;
        match read(&path) {
            Ok(fresh) => {
                told = None;
                if fresh != before {
                    tracing::info!(keys = fresh.len(), "the keys of callers were read again");
                    keys.replace(fresh.clone());
                    before = fresh;
                }
            }
            Err(fault) => {
                let fault = fault.to_string();
                if told.as_ref() != Some(&fault) {
                    tracing::error!(%fault, "the keys of callers were not read again, the old ones stay");
                    told = Some(fault);
                }
            }
        }
    }
}

/// How often the file is read, which is short: who takes a key away wants it gone.
const LOOK: Duration = Duration::from_secs(1);
