//! Watches files that are read again when they change: certificates and API keys.
//!
//! Files are checked on the threads for blocking work, never on a thread of the runtime that serves
//! requests.

use crate::system;
use core::time::Duration;
use std::path::PathBuf;
use std::time::SystemTime;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// A group of files that are watched together.
#[derive(Debug)]
pub(crate) struct WatchedFiles {
    files: Vec<PathBuf>,
    every: Duration,
    seen: Option<Vec<Stamp>>,
}

/// Distinguishes the states of a file. `None` if the file does not exist.
type Stamp = Option<(SystemTime, u64, (u64, i64, i64))>;

impl WatchedFiles {
    /// Watches `files`, which the caller reads after this and whenever [`changed`](Self::changed)
    /// returns. The files are checked at intervals of `every`.
    pub(crate) const fn new(files: Vec<PathBuf>, every: Duration) -> Self {
        Self { files, every, seen: None }
    }

    /// Waits until one of the files may have changed since the last call returned.
    pub(crate) async fn changed(&mut self) {
        loop {
            sleep(self.every).await;
            let files = self.files.clone();
            let every = self.every;
            let Ok(stamps) = spawn_blocking(move || stamps(&files, every)).await else { continue };
            // A file that was written a moment ago may be written again within the resolution of
            // its timestamp. It counts as changed until its timestamp is old enough.
            let same = stamps.is_some() && stamps == self.seen;
            self.seen = stamps;
            if !same {
                return;
            }
        }
    }
}

/// The state of all files. `None` while one of them was written just now.
fn stamps(files: &[PathBuf], every: Duration) -> Option<Vec<Stamp>> {
    let now = SystemTime::now();
    let stamp = |file: &PathBuf| {
        let Ok(metadata) = std::fs::metadata(file) else { return Some(None) };
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let settled = now.duration_since(modified).map_or(true, |age| age > every.min(RESOLUTION));
        settled.then(|| Some((modified, metadata.len(), system::version(&metadata))))
    };
    files.iter().map(stamp).collect()
}

/// The coarsest timestamp resolution of a file system in use (FAT: 2 s).
const RESOLUTION: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn file_that_is_replaced_or_changes_its_mode_is_noticed_and_one_that_is_the_same_is_not() {
        let file = std::env::temp_dir().join(format!("attache-watched-{}", std::process::id()));
        let every = Duration::from_millis(20);
        std::fs::write(&file, "a").unwrap();
        let old = SystemTime::now() - Duration::from_secs(60);
        let age = || std::fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        age();
        let mut watched = WatchedFiles::new(vec![file.clone()], every);
        watched.changed().await;
        assert!(timeout(every * 10, watched.changed()).await.is_err(), "nothing has changed");
        let other = file.with_extension("new");
        std::fs::write(&other, "b").unwrap();
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(old).unwrap();
        std::fs::rename(&other, &file).unwrap();
        timeout(Duration::from_secs(5), watched.changed()).await.expect("the replaced file is noticed");
        #[cfg(unix)]
        {
            let mut mode = std::fs::metadata(&file).unwrap().permissions();
            mode.set_readonly(true);
            std::fs::set_permissions(&file, mode).unwrap();
            timeout(Duration::from_secs(5), watched.changed()).await.expect("the new mode is noticed");
        }
        std::fs::remove_file(&file).unwrap();
        timeout(Duration::from_secs(5), watched.changed()).await.expect("the missing file is noticed");
    }
}
