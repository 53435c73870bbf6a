//! The stored state of legacy sessions. A session that only makes calls needs no state while none
//! of its calls runs: its session id carries the result of the handshake.

use crate::era::Session;
use crate::tool::Level;

/// A table of at most `SLOTS` sessions with stored state: sessions that have set a log level, that
/// the client has ended early, or that hold their slot for a running call, an open stream or a
/// resource subscription.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sessions<const SLOTS: usize = 2> {
    slots: [Slot; SLOTS],
    /// All used slots are below this index, so that an empty table is not searched.
    top: usize,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Slot {
    name: [u8; 16],
    ends: u64,
    level: Option<Level>,
    holds: u32,
    ended: bool,
    /// The number of the caller that the slot counts for.
    owner: u64,
}

/// The part of the table that one caller may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Share {
    owner: u64,
    slots: usize,
}

impl Share {
    /// The whole table, for callers that the server cannot tell apart.
    pub const ALL: Self = Self { owner: 0, slots: usize::MAX };

    /// At most this many slots for the caller with this number, which is not 0. The last eighth of
    /// the table is reserved for callers without a slot.
    pub const fn of(owner: u64, slots: usize) -> Self {
        Self { owner, slots }
    }

    /// Whether a caller that has `had` slots may take another one, when `used` of `all` are in use.
    const fn allows(self, had: usize, used: usize, all: usize) -> bool {
        let is_open = used < all.saturating_sub(all / 8);
        self.owner == 0 || had == 0 || (had < self.slots && is_open)
    }
}

impl Slot {
    const FREE: Self = Self { name: [0; 16], ends: 0, level: None, holds: 0, ended: false, owner: 0 };

    const fn is_free(&self) -> bool {
        self.level.is_none() && self.holds == 0 && !self.ended
    }
}

/// The reasons why no state can be stored for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unkept {
    /// All slots are in use.
    Full,
    /// The client has ended the session.
    Ended,
}

impl<const SLOTS: usize> Sessions<SLOTS> {
    /// Creates an empty table.
    pub const fn new() -> Self {
        Self { slots: [Slot::FREE; SLOTS], top: 0 }
    }

    /// Whether the client has ended the session. MCP 2025-11-25 basic/transports: the server MUST
    /// respond to its id with 404 from then on.
    pub fn has_ended(&self, session: &Session) -> bool {
        self.slot(session.name).is_some_and(|slot| slot.ended)
    }

    /// Returns the session's minimum severity of log messages; `None` if the client has set none.
    pub fn level(&self, session: &Session) -> Option<Level> {
        self.slot(session.name)?.level
    }

    /// Holds the slot of the session until [`release`](Sessions::release) has been called as often
    /// as `hold`.
    ///
    /// # Errors
    /// If the client has ended the session, or if no slot is free.
    pub fn hold(&mut self, session: &Session, share: Share, now: u64) -> Result<(), Unkept> {
        let slot = self.take(session, share, now)?;
        slot.holds = slot.holds.saturating_add(1);
        Ok(())
    }

    /// Undoes one [`hold`](Sessions::hold).
    pub fn release(&mut self, session: &Session) {
        if let Some(slot) = self.slots.iter_mut().take(self.top).find(|slot| slot.is(session.name)) {
            slot.holds = slot.holds.saturating_sub(1);
        }
        self.lower();
    }

    /// Stores the session's minimum severity of log messages.
    ///
    /// # Errors
    /// As [`hold`](Sessions::hold).
    pub fn set_level(&mut self, session: &Session, level: Level, share: Share, now: u64) -> Result<(), Unkept> {
        self.take(session, share, now)?.level = Some(level);
        Ok(())
    }

    /// Ends the session. Its slot is kept until its id expires. At most half of the slots, and half
    /// of a caller's share, are kept in this way; the others are for live sessions.
    ///
    /// # Errors
    /// As [`hold`](Sessions::hold).
    pub fn end(&mut self, session: &Session, share: Share, now: u64) -> Result<(), Unkept> {
        let gone = |slot: &&Slot| slot.ended && slot.ends >= now;
        let all = self.slots.iter().filter(gone).count();
        let own = self.slots.iter().filter(gone).filter(|slot| slot.owner == share.owner).count();
        let room = SLOTS.max(2) / 2;
        let allowed = Share { slots: (share.slots / 2).max(1), ..share }.allows(own, all, room);
        if (all >= room || !allowed) && !self.has_ended(session) {
            return Err(Unkept::Full);
        }
        let slot = self.take(session, share, now)?;
        (slot.ended, slot.level) = (true, None);
        Ok(())
    }

    /// Drops the stored log level when the session does not need it any more.
    pub fn forget(&mut self, session: &Session) {
        if let Some(slot) = self.slots.iter_mut().take(self.top).find(|slot| slot.is(session.name)) {
            slot.level = None;
        }
        self.lower();
    }

    fn slot(&self, name: [u8; 16]) -> Option<&Slot> {
        self.slots.iter().take(self.top).find(|slot| slot.is(name))
    }

