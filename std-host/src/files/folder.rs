//! A directory that is read again when it changes.

use super::limits::{CHECK_EVERY, FILES};
use crate::backend::{Entry, Publisher};
use crate::private_file::InvalidFile;
use crate::watched_file::WatchedFiles;
use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::{fs, io};
use tokio::task::{JoinHandle, spawn_blocking};

/// The content of a directory, of one kind.
pub(super) trait Content: Send + Sync + Sized + 'static {
    /// Reads the directory of the backend `name`. Each problem says which file cannot be used and why; the content has the
    /// other files.
    fn read(name: &str, directory: &Path) -> (Self, Vec<String>);

    /// The files whose changes change the content, in addition to the directory.
    fn files(&self) -> Vec<PathBuf>;

    fn entries(&self) -> Vec<Entry>;

    /// The URIs of resources that differ from those of `before`.
    fn updated(&self, before: &Self) -> Vec<String> {
        let _ = before;
        Vec::new()
    }
}

/// A directory and its current content.
pub(super) struct Folder<C> {
    name: String,
    directory: PathBuf,
    content: Arc<RwLock<Arc<C>>>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl<C: Content> Folder<C> {
    /// Reads a directory for the first time.
    ///
    /// # Errors
    /// All problems of the directory and its files.
    pub(super) fn open(name: &str, directory: &Path) -> Result<Self, InvalidFile> {
        let directory = directory
            .canonicalize()
            .map_err(|error| InvalidFile::new(format!("{} cannot be read: {error}", directory.display())))?;
        let (content, problems) = C::read(name, &directory);
        if !problems.is_empty() {
            return Err(problems.into_iter().collect());
        }
        let content = Arc::new(RwLock::new(Arc::new(content)));
        Ok(Self { name: name.to_owned(), directory, content, follower: Mutex::default() })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn content(&self) -> Arc<C> {
        Arc::clone(&self.content.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Publishes the entries now and after each change.
    pub(super) fn publish(&self, publisher: Publisher) {
        publish(&publisher, &*self.content());
        let place = (self.name.clone(), self.directory.clone());
        let follower = tokio::spawn(follow(place, Arc::clone(&self.content), publisher));
        *self.follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(follower);
    }

    pub(super) fn stop(&self) {
        if let Some(follower) = self.follower.lock().unwrap_or_else(PoisonError::into_inner).take() {
            follower.abort();
        }
    }
}

impl<C> Drop for Folder<C> {
    fn drop(&mut self) {
        let follower = self.follower.get_mut().unwrap_or_else(PoisonError::into_inner);
        follower.iter().for_each(JoinHandle::abort);
    }
}

impl<C> fmt::Debug for Folder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Folder").field(&self.directory).finish()
    }
}

fn publish(publisher: &Publisher, content: &impl Content) {
    for taken in publisher.publish(content.entries()) {
        tracing::warn!(%taken, "an entry of a directory is hidden");
    }
}

async fn follow<C: Content>(place: (String, PathBuf), content: Arc<RwLock<Arc<C>>>, publisher: Publisher) {
    let current = || Arc::clone(&content.read().unwrap_or_else(PoisonError::into_inner));
    let files = |content: &C| [vec![place.1.clone()], content.files()].concat();
    let mut followed = files(&current());
    let mut watched = WatchedFiles::new(followed.clone(), CHECK_EVERY);
    loop {
        watched.changed().await;
        let (name, directory) = place.clone();
        let Ok((fresh, problems)) = spawn_blocking(move || C::read(&name, &directory)).await else { continue };
        problems.iter().for_each(|problem| tracing::warn!(problem, "a file is left out"));
        let now = files(&fresh);
        if now != followed {
            watched = WatchedFiles::new(now.clone(), CHECK_EVERY);
            followed = now;
        }
        publish(&publisher, &fresh);
        let updated = fresh.updated(&current());
        *content.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        updated.into_iter().for_each(|uri| publisher.resource_updated(uri));
    }
}

/// Returns the files and directories in a directory, sorted by name, without hidden ones.
pub(super) fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
        if paths.len() > FILES {
            return Err(io::Error::other(format!("there are more than {FILES} files")));
        }
    }
    paths.sort();
    Ok(paths)
}
