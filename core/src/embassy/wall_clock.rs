//! The time of day on a device, which does not know it when it starts.

use core::sync::atomic::{AtomicU32, Ordering};
use embassy_time::Instant;

/// The time of day, as far as it is known: put it in a `static`. It is unknown until the application [sets](WallClock::set) it, from a
/// time server ([`sntp`](super::sntp), feature `sntp`), from a clock with a battery, or from what a person enters.
///
/// An attacker who can set the clock of a device back can replay expired tokens. So the clock is never before a [floor](WallClock::floor):
/// the time at which the image was built, or the newest `iat` of a token that was accepted. [`keep_time`](super::keep_time) (feature `journal`)
/// keeps the floor across restarts.
///
/// It counts whole seconds since 1970 and works until 2106.
#[derive(Debug)]
pub struct WallClock {
    floor: AtomicU32,
    /// The time at which the device started; 0 if unknown.
    started: AtomicU32,
}

impl WallClock {
    /// A clock that does not know the time yet, but never shows a time before `floor`, in seconds since 1970. Use the newest time that
    /// is certain: of the build, of the page, of the journal.
    pub const fn new(floor: u32) -> Self {
        Self { floor: AtomicU32::new(floor), started: AtomicU32::new(0) }
    }

    /// The newest time that is certain, in seconds since 1970.
    pub fn floor(&self) -> u32 {
        self.floor.load(Ordering::Relaxed)
    }

    /// Sets the clock to `now`, in seconds since 1970. Returns `false` for a time before the floor, which leaves the clock as it was.
    pub fn set(&self, now: u64) -> bool {
        let Ok(now) = u32::try_from(now) else { return false };
        let started = now.saturating_sub(uptime());
        if now < self.floor() || started == 0 {
            return false;
        }
        self.started.store(started, Ordering::Relaxed);
        true
    }

    /// Seconds since 1970; `None` if the time is unknown.
    pub fn now(&self) -> Option<u64> {
        match self.started.load(Ordering::Relaxed) {
            0 => None,
            started => Some(started.saturating_add(uptime()).max(self.floor()).into()),
        }
    }

    /// Raises the floor to a time that an issuer has signed.
    pub(super) fn was(&self, time: u64) {
        // A write in between loses this one; the next token brings another.
        if let Ok(time) = u32::try_from(time)
            && time > self.floor()
        {
            self.floor.store(time, Ordering::Relaxed);
        }
    }
}

fn uptime() -> u32 {
    u32::try_from(Instant::now().as_secs()).unwrap_or(u32::MAX)
}
