//! A journal in flash for the state that a device keeps across restarts (feature `journal`): the
//! number of its starts, and the newest time that is certain.
//!
//! The journal has two sectors of flash to itself. Records are appended; when a sector is full, the
//! other one is erased. So power may fail at any moment: an incomplete record is ignored, and no
//! start gets the number of an earlier one.
//!
//! ```
//! # fn start<F: embedded_storage::nor_flash::NorFlash>(flash: F, page: &attache_core::provision::Page<'_>) -> Result<(), F::Error> {
//! use attache_core::journal::Journal;
//! use attache_core::provision::random;
//!
//! let (journal, boot) = Journal::open(flash, 0x001F_D000)?;
//! let mut numbers = random(&page.secret, boot);
//! let seed = numbers();
//! // Give `journal.time()` to `WallClock::new`, and the journal to a task that runs `embassy::keep_time`.
//! # Ok(())
//! # }
//! ```

use crate::limits;
use crate::provision::Boot;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use sha2::{Digest, Sha256};

/// Bytes of a record. The larger write sizes of flash memories are divisors of it.
const RECORD: usize = 32;

/// The same, for offsets.
const STEP: u32 = RECORD as u32;

/// One is written while the other keeps the newest record.
const SECTORS: u32 = 2;

/// The journal of a device.
#[derive(Debug)]
pub struct Journal<F> {
    flash: F,
    /// The offset of its first sector.
    start: u32,
    /// The offset of the newest record; `None` if there is none.
    newest: Option<u32>,
    boots: u32,
    time: u32,
}

impl<F: NorFlash> Journal<F> {
    const SECTOR: u32 = {
        assert!(RECORD.is_multiple_of(F::WRITE_SIZE), "the flash writes larger pieces than a record");
        assert!(RECORD.is_multiple_of(<F as ReadNorFlash>::READ_SIZE), "the flash reads larger pieces than a record");
        assert!(F::ERASE_SIZE.is_multiple_of(RECORD) && F::ERASE_SIZE <= u32::MAX as usize / 2);
        F::ERASE_SIZE as u32
    };

    /// Opens the journal in the two sectors of `flash` that begin at `start`, and counts this
    /// start. The number of the start is in flash before this returns, so no number made from
    /// [`Boot`] can repeat.
    ///
    /// # Errors
    /// The error of the flash. Then this start was not counted.
    pub fn open(flash: F, start: u32) -> Result<(Self, Boot), F::Error> {
        let mut journal = Self { flash, start, newest: None, boots: 0, time: 0 };
        for at in (0..SECTORS * Self::SECTOR).step_by(RECORD) {
            let Some((boots, time)) = read(&journal.slot(at)?) else { continue };
            if journal.newest.is_none() || (boots, time) > (journal.boots, journal.time) {
                (journal.newest, journal.boots, journal.time) = (Some(at), boots, time);
            }
        }
        let boots = journal.boots.saturating_add(1);
        journal.append(boots, journal.time)?;
        Ok((journal, Boot::counted(boots)))
    }

    /// The newest time that was noted, in seconds since 1970; 0 if there is none.
    pub const fn time(&self) -> u32 {
        self.time
    }

    /// Records a certain time, if it is newer than the last one by [`limits::JOURNAL_STEP`]: each
    /// record wears the flash. Returns whether it was written.
    ///
    /// # Errors
    /// The error of the flash.
    pub fn note(&mut self, time: u32) -> Result<bool, F::Error> {
        if time.saturating_sub(self.time) < limits::JOURNAL_STEP {
            return Ok(false);
        }
        self.append(self.boots, time)?;
        Ok(true)
    }

    /// Writes a record to the next erased place.
    fn append(&mut self, boots: u32, time: u32) -> Result<(), F::Error> {
        let at = self.free()?;
        self.flash.write(self.start.saturating_add(at), &record(boots, time))?;
        (self.newest, self.boots, self.time) = (Some(at), boots, time);
        Ok(())
    }

    /// The erased place behind the newest record. At the end of a sector the other one is erased, so that the newest record
    /// stays until there is a newer one.
    fn free(&mut self) -> Result<u32, F::Error> {
        let next = self.newest.map_or(0, |newest| newest.saturating_add(STEP));
        let mut at = next;
        // If the place behind the newest record is not erased, it holds an incomplete record.
        while !at.is_multiple_of(Self::SECTOR) || at == 0 && self.newest.is_none() {
            if self.slot(at)?.iter().all(|byte| *byte == 0xFF) {
                return Ok(at);
            }
            at = at.saturating_add(STEP);
        }
        let sector = if at >= SECTORS * Self::SECTOR { 0 } else { at };
        let from = self.start.saturating_add(sector);
        self.flash.erase(from, from.saturating_add(Self::SECTOR))?;
        Ok(sector)
    }

    fn slot(&mut self, at: u32) -> Result<[u8; RECORD], F::Error> {
        let mut bytes = [0; RECORD];
        self.flash.read(self.start.saturating_add(at), &mut bytes)?;
        Ok(bytes)
    }
}

/// A record: starts, time, and the front of a SHA-256 of both.
fn record(boots: u32, time: u32) -> [u8; RECORD] {
    let mut bytes: [u8; RECORD] = Sha256::new()
        .chain_update(NAME)
        .chain_update(boots.to_be_bytes())
        .chain_update(time.to_be_bytes())
        .finalize()
        .into();
    let numbers = boots.to_be_bytes().into_iter().chain(time.to_be_bytes());
    bytes.iter_mut().zip(numbers).for_each(|(place, byte)| *place = byte);
    bytes
}

/// Returns the numbers of a record; `None` if the record is incomplete.
fn read(bytes: &[u8; RECORD]) -> Option<(u32, u32)> {
    let [a, b, c, d, e, f, g, h, ..] = *bytes;
    let (boots, time) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    (record(boots, time) == *bytes).then_some((boots, time))
}

/// Part of each digest, so that other data is not taken for a record.
const NAME: &[u8] = b"attache journal 1";
