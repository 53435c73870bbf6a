//! The journal of a device in flash: each start has its own number, even if power fails at any
//! time.

use ::core::cell::RefCell;
use attache_core::journal::Journal;
use attache_core::provision::{Boot, random};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use std::rc::Rc;

/// Flash of four small sectors. Power fails when this many bytes were written or erased.
#[derive(Clone)]
pub(crate) struct Memory {
    bytes: Rc<RefCell<[u8; 4 * SECTOR]>>,
    power: Rc<RefCell<u32>>,
}

const SECTOR: usize = 128;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PowerFailure;

impl NorFlashError for PowerFailure {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Memory {
    pub(crate) fn new(power: u32) -> Self {
        Self { bytes: Rc::new(RefCell::new([0xFF; 4 * SECTOR])), power: Rc::new(RefCell::new(power)) }
    }

    fn spend(&self) -> Result<(), PowerFailure> {
        let mut power = self.power.borrow_mut();
        *power = power.checked_sub(1).ok_or(PowerFailure)?;
        Ok(())
    }
}

impl ErrorType for Memory {
    type Error = PowerFailure;
}

impl ReadNorFlash for Memory {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerFailure> {
        bytes.copy_from_slice(&self.bytes.borrow()[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        4 * SECTOR
    }
}

impl NorFlash for Memory {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerFailure> {
        assert!(from.is_multiple_of(128) && to == from + 128);
        for at in from..to {
            self.spend()?;
            self.bytes.borrow_mut()[at as usize] = 0xFF;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerFailure> {
        assert!(offset.is_multiple_of(8) && bytes.len().is_multiple_of(8));
        for (at, byte) in (offset as usize..).zip(bytes) {
            self.spend()?;
            let place = &mut self.bytes.borrow_mut()[at];
            assert_eq!(*place, 0xFF, "only erased flash is written");
            *place = *byte;
        }
        Ok(())
    }
}

/// Returns a value that only the start with this number has.
fn first(boot: Boot) -> u64 {
    random(&[7; 32], boot)()
}

#[test]
fn every_start_has_a_number_of_its_own_though_power_fails_at_any_byte() {
    for power in 0..600 {
        let memory = Memory::new(power);
        let mut seen = Vec::new();
        // Starts until power fails during one start; after that, power stays on.
        while let Ok((_, boot)) = Journal::open(memory.clone(), 128) {
            seen.push(first(boot));
        }
        *memory.power.borrow_mut() = u32::MAX;
        for _ in 0..12 {
            let (_, boot) = Journal::open(memory.clone(), 128).expect("there is power");
            seen.push(first(boot));
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count, "power for {power} bytes");
        let bytes = memory.bytes.borrow();
        assert!(bytes[..128].iter().chain(&bytes[3 * 128..]).all(|byte| *byte == 0xFF), "nothing outside is written");
    }
}

#[test]
fn newest_time_is_kept_at_every_power_failure() {
    for power in 32..600 {
        let memory = Memory::new(power);
        let (mut journal, _) = Journal::open(memory.clone(), 0).expect("there is power for this");
        let mut noted = 0;
        for time in (1..).map(|hour| hour * 3600) {
            match journal.note(time) {
                Ok(written) => assert!(written),
                Err(PowerFailure) => break,
            }
            noted = time;
        }
        *memory.power.borrow_mut() = u32::MAX;
        let (journal, _) = Journal::open(memory, 0).expect("there is power");
        assert_eq!(journal.time(), noted, "power for {power} bytes");
    }
}

#[test]
fn time_that_is_hardly_newer_or_older_is_not_written() {
    let memory = Memory::new(u32::MAX);
    let (mut journal, _) = Journal::open(memory, 0).expect("there is power");
    for (time, written) in [(10_000, true), (10_899, false), (9_000, false), (10_900, true)] {
        assert_eq!(journal.note(time), Ok(written), "{time}");
    }
}

#[test]
fn journal_over_other_data_begins_and_counts() {
    let memory = Memory::new(u32::MAX);
    *memory.bytes.borrow_mut() = [0; 4 * SECTOR];
    let starts = [(); 20].map(|()| first(Journal::open(memory.clone(), 0).expect("there is power").1));
    assert!(starts.iter().enumerate().all(|(at, start)| !starts[..at].contains(start)));
}
