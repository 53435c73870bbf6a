//! Keeps the newest certain time across restarts.

use super::wall_clock::WallClock;
use crate::journal::Journal;
use embassy_time::{Duration, Timer};
use embedded_storage::nor_flash::NorFlash;

/// Writes the [floor](WallClock::floor) of `clock` to `journal` as it rises, and never returns. Run it in a task of its own.
///
/// Without it an attacker who restarts a device, and answers in place of its time server, can replay tokens that expired since the image
/// was built. With it, only those that expired within the last [`limits::JOURNAL_STEP`](crate::limits::JOURNAL_STEP) seconds before the
/// restart.
pub async fn keep_time<F: NorFlash>(clock: &WallClock, mut journal: Journal<F>) -> ! {
    loop {
        if journal.note(clock.floor()).is_err() {
            warning!("the journal of the device cannot be written: the newest time will be lost at the next start");
        }
        Timer::after(INTERVAL).await;
    }
}

/// How often the floor is looked at.
const INTERVAL: Duration = Duration::from_secs(60);
