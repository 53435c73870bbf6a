//! Files of API keys: a line for each, its name, the SHA-256 of its value, and what it opens if that is not every endpoint. The value itself
//! is shown once, when it is made.

use super::config::{Fault, check_readers};
use super::system;
use attache_core::auth::{ApiKey, Denied, Shown, digest};
use attache_host::auth::Keys;
use core::fmt::{self, Write as _};
use core::str::FromStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Duration, sleep};

/// A key of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) digest: [u8; 32],
}

/// What a key opens (docs/authorization.md, "Keys").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everything, keys among it.
    Master,
    /// All endpoints that ask for the level `function`.
    Host,
    /// The one at this path.
    Function(String),
    /// Those that ask for the level `system`, and for a key of this name.
    System,
}

/// What an endpoint asks of a key. A key opens it if its level is equal, not if it is higher; the master key opens all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Function,
    /// A key of this name.
    System(String),
    Admin,
}

impl Entry {
    pub(super) fn is(&self, name: &str, kind: &Kind) -> bool {
        self.name == name && self.kind == *kind
    }

    /// Whether it opens the endpoint at `path`, which asks for `level`.
    pub(super) fn opens(&self, level: &Level, path: &str) -> bool {
        match (&self.kind, level) {
            (Kind::Master, _) | (Kind::Host, Level::Function) => true,
            (Kind::Function(of), Level::Function) => of == path,
            (Kind::System, Level::System(name)) => self.name == *name,
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master => f.write_str("master"),
            Self::Host => f.write_str("host"),
            Self::Function(path) => write!(f, "function:{path}"),
            Self::System => f.write_str("system"),
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text.split_once(':') {
            None if text == "master" => Self::Master,
            None if text == "host" => Self::Host,
            None if text == "system" => Self::System,
            Some(("function", path)) if path.starts_with('/') => Self::Function(path.to_owned()),
            _ => return Err(()),
        })
    }
}

/// A new value: a mark by which it is found where it should not be, 32 random bytes, and a check of both.
pub(super) fn made() -> Result<String, String> {
    let mut value = format!("attache_{}", hexadecimal(&random()?));
    let [a, b, c, d, ..] = digest(value.as_bytes());
    value.push_str(&hexadecimal(&[a, b, c, d]));
    Ok(value)
}

/// 32 bytes that nobody guesses.
pub(super) fn random() -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the operating system gives no randomness: {error}"))?;
    Ok(bytes)
}

/// Takes a key away; whether it was there.
pub(super) fn remove(keys: &mut Vec<Entry>, name: &str, kind: &Kind) -> bool {
    let before = keys.len();
    keys.retain(|key| !key.is(name, kind));
    keys.len() < before
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A `String` takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Why the file was not changed.
#[derive(Debug)]
pub(super) enum Unchanged {
    /// Somebody else changes it.
    Busy(String),
    /// The change makes no sense.
    Refused(String),
    /// It cannot be read or written.
    Broken(Fault),
}

impl From<Unchanged> for Fault {
    fn from(unchanged: Unchanged) -> Self {
        match unchanged {
            Unchanged::Busy(what) | Unchanged::Refused(what) => Self::of(what),
            Unchanged::Broken(fault) => fault,
        }
    }
}

/// Changes the file, whole or not at all; what stands in it then, and what the change has given.
pub(super) fn change<T>(
    path: &Path,
    change: impl FnOnce(&mut Vec<Entry>) -> Result<T, String>,
) -> Result<(Vec<Entry>, T), Unchanged> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    // As long as it is there nobody else changes the file.
    let mut file = system::create_private(&fresh).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Unchanged::Busy(format!(
            "{} is there: somebody else changes the keys, or was killed while he did, and then it may be removed",
            fresh.display()
        )),
        _ => Unchanged::Broken(cannot(path, "written", &error)),
    })?;
    let changed = changed(path, change).and_then(|(keys, given)| {
        let text: String = keys
            .iter()
            .map(|Entry { name, kind, digest }| match kind {
                Kind::Host => format!("{name} {}\n", hexadecimal(digest)),
                kind => format!("{name} {} {kind}\n", hexadecimal(digest)),
            })
            .collect();
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        let written = written.and_then(|()| fs::rename(&fresh, path));
        written.map_err(|error| Unchanged::Broken(cannot(path, "written", &error)))?;
        Ok((keys, given))
    });
    if changed.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    changed
}

fn changed<T>(
    path: &Path,
    change: impl FnOnce(&mut Vec<Entry>) -> Result<T, String>,
) -> Result<(Vec<Entry>, T), Unchanged> {
    let mut keys = if path.exists() { read(path).map_err(Unchanged::Broken)? } else { Vec::new() };
    let given = change(&mut keys).map_err(Unchanged::Refused)?;
    let is_word = |text: &str| !text.is_empty() && !text.starts_with('#') && !text.contains(char::is_whitespace);
    if let Some(key) = keys.iter().find(|key| !is_word(&key.name)) {
        return Err(Unchanged::Refused(format!("the name of a key must be one word, and {:?} is none", key.name)));
    }
    if let Some(key) = keys.iter().find(|key| !is_word(&key.kind.to_string())) {
        return Err(Unchanged::Refused(format!("the path of an endpoint has no spaces, and {} has", key.kind)));
    }
    Ok((keys, given))
}

