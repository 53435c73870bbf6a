//! Files whose changes reload the configuration.

use core::time::Duration;
use std::path::PathBuf;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// The files, and their content when it was last reported.
///
/// Content is compared, and not time stamps: an editor may empty a file before it writes it, and half a
/// configuration is a valid one. A change is reported when two readings have found the same new content.
pub(super) struct Watched {
    files: Vec<PathBuf>,
    reported: Contents,
    last: Contents,
}

/// The content of each file. `None` if it cannot be read.
type Contents = Vec<Option<Vec<u8>>>;

/// The time between two readings. A person who saves a file does not notice it, and reading small files costs
/// nothing.
const EVERY: Duration = Duration::from_secs(1);

impl Watched {
    /// Watches `files`, whose content is that of now.
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        let last = contents(&files);
        Self { files, reported: last.clone(), last }
    }

    /// Waits until the content of a file has changed. Never returns if no file is watched.
    pub(super) async fn changed(&mut self) {
        if self.files.is_empty() {
            return core::future::pending().await;
        }
        loop {
            sleep(EVERY).await;
            let files = self.files.clone();
            let Ok(now) = spawn_blocking(move || contents(&files)).await else { continue };
            let before = core::mem::replace(&mut self.last, now);
            if before == self.last && self.reported != self.last {
                self.reported.clone_from(&self.last);
                return;
            }
        }
    }
}

fn contents(files: &[PathBuf]) -> Contents {
    files.iter().map(|file| std::fs::read(file).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn file_that_is_emptied_and_written_again_is_reported_once_and_whole() {
        let file = std::env::temp_dir().join(format!("attache-reload-watched-{}", std::process::id()));
        std::fs::write(&file, "old").expect("written");
        let mut watched = Watched::new(vec![file.clone()]);
        assert!(timeout(EVERY * 3, watched.changed()).await.is_err(), "nothing has changed");
        std::fs::write(&file, "").expect("written");
        let writer = async {
            sleep(EVERY / 2).await;
            std::fs::write(&file, "new").expect("written");
        };
        let (reported, ()) = tokio::join!(timeout(EVERY * 20, watched.changed()), writer);
        reported.expect("the change is reported");
        assert_eq!(watched.reported, [Some(b"new".to_vec())]);
        assert!(timeout(EVERY * 3, watched.changed()).await.is_err(), "it is reported once");
        let _ = std::fs::remove_file(file);
    }
}
