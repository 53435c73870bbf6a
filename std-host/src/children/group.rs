//! The process group of a child, and the signals that are sent to it.

use super::supervision::Place;

/// The process group of a child. Dropping it kills the remaining processes of the group.
#[derive(Debug)]
pub(crate) struct Group {
    id: Option<u32>,
    /// Dropped after the group has ended, so that the watchdog knows the group until then.
    _place: Option<Place>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// Asks the processes to end. A process that was stopped gets the signal, too.
    Terminate,
    Kill,
    Stop,
    Continue,
}

impl Group {
    pub(super) const fn new(id: Option<u32>, place: Option<Place>) -> Self {
        Self { id, _place: place }
    }

    pub(crate) const fn id(&self) -> Option<u32> {
        self.id
    }

    /// Kills the remaining processes after the leader has ended.
    pub(crate) fn end(mut self) {
        self.signal(Signal::Kill);
        // From here on, the number of the group may belong to another group.
        self.id = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            send(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::Kill);
    }
}

/// Sends a signal to a group. An error means that the group has no processes left.
#[cfg(unix)]
pub(super) fn send(group: u32, signal: Signal) {
    use rustix::process::{Signal as Unix, kill_process_group};
    let Some(group) = number(group) else { return };
    let _ = match signal {
        Signal::Terminate => kill_process_group(group, Unix::TERM).and_then(|()| kill_process_group(group, Unix::CONT)),
        Signal::Kill => kill_process_group(group, Unix::KILL),
        Signal::Stop => kill_process_group(group, Unix::STOP),
        Signal::Continue => kill_process_group(group, Unix::CONT),
    };
}

/// Whether the group has processes, of which some may have ended without being waited for.
#[cfg(unix)]
pub(super) fn exists(group: u32) -> bool {
    number(group).is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok())
}

#[cfg(unix)]
fn number(group: u32) -> Option<rustix::process::Pid> {
    // kill(2): 0 is the own group, and -1 means every process.
    let group = i32::try_from(group).ok().filter(|group| *group > 1)?;
    rustix::process::Pid::from_raw(group)
}

#[cfg(not(unix))]
pub(super) fn send(_: u32, _: Signal) {}

#[cfg(not(unix))]
pub(super) fn exists(_: u32) -> bool {
    false
}
