//! The table of running calls of legacy clients. A cancellation, or a response to a question,
//! arrives as a separate message, and must be routed to its call.

use crate::limits;

/// The running calls and their open questions; at most `CALLS` run at once.
///
/// A session is identified by its name: over HTTP the name in its [`Session`](crate::era::Session),
/// on a line any value that is unique to the connection. Calls are identified by their request ids,
/// as the client wrote them.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Inflight<const CALLS: usize = 2> {
    calls: [Option<Running>; CALLS],
    /// All used slots are below this index, so that an empty table is not searched.
    top: usize,
    /// The number of calls begun so far.
    turn: u64,
    /// The number of questions asked so far. It is also the number of the newest one.
    asked: u64,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Running {
    session: [u8; 16],
    turn: u64,
    id: [u8; limits::REQUEST_ID],
    len: usize,
    /// The number of the first open question, and one bit for each question without a response.
    first: u64,
    open: u32,
}

impl Running {
    /// The bit of a question of this call that has no response yet.
    fn open_bit(&self, question: u64) -> Option<u32> {
        let before = u32::try_from(question.checked_sub(self.first)?).ok()?;
        1_u32.checked_shl(before).filter(|bit| self.open & bit != 0)
    }
}

/// A handle for a call in the table, valid until that call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Place {
    index: usize,
    turn: u64,
}

impl Place {
    /// Returns the index of the slot, below `CALLS`. A later call may get the same index.
    pub const fn index(self) -> usize {
        self.index
    }
}

/// The reasons why a call cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Busy {
    /// `CALLS` calls are running already.
    Full,
    /// A call of this session is running under the same id (MCP 2025-11-25 basic/index: "MUST NOT
    /// have been previously used").
    Taken,
    /// The id is longer than [`REQUEST_ID`](limits::REQUEST_ID).
    LongId,
}

impl<const CALLS: usize> Inflight<CALLS> {
    /// Creates an empty table.
    pub const fn new() -> Self {
        Self { calls: [None; CALLS], top: 0, turn: 0, asked: 0 }
    }

    /// Sets the number of the next question to `first`. If several tables send questions to the
    /// same client, each table needs its own range of numbers.
    pub const fn number_from(&mut self, first: u64) {
        self.asked = first;
    }

    /// Takes a slot for a call.
    ///
    /// # Errors
    /// If the table is full, or the id is in use or too long.
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

    /// Frees the slot of a call that has ended. Its open questions are dropped.
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

    /// Finds the call of this session with this request id.
    pub fn find(&self, session: [u8; 16], id: &[u8]) -> Option<Place> {
        self.search(|call| call.session == session && call.id.get(..call.len) == Some(id))
    }

    /// Registers `count` questions of the call and returns the number of the first; the others
    /// follow consecutively. The call must have no open questions. Returns `None` if the call has
    /// ended or has open questions, or if `count` is 0 or more than
    /// [`QUESTIONS`](limits::QUESTIONS).
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

    /// Closes a question and returns the call that asked it, and the question's index among those
    /// asked with it. Returns `None` if this session has no such open question.
    pub fn answered(&mut self, session: [u8; 16], question: u64) -> Option<(Place, usize)> {
        let place = self.asker(session, question)?;
        let call = self.running(place)?;
        let bit = call.open_bit(question)?;
        call.open &= !bit;
        Some((place, bit.trailing_zeros() as usize))
    }

    /// Returns whether this session has this open question.
    pub fn awaits(&self, session: [u8; 16], question: u64) -> bool {
        self.asker(session, question).is_some()
    }

    fn asker(&self, session: [u8; 16], question: u64) -> Option<Place> {
        self.search(|call| call.session == session && call.open_bit(question).is_some())
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
