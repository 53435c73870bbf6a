//! Files of API keys, which can change while the server runs: [`KeyFile`] follows its file, and [`key_administration`](crate::serve::key_administration) changes it over HTTP.
//! A line for each key has its name, the SHA-256 of its value, and its kind if that is not `host`. The value itself is
//! shown once, when it is made.

mod level;

pub use level::{Entry, Kind, Level};

use super::Keys;
use crate::private_file::{self, InvalidFile, bytes, hexadecimal};
use crate::system;
use crate::watched_file::WatchedFiles;
use attache_core::auth::digest;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Duration;

/// Makes the value of a new key: a prefix that scanners for leaked secrets look for, 32 random bytes, and a checksum of both.
///
/// # Errors
/// If the operating system gives no randomness.
pub fn new_value() -> Result<String, String> {
    let mut value = format!("attache_{}", hexadecimal(&random()?));
    let [a, b, c, d, ..] = digest(value.as_bytes());
    value.push_str(&hexadecimal(&[a, b, c, d]));
    Ok(value)
}

/// Returns 32 random bytes.
///
/// # Errors
/// If the operating system gives none.
pub fn random() -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the operating system gives no randomness: {error}"))?;
    Ok(bytes)
}

/// Removes a key; returns whether it was there.
pub fn remove(keys: &mut Vec<Entry>, name: &str, kind: &Kind) -> bool {
    let before = keys.len();
    keys.retain(|key| !key.is(name, kind));
    keys.len() < before
}

/// Why a key file was not changed.
#[derive(Debug)]
pub enum Unchanged {
    /// Another change is in progress.
    Busy(String),
    /// The change is invalid.
    Refused(String),
    /// The file cannot be read or written.
    Broken(InvalidFile),
}

impl From<Unchanged> for InvalidFile {
    fn from(unchanged: Unchanged) -> Self {
        match unchanged {
            Unchanged::Busy(what) | Unchanged::Refused(what) => Self::new(what),
            Unchanged::Broken(fault) => fault,
        }
    }
}

/// Changes the file, whole or not at all. Returns its new content and what `change` has returned.
///
/// # Errors
/// Why it was not changed.
pub fn change<T>(
    path: &Path,
    change: impl FnOnce(&mut Vec<Entry>) -> Result<T, String>,
) -> Result<(Vec<Entry>, T), Unchanged> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    // This file is a lock: while it exists, no other program changes the keys.
    let mut file = system::create_private(&fresh).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Unchanged::Busy(format!(
            "{} exists: another change of the keys is under way; if its program was killed, remove that file",
            fresh.display()
        )),
        _ => Unchanged::Broken(cannot(path, "written", &error)),
    })?;
    system::keep_owner(path, &file);
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
    let mut keys = if path.exists() { read_for_owner(path).map_err(Unchanged::Broken)? } else { Vec::new() };
    let given = change(&mut keys).map_err(Unchanged::Refused)?;
    let is_word = |text: &str| !text.is_empty() && !text.starts_with('#') && !text.contains(char::is_whitespace);
    if let Some(key) = keys.iter().find(|key| !is_word(&key.name)) {
        return Err(Unchanged::Refused(format!("the name of a key must be one word, and {:?} is not", key.name)));
    }
    if let Some(key) = keys.iter().find(|key| !is_word(&key.kind.to_string())) {
        return Err(Unchanged::Refused(format!("the path of a server has no spaces, and {} has", key.kind)));
    }
    Ok((keys, given))
}

/// Reads the keys in the file.
///
/// # Errors
/// All lines that do not contain a key, or why the file cannot be read.
pub fn read(path: &Path) -> Result<Vec<Entry>, InvalidFile> {
    parsed(path, &private_file::read("auth.keys_file", path)?)
}

/// Reads the keys in the file, for an operator who may be root and manages them for a service that
/// runs as another user.
///
/// # Errors
/// As [`read`].
pub fn read_for_owner(path: &Path) -> Result<Vec<Entry>, InvalidFile> {
    parsed(path, &private_file::read_for_owner("auth.keys_file", path)?)
}

fn parsed(path: &Path, text: &str) -> Result<Vec<Entry>, InvalidFile> {
    let (mut keys, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        match entry(line) {
            Some(Ok(key)) => keys.push(key),
            None => {}
            Some(Err(())) => wrong.push(format!(
                "{}:{number}: a line must have the name of a key, 64 hexadecimal digits, and the kind of the key: run attache key add NAME",
                path.display()
            )),
        }
    }
    if wrong.is_empty() { Ok(keys) } else { Err(wrong.into_iter().collect()) }
}

