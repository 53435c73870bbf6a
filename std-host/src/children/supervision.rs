//! The supervision of the children of this process: their number, the watchdog, and the state file.

use super::process_table::{Groups, start_time};
use super::state_file::{StateFile, sweep};
use super::watchdog::{Parent, Watchdog};
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Supervises children: bounds their number, and ends them if this process is killed. Clones share the
/// state. See the [module](super) for an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct Supervision(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Children that run or are being started.
    number: usize,
    groups: Groups,
    watchdog: Option<Watchdog>,
    file: Option<StateFile>,
}

impl Supervision {
    /// Allows at most this many children at once.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Shared { most, state: Mutex::default() }))
    }

    /// Starts the watchdog by this command, which has to run
    /// [`watch_groups`](super::watch_groups) on its standard input. Another one is started when the
    /// watchdog ends.
    ///
    /// # Errors
    /// If the command cannot be started.
    pub fn start_watchdog(&self, command: Command) -> io::Result<()> {
        let parent: Weak<Shared> = Arc::downgrade(&self.0);
        let watchdog = Watchdog::start(command, parent)?;
        self.0.lock().watchdog = Some(watchdog);
        Ok(())
    }

    /// Writes the running groups to a file in this directory, which is created if it is missing. Before
    /// that, ends the groups that a process has left there which was killed together with its watchdog.
    ///
    /// # Errors
    /// If the directory cannot be written, or another user could write it.
    pub fn use_state_directory(&self, directory: &Path) -> io::Result<()> {
        sweep(directory)?;
        self.0.lock().file = Some(StateFile::create(directory)?);
        Ok(())
    }

    /// Reserves a place for a child.
    pub(super) fn place(&self) -> Result<Place, TooMany> {
        let mut state = self.0.lock();
        if state.number >= self.0.most {
            return Err(TooMany(self.0.most));
        }
        state.number += 1;
        Ok(Place { shared: Arc::clone(&self.0), group: None })
    }
}

/// As many children as allowed are running.
#[derive(Debug)]
pub(crate) struct TooMany(pub(crate) usize);

impl Parent for Shared {
    fn follow_with(&self, mut watchdog: Watchdog) {
        let mut state = self.lock();
        state.groups.iter().for_each(|(group, start)| watchdog.add(*group, *start));
        state.watchdog = Some(watchdog);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write_file(&mut self) {
        if let Some(Err(error)) = self.file.as_ref().map(|file| file.write(&self.groups)) {
            tracing::warn!(%error, "the state file of the child processes cannot be written");
        }
    }
}

/// The place of one child among those that may run. Dropping it frees the place: the group of the child
/// has ended.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    group: Option<u32>,
}

impl Place {
    /// Records the group of the child, so that the watchdog and the state file have it.
    pub(super) fn taken_by(mut self, group: Option<u32>) -> Self {
        if let Some(group) = group {
            let start = start_time(group);
            let mut state = self.shared.lock();
            state.groups.insert(group, start);
            if let Some(watchdog) = &mut state.watchdog {
                watchdog.add(group, start);
            }
            state.write_file();
            drop(state);
            self.group = Some(group);
        }
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.number -= 1;
        if let Some(group) = self.group {
            state.groups.remove(&group);
            if let Some(watchdog) = &mut state.watchdog {
                watchdog.remove(group);
            }
            state.write_file();
        }
    }
}
