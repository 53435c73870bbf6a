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
use std::time::SystemTime;
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
                keys.push((name.clone(), made()?));
                Ok(())
            }),
            Command::Renew(Named { name, file }) => change(&file.keys_file, |keys| {
                let key = keys.iter_mut().find(|(known, _)| known == name).ok_or_else(|| unknown(name))?;
                key.1 = made()?;
                Ok(())
            }),
            Command::Remove(Named { name, file }) => change(&file.keys_file, |keys| {
                let before = keys.len();
                keys.retain(|(known, _)| known != name);
                if keys.len() < before { Ok(()) } else { Err(unknown(name)) }
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

type Digests = Vec<(String, [u8; 32])>;

/// A new value, which goes to standard output; and its digest.
fn made() -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the operating system gives no randomness: {error}"))?;
    let value = hexadecimal(&bytes);
    println!("{value}");
    Ok(digest(value.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A `String` takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Changes the file, whole or not at all.
fn change(path: &Path, change: impl FnOnce(&mut Digests) -> Result<(), String>) -> Result<(), Fault> {
    let mut keys = if path.exists() { read(path)? } else { Digests::new() };
    change(&mut keys).map_err(Fault::of)?;
    if let Some((name, _)) = keys.iter().find(|(name, _)| name.is_empty() || name.contains(char::is_whitespace)) {
        return Err(Fault::of(format!("the name of a key must be one word, and {name:?} is none")));
    }
    let text: String = keys.iter().map(|(name, digest)| format!("{name} {}\n", hexadecimal(digest))).collect();
    let fresh = path.with_extension("new");
    let written = system::create_private(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    });
    written.map_err(|error| cannot(path, "written", &error))
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

/// Reads the file again whenever it has changed. What cannot be read is told, and the old keys stay.
pub(super) async fn follow(path: PathBuf, keys: Keys) {
    let changed = || fs::metadata(&path).and_then(|file| file.modified()).ok();
    let mut seen: Option<SystemTime> = changed();
    loop {
        sleep(LOOK).await;
        let now = changed();
        if now == seen {
            continue;
        }
        seen = now;
        match read(&path) {
            Ok(fresh) => {
                tracing::info!(keys = fresh.len(), "the keys of callers were read again");
                keys.replace(fresh);
            }
            Err(fault) => tracing::error!(%fault, "the keys of callers were not read again, the old ones stay"),
        }
    }
}

/// How often the file is looked at: who takes a key away wants it gone.
const LOOK: Duration = Duration::from_secs(1);
