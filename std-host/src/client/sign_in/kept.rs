//! The file in which the tokens of one server are kept.

use super::session::Session;
use crate::oauth::OAuthError;
use crate::{private_file, system};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;

/// A file that only its owner can read. Programs that use it at the same time take turns.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    file: PathBuf,
}

/// The exclusive use of a file, until this is dropped.
pub(super) struct Turn {
    _lock: File,
}

impl Kept {
    /// The file of a server in a directory. Its name reveals nothing of the URL.
    pub(super) fn new(directory: &Path, url: &str) -> Self {
        let name = private_file::hexadecimal(&attache_core::auth::digest(url.as_bytes()));
        Self { file: directory.join(format!("{name}.json")) }
    }

    pub(super) fn exists(&self) -> bool {
        self.file.exists()
    }

    /// Waits until no other program uses the file.
    // A refresh token works once with many servers. Two programs that use it at the same time would end the sign-in.
    pub(super) async fn turn(&self) -> Result<Turn, OAuthError> {
        let file = self.file.with_extension("lock");
        let locked = spawn_blocking(move || {
            file.parent().map_or(Ok(()), system::create_private_directory)?;
            let lock = match system::create_private(&file) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => File::open(&file)?,
                lock => lock?,
            };
            lock.lock()?;
            Ok::<_, io::Error>(Turn { _lock: lock })
        });
        locked.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| self.failed(&error))
    }

    pub(super) fn read(&self) -> Result<Option<Session>, OAuthError> {
        if !self.exists() {
            return Ok(None);
        }
        let text = private_file::read("the file of tokens", &self.file);
        let text = text.map_err(|error| OAuthError::Store(error.to_string()))?;
        // A file of another version, or one that was damaged, costs a sign-in.
        Ok(serde_json::from_str(&text).ok())
    }

    /// Replaces the file as a whole, so that a program that is killed leaves the old or the new one.
    pub(super) fn write(&self, session: &Session) -> Result<(), OAuthError> {
        let written = || {
            let text = serde_json::to_string(session)?;
            let fresh = self.file.with_extension("new");
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = private_file::create(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &self.file)
        };
        written().map_err(|error| self.failed(&error))
    }

    pub(super) fn remove(&self) -> Result<(), OAuthError> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: &dyn core::fmt::Display) -> OAuthError {
        OAuthError::Store(format!("{}: {error}", self.file.display()))
    }
}