    /// Returns the slot of the session, or a free one. The state of sessions with expired ids is
    /// dropped, unless they hold their slots. If the table, or the caller's share of it, is full,
    /// the oldest session that only has a log level loses it: of all sessions, or of the caller's.
    fn take(&mut self, session: &Session, share: Share, now: u64) -> Result<&mut Slot, Unkept> {
        let known = self.slots.iter().take(self.top).position(|slot| slot.is(session.name));
        let index = match known {
            Some(index) => index,
            None => {
                let index = self.room(share, now).ok_or(Unkept::Full)?;
                let slot = self.slots.get_mut(index).ok_or(Unkept::Full)?;
                *slot = Slot { name: session.name, ends: session.ends, owner: share.owner, ..Slot::FREE };
                self.top = self.top.max(index.saturating_add(1));
                index
            }
        };
        match self.slots.get_mut(index) {
            Some(slot) if slot.ended => Err(Unkept::Ended),
            Some(slot) => Ok(slot),
            None => Err(Unkept::Full),
        }
    }

    /// Returns a slot that can be used for a session without a slot.
    fn room(&self, share: Share, now: u64) -> Option<usize> {
        let void = |slot: &Slot| slot.holds == 0 && slot.ends < now;
        let (mut used, mut had) = (0_usize, 0_usize);
        for slot in self.slots.iter().take(self.top).filter(|slot| !slot.is_free() && !void(slot)) {
            used = used.saturating_add(1);
            had = had.saturating_add(usize::from(slot.owner == share.owner));
        }
        if !share.allows(had, used, SLOTS) {
            return self.quiet(|slot| slot.owner == share.owner);
        }
        let free = self.slots.iter().position(Slot::is_free);
        free.or_else(|| self.slots.iter().position(void)).or_else(|| self.quiet(|_| true))
    }

    /// Returns the oldest of these sessions that has nothing stored but a log level.
    fn quiet(&self, among: impl Fn(&Slot) -> bool) -> Option<usize> {
        let quiet = self.slots.iter().enumerate().filter(|(_, slot)| slot.holds == 0 && !slot.ended && among(slot));
        quiet.min_by_key(|(_, slot)| slot.ends).map(|(index, _)| index)
    }

    fn lower(&mut self) {
        while let Some(last) = self.top.checked_sub(1)
            && self.slots.get(last).is_none_or(Slot::is_free)
        {
            self.top = last;
        }
    }
}

impl Slot {
    fn is(&self, name: [u8; 16]) -> bool {
        self.name == name && !self.is_free()
    }
}

impl<const SLOTS: usize> Default for Sessions<SLOTS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::era::{Client, Version};

    fn session(name: u8, ends: u64) -> Session {
        Session { version: Version::V2025_11_25, client: Client::default(), name: [name; 16], home: [0; 4], ends }
    }

    const GREEDY: Share = Share::of(1, 4);

    #[test]
    fn caller_with_its_share_of_slots_gets_no_more_and_others_do() {
        let mut table = Sessions::<8>::new();
        for name in 0..4 {
            assert_eq!(table.hold(&session(name, 9), GREEDY, 1), Ok(()));
        }
        assert_eq!(table.hold(&session(4, 9), GREEDY, 1), Err(Unkept::Full));
        // A session that already has a slot does not count as another one.
        assert_eq!(table.hold(&session(0, 9), GREEDY, 1), Ok(()));
        for name in 10..13 {
            assert_eq!(table.hold(&session(name, 9), Share::of(2, 4), 1), Ok(()));
        }
        // The last slot is for a caller that has none.
        assert_eq!(table.hold(&session(13, 9), Share::of(2, 4), 1), Err(Unkept::Full));
        assert_eq!(table.hold(&session(14, 9), Share::of(3, 4), 1), Ok(()));
    }

    #[test]
    fn level_of_a_callers_own_oldest_session_gives_way_to_its_next_one() {
        let mut table = Sessions::<8>::new();
        assert_eq!(table.set_level(&session(9, 5), Level::Error, Share::of(2, 4), 1), Ok(()));
        for name in 0..6 {
            assert_eq!(table.set_level(&session(name, 9 + u64::from(name)), Level::Error, GREEDY, 1), Ok(()));
        }
        let kept = |name: u8| table.level(&session(name, 9)).is_some();
        assert_eq!([0, 1, 2, 5, 9].map(kept), [false, false, true, true, true]);
    }

    #[test]
    fn caller_keeps_no_more_than_half_of_its_share_of_ended_sessions() {
        let mut table = Sessions::<16>::new();
        let share = Share::of(1, 8);
        for name in 0..4 {
            assert_eq!(table.end(&session(name, 9), share, 1), Ok(()));
        }
        assert_eq!(table.end(&session(4, 9), share, 1), Err(Unkept::Full));
        assert_eq!(table.end(&session(5, 9), Share::of(2, 8), 1), Ok(()));
        assert_eq!(table.end(&session(4, 19), share, 10), Ok(()));
    }
}