/// The keys in the file.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Fault> {
    check_readers("auth.keys_file", path)?;
    let text = fs::read_to_string(path).map_err(|error| cannot(path, "read", &error))?;
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = || {
            let line = format!("{}:{number}", path.display());
            Fault::of(format!(
                "{line}: a line must be the name of a key, 64 hexadecimal digits, and what it opens: attache key add NAME"
            ))
        };
        let mut words = line.split_whitespace();
        let Some(name) = words.next().filter(|_| !line.starts_with('#')) else { continue };
        let digest = words.next().and_then(super::config::bytes).ok_or_else(wrong)?;
        let kind = words.next().map_or(Ok(Kind::Host), str::parse).map_err(|()| wrong())?;
        if words.next().is_some() {
            return Err(wrong());
        }
        keys.push(Entry { name: name.to_owned(), kind, digest });
    }
    Ok(keys)
}

fn cannot(path: &Path, what: &str, error: &io::Error) -> Fault {
    Fault::of(format!("auth.keys_file {} cannot be {what}: {error}", path.display()))
}

/// The keys of one file, and the endpoints that they open.
#[derive(Debug)]
pub(super) struct Ring {
    file: PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    keys: Vec<Entry>,
    doors: Vec<(Keys, Level, String)>,
}

impl Held {
    fn take(&mut self, fresh: Vec<Entry>) {
        self.doors.iter().for_each(|(keys, level, path)| give(&fresh, keys, level, path));
        self.keys = fresh;
    }
}

impl Ring {
    /// Reads the file, and goes on reading it, in the runtime that runs this.
    pub(super) fn of(file: &Path) -> Result<Arc<Self>, Fault> {
        let held = Mutex::new(Held { keys: read(file)?, doors: Vec::new() });
        let ring = Arc::new(Self { file: file.to_owned(), held });
        tokio::spawn(Arc::clone(&ring).follow());
        Ok(ring)
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The keys that open the endpoint at `path`, which asks for `level`: always those that the file has.
    pub(super) fn door(&self, level: Level, path: &str) -> Keys {
        let keys = Keys::default();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        give(&held.keys, &keys, &level, path);
        held.doors.push((keys.clone(), level, path.to_owned()));
        keys
    }

    /// Takes these keys instead of those before.
    pub(super) fn take(&self, fresh: Vec<Entry>) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take(fresh);
    }

    /// Reads the file again, and gives how many keys it has if they are others. Who changes it meanwhile has the last word, for he waits here.
    fn refresh(&self) -> Result<Option<usize>, Fault> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = read(&self.file)?;
        if held.keys == fresh {
            return Ok(None);
        }
        held.take(fresh);
        Ok(Some(held.keys.len()))
    }

    pub(super) fn keys(&self) -> Vec<Entry> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// Whether this is the value of a key, and of the master key.
    pub(super) fn is_master(&self, value: &[u8]) -> Result<bool, Denied<'static>> {
        let keys = self.keys();
        let of = |key: &Entry| ApiKey::new(key.name.clone(), key.digest);
        let (masters, others): (Vec<&Entry>, Vec<&Entry>) = keys.iter().partition(|key| key.kind == Kind::Master);
        let [masters, others] = [masters, others].map(|keys| keys.into_iter().map(of).collect::<Vec<_>>());
        let shown = Shown::new(value);
        match (shown.check(&masters), shown.check(&others)) {
            (Ok(_), _) => Ok(true),
            (Err(_), Ok(_)) => Ok(false),
            (Err(denied), Err(_)) => Err(denied),
        }
    }

    /// Reads the file again and again. What cannot be read is told, and the old keys stay.
    async fn follow(self: Arc<Self>) {
        let mut told = None;
        loop {
            sleep(LOOK).await;
            match self.refresh() {
                Ok(others) => {
                    told = None;
                    if let Some(keys) = others {
                        tracing::info!(keys, "the keys of callers were read again");
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
}

fn give(all: &[Entry], keys: &Keys, level: &Level, path: &str) {
    let of = |key: &Entry| (key.name.clone(), key.digest);
    keys.replace(all.iter().filter(|key| key.opens(level, path)).map(of));
    // As on the function platform, only servers that require a system key tell the holder of another valid key that it is the wrong
    // one (docs/authorization.md, "Keys").
    if let Level::System(_) = level {
        keys.replace_known(all.iter().filter(|key| !key.opens(level, path)).map(of));
    }
}

/// How often the file is read, which is short: who takes a key away wants it gone.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_opens_what_asks_for_its_level_and_the_master_key_opens_all() {
        let kinds =
            [Kind::Master, Kind::Host, Kind::Function("/a".to_owned()), Kind::Function("/b".to_owned()), Kind::System];
        for (level, path, expected) in [
            (Level::Function, "/a", [true, true, true, false, false]),
            (Level::Function, "/b", [true, true, false, true, false]),
            (Level::System("mcp_extension".to_owned()), "/a", [true, false, false, false, true]),
            (Level::System("other".to_owned()), "/a", [true, false, false, false, false]),
            (Level::Admin, "/a", [true, false, false, false, false]),
        ] {
            let opens = kinds.clone().map(|kind| {
                let key = Entry { name: "mcp_extension".to_owned(), kind, digest: [0; 32] };
                key.opens(&level, path)
            });
            assert_eq!(opens, expected, "{level:?} {path}");
        }
    }

    #[test]
    fn made_value_has_the_mark_that_scanners_look_for_and_a_check() {
        let value = made().unwrap();
        let (front, check) = value.split_at(8 + 64);
        assert!(front.starts_with("attache_"));
        assert_eq!(check, &hexadecimal(&digest(front.as_bytes()))[..8]);
    }
}
