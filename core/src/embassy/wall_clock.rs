//! The time of day on a device, which has none of its own when it starts.

use core::sync::atomic::{AtomicU32, Ordering};
use embassy_time::Instant;

/// The time of day, as far as it is known: put it in a `static`. It is unknown until somebody [sets](WallClock::set) it, who asks a time
/// server ([`sntp`](super::sntp), feature `sntp`), a clock with a battery, or a person.
///
/// Who can make a device believe in a past time can show it tokens that have ended. So its time is never before a floor: that at which its image
/// was built, and the newest at which a token was issued that it has taken since it started.
///
/// Whole seconds since 1970; it works until 2106.
#[derive(Debug)]
pub struct WallClock {
    floor: AtomicU32,
    /// When the device started; 0 while that is not known.
    started: AtomicU32,
}

impl WallClock {
    /// A clock that does not know the time yet, but that it is no earlier than `built`, in seconds since 1970.
    pub const fn new(built: u32) -> Self {
        Self { floor: AtomicU32::new(built), started: AtomicU32::new(0) }
    }

    /// Sets it to `now`, in seconds since 1970; whether that was taken. What is before the floor is not, and leaves the clock as it was.
    pub fn set(&self, now: u64) -> bool {
        let Ok(now) = u32::try_from(now) else { return false };
        let started = now.saturating_sub(uptime());
        if now < self.floor.load(Ordering::Relaxed) || started == 0 {
            return false;
        }
        self.started.store(started, Ordering::Relaxed);
        true
    }

    /// Seconds since 1970, if they are known.
    pub fn now(&self) -> Option<u64> {
        match self.started.load(Ordering::Relaxed) {
            0 => None,
            started => Some(started.saturating_add(uptime()).max(self.floor.load(Ordering::Relaxed)).into()),
        }
    }

    /// Takes note of a time that has been, for it was signed.
    pub(super) fn was(&self, time: u64) {
        // A write between the two loses a note, and no time: the next token brings another.
        if let Ok(time) = u32::try_from(time)
            && time > self.floor.load(Ordering::Relaxed)
        {
            self.floor.store(time, Ordering::Relaxed);
        }
    }
}

fn uptime() -> u32 {
    u32::try_from(Instant::now().as_secs()).unwrap_or(u32::MAX)
}
