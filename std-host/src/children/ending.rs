//! Ends process groups of which this process is not the parent: SIGTERM, then SIGKILL.

use super::limits::{STOP_CHECK, STOP_TIME};
use super::signal::{Signal, exists, send};
use std::thread::sleep;
use std::time::Instant;

/// Ends these groups, and returns when they have ended or were killed.
pub(super) fn end(groups: &[u32]) {
    groups.iter().for_each(|group| send(*group, Signal::Terminate));
    let until = Instant::now() + STOP_TIME;
    while groups.iter().any(|group| exists(*group)) {
        if Instant::now() >= until {
            groups.iter().for_each(|group| send(*group, Signal::Kill));
            return;
        }
        sleep(STOP_CHECK);
    }
}
