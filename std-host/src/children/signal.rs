//! The signals that are sent to process groups.

#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// Asks the processes to end. A process that was stopped gets the signal, too.
    Terminate,
    Kill,
    Stop,
    Continue,
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
