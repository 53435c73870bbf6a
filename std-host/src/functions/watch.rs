//! Watches the files of an app for changes.

use super::limits::{WATCH_EVERY, WATCHED_FILES};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tokio::time::sleep;

/// The files of an app, as they were when they were last looked at.
pub(super) struct Files {
    directory: PathBuf,
    seen: Seen,
}

type Seen = HashMap<PathBuf, (u64, Option<SystemTime>)>;

/// Directories of libraries, which are large and do not change while an app is written.
const LIBRARIES: [&str; 5] = ["node_modules", "__pycache__", "venv", "env", "obj"];

impl Files {
    pub(super) fn of(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), seen: look(directory) }
    }

    /// Waits until files have changed, and then have not changed any more for a moment.
    pub(super) async fn changed(&mut self) {
        let mut is_changed = false;
        loop {
            sleep(WATCH_EVERY).await;
            let directory = self.directory.clone();
            let Ok(seen) = tokio::task::spawn_blocking(move || look(&directory)).await else { continue };
            let differs = seen != self.seen;
            self.seen = seen;
            if is_changed && !differs {
                return;
            }
            is_changed |= differs;
        }
    }
}

fn look(directory: &Path) -> Seen {
    let (mut seen, mut directories) = (Seen::new(), vec![directory.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || LIBRARIES.contains(&&*name) || seen.len() >= WATCHED_FILES {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => directories.push(entry.path()),
                Ok(metadata) => drop(seen.insert(entry.path(), (metadata.len(), metadata.modified().ok()))),
                // The file was removed meanwhile.
                Err(_) => {}
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn change_of_a_file_is_noticed_and_one_of_a_library_is_not() {
        let directory = std::env::temp_dir().join(format!("attache-watch-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("node_modules")).expect("a directory");
        std::fs::write(directory.join("app.py"), "1").expect("written");
        let mut files = Files::of(&directory);
        std::fs::write(directory.join("node_modules/x.js"), "1").expect("written");
        std::fs::write(directory.join(".hidden"), "1").expect("written");
        assert!(look(&directory) == files.seen, "libraries and hidden files do not count");
        std::fs::write(directory.join("app.py"), "12").expect("written");
        tokio::time::timeout(10 * WATCH_EVERY, files.changed()).await.expect("it is noticed");
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
