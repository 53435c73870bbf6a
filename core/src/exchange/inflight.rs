//! The calls that run for legacy clients: a cancellation and an answer to a question come as messages of their own, and must
//! reach the call that they mean.

use crate::limits;

/// Calls that run, and the questions that they have asked. `CALLS` run at once at most.
///
/// A session is told by its name: over HTTP that of the [`Session`](crate::era::Session), on a line anything that tells one
/// connection from the others. Calls are told by the ids of their requests as they were written.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Inflight<const CALLS: usize = 2> {
    calls: [Option<Running>; CALLS],
    /// All calls stand below it, so that an empty table is not searched.
    top: usize,
    /// How many calls there have been.
    turn: u64,
    /// How many questions there have been: each has a number of its own.
    asked: u64,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Running {
    session: [u8; 16],
    turn: u64,
    id: [u8; limits::REQUEST_ID],
    len: usize,
    /// The number of the first question that it waits for, and a bit for each that has no answer yet.
    first: u64,
    open: u32,
}

/// The place of a call in the table, good until that call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Place {
    index: usize,
    turn: u64,
}

impl Place {
    /// The number of the place, below `CALLS`. Calls that follow each other may have the same.
    pub const fn index(self) -> usize {
        self.index
    }
}

/// Why a call cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Busy {
    /// `CALLS` run already.
    Full,
    /// A call of this session runs under the same id (MCP 2025-11-25 basic/index: "MUST NOT have been previously used").
    Taken,
    /// The id is longer than [`REQUEST_ID`](limits::REQUEST_ID).
    LongId,
}

impl<const CALLS: usize> Inflight<CALLS> {
    /// A table with nothing in it.
    pub const fn new() -> Self {
        Self { calls: [None; CALLS], top: 0, turn: 0, asked: 0 }
    }

    /// Takes a place for a call.
    ///
    /// # Errors
    /// If there is none for it.
    pub fn begin(&mut self, session: [u8; 16], id: &[u8]) -> Result<Place, Busy> {
        let mut kept = [0; limits::REQUEST_ID];
        let place = kept.get_mut(..id.len()).ok_or(Busy::LongId)?;
        place.iter_mut().zip(id).for_each(|(slot, byte)| *slot = *byte);
        if self.find(session, id).is_some() {
            return Err(Busy::Taken);
        }
        let index = self.calls.iter().position(Option::is_none).ok_or(Busy::Full)?;
        self.turn = self.turn.wrapping_add(1);
        let call = Running { session, turn: self.turn, id: kept, len: id.len(), first: 0, open: 0 };
        *self.calls.get_mut(index).ok_or(Busy::Full)? = Some(call);
        self.top = self.top.max(index.saturating_add(1));
        Ok(Place { index, turn: self.turn })
    }

    /// Frees the place of a call that has ended. Its questions are void.
    pub fn end(&mut self, place: Place) {
        if self.running(place).is_some()
            && let Some(slot) = self.calls.get_mut(place.index)
        {
            *slot = None;
        }
        while let Some(last) = self.top.checked_sub(1)
            && self.calls.get(last).is_none_or(Option::is_none)
        {
            self.top = last;
        }
    }

    /// The call of this session with this id.
    pub fn find(&self, session: [u8; 16], id: &[u8]) -> Option<Place> {
        self.search(|call| call.session == session && call.id.get(..call.len) == Some(id))
    }

    /// Lets the call ask `count` questions, and gives the number of the first; the others follow it. It must wait for none
    /// yet. `None` if it has ended, waits, or asks for none or more than [`QUESTIONS`](limits::QUESTIONS).
    pub fn ask(&mut self, place: Place, count: usize) -> Option<u64> {
        if count == 0 || count > limits::QUESTIONS {
            return None;
        }
        let first = self.asked.wrapping_add(1);
        let call = self.running(place).filter(|call| call.open == 0)?;
        call.first = first;
        call.open = u32::MAX.checked_shr(32_u32.saturating_sub(u32::try_from(count).ok()?))?;
        self.asked = self.asked.wrapping_add(count as u64);
        Some(first)
    }

    /// The call that waits for the answer to this question, and how many of the same asking stand before it. It waits for it
    /// no more: `None` if the question was never asked in this session, is answered, or void.
    pub fn answered(&mut self, session: [u8; 16], question: u64) -> Option<(Place, usize)> {
        let bit = |call: &Running| {
            let before = u32::try_from(question.checked_sub(call.first)?).ok()?;
            1_u32.checked_shl(before).filter(|bit| call.open & bit != 0)
        };
        let place = self.search(|call| call.session == session && bit(call).is_some())?;
        let call = self.running(place)?;
        let bit = bit(call)?;
        call.open &= !bit;
        Some((place, bit.trailing_zeros() as usize))
    }

    fn running(&mut self, place: Place) -> Option<&mut Running> {
        self.calls.get_mut(place.index)?.as_mut().filter(|call| call.turn == place.turn)
    }

    fn search(&self, fits: impl Fn(&Running) -> bool) -> Option<Place> {
        let calls = self.calls.iter().take(self.top).enumerate();
        calls
            .filter_map(|(index, call)| Some((index, call.as_ref()?)))
            .find_map(|(index, call)| fits(call).then_some(Place { index, turn: call.turn }))
    }
}

impl<const CALLS: usize> Default for Inflight<CALLS> {
    fn default() -> Self {
        Self::new()
    }
}