/// Parses a line. `None` for an empty line or a comment.
fn entry(line: &str) -> Option<Result<Entry, ()>> {
    let mut words = line.split_whitespace();
    let name = words.next().filter(|_| !line.starts_with('#'))?;
    let digest = words.next().and_then(bytes);
    let kind = words.next().map_or(Ok(Kind::Host), str::parse);
    Some(match (digest, kind, words.next()) {
        (Some(digest), Ok(kind), None) => Ok(Entry { name: name.to_owned(), kind, digest }),
        _ => Err(()),
    })
}

fn cannot(path: &Path, what: &str, error: &io::Error) -> InvalidFile {
    InvalidFile::new(format!("auth.keys_file {} cannot be {what}: {error}", path.display()))
}

/// The keys of one key file, and the endpoints that they open.
#[derive(Debug)]
pub struct KeyFile {
    file: PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    keys: Vec<Entry>,
    opened: Vec<(Keys, Level, String)>,
}

impl Held {
    fn take(&mut self, fresh: Vec<Entry>) {
        self.opened.iter().for_each(|(keys, level, path)| give(&fresh, keys, level, path));
        self.keys = fresh;
    }
}

impl KeyFile {
    /// Reads the file, and watches it in the runtime that runs this.
    ///
    /// # Errors
    /// All that is wrong with the file, such as its permissions or its lines.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(file: &Path) -> Result<Arc<Self>, InvalidFile> {
        let held = Mutex::new(Held { keys: read(file)?, opened: Vec::new() });
        let key_file = Arc::new(Self { file: file.to_owned(), held });
        tokio::spawn(Arc::clone(&key_file).follow());
        Ok(key_file)
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the keys that open the endpoint at `path`, which asks for `level`. They follow the file.
    #[must_use]
    pub fn keys_for(&self, level: Level, path: &str) -> Keys {
        let keys = Keys::default();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        give(&held.keys, &keys, &level, path);
        held.opened.push((keys.clone(), level, path.to_owned()));
        keys
    }

    /// Replaces all keys.
    pub(crate) fn replace(&self, fresh: Vec<Entry>) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take(fresh);
    }

    /// Reads the file again, and returns the number of its keys if they have changed. The lock is
    /// held while reading, so a concurrent change over HTTP is applied afterwards and never lost.
    fn refresh(&self) -> Result<Option<usize>, InvalidFile> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = read(&self.file)?;
        if held.keys == fresh {
            return Ok(None);
        }
        held.take(fresh);
        Ok(Some(held.keys.len()))
    }

    pub(crate) fn keys(&self) -> Vec<Entry> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// Reads the file again whenever it changes. A file that cannot be used is logged once, and the
    /// old keys remain valid.
    async fn follow(self: Arc<Self>) {
        let mut watched = WatchedFiles::new(vec![self.file.clone()], LOOK);
        let mut logged = None;
        loop {
            watched.changed().await;
            let key_file = Arc::clone(&self);
            let Ok(read) = tokio::task::spawn_blocking(move || key_file.refresh()).await else { continue };
            match read {
                Ok(changed) => {
                    logged = None;
                    if let Some(keys) = changed {
                        tracing::info!(keys, file = %self.file.display(), "API keys reloaded");
                    }
                }
                Err(fault) => {
                    let fault = fault.to_string();
                    if logged.as_ref() != Some(&fault) {
                        tracing::error!(%fault, "API keys not reloaded, the old ones stay valid");
                        logged = Some(fault);
                    }
                }
            }
        }
    }
}

fn give(all: &[Entry], keys: &Keys, level: &Level, path: &str) {
    let of = |key: &Entry| (key.name.clone(), key.digest);
    keys.replace(all.iter().filter(|key| key.opens(level, path)).map(of));
    // As on the function platform: only servers that require a system key, and key administration,
    // tell the holder of another valid key that it is the wrong one (docs/authorization.md, "Keys").
    if let Level::System(_) | Level::Administration = level {
        keys.replace_known(all.iter().filter(|key| !key.opens(level, path)).map(of));
    }
}

/// The interval between checks of the file. It is short, because a removed key should stop working
/// immediately.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_value_has_the_mark_that_scanners_look_for_and_a_check() {
        let value = new_value().unwrap();
        let (front, check) = value.split_at(8 + 64);
        assert!(front.starts_with("attache_"));
        assert_eq!(check, &hexadecimal(&digest(front.as_bytes()))[..8]);
    }
}
