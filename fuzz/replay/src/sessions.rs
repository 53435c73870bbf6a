//! Checks sequences of operations on the tables of legacy sessions and of their calls against
//! simple, slow models.

use attache_core::era::{Client, Session, Version};
use attache_core::exchange::{Busy, Inflight, Place, Sessions, Share, Unkept};
use attache_core::tool::Level;
use std::collections::BTreeMap;

/// Applies one operation for each two bytes to both tables and both models.
///
/// # Panics
/// If a table and its model differ.
pub fn sessions(input: &[u8]) {
    let mut both = Both::default();
    for pair in input.chunks_exact(2) {
        both.apply(pair[0], pair[1]);
    }
}

#[derive(Clone, Default)]
struct Call {
    session: u8,
    id: Vec<u8>,
    place: Option<Place>,
    /// The open questions.
    open: Vec<u64>,
}

#[derive(Clone, Default)]
struct Known {
    level: bool,
    holds: u32,
    ended: bool,
    /// The second at which the id expires.
    ends: u64,
}

impl Known {
    const fn is_free(&self) -> bool {
        !self.level && self.holds == 0 && !self.ended
    }
}

/// Both tables and both models.
#[derive(Clone, Default)]
struct Both {
    calls: Inflight<2>,
    running: Vec<Call>,
    asked: u64,
    /// The place of a call that has ended, which must no longer have an effect.
    stale: Option<Place>,
    sessions: Sessions<2>,
    known: BTreeMap<u8, Known>,
    now: u64,
}

fn session(number: u8, ends: u64) -> Session {
    Session { version: Version::V2025_11_25, client: Client::NONE, name: [number; 16], home: [0; 4], ends }
}

impl Both {
    fn apply(&mut self, operation: u8, argument: u8) {
        let (of, id) = (argument % 3, [b'0' + argument / 3 % 3]);
        match operation % 10 {
            0 => self.begin(of, &id),
            1 => self.end(usize::from(argument)),
            2 => self.find(of, &id),
            3 => self.ask(usize::from(argument % 4), usize::from(argument / 4)),
            4 => self.answered(of, u64::from(argument / 3)),
            5 => self.hold(of),
            6 => self.release(of),
            7 => self.level(of),
            8 => self.finish(of),
            _ => self.now += u64::from(argument),
        }
        self.agree();
    }

    fn begin(&mut self, of: u8, id: &[u8]) {
        let came = self.calls.begin([of; 16], id);
        let taken = self.running.iter().any(|call| call.session == of && call.id == id);
        match came {
            Err(busy) => {
                let expected = if taken { Busy::Taken } else { Busy::Full };
                assert_eq!((busy, taken || self.running.len() == 2), (expected, true));
            }
            Ok(place) => {
                assert!(!taken && self.running.len() < 2 && place.index() < 2);
                assert!(self.running.iter().all(|call| call.place.map(Place::index) != Some(place.index())));
                self.running.push(Call { session: of, id: id.to_vec(), place: Some(place), open: Vec::new() });
            }
        }
        assert_eq!(self.calls.begin([of; 16], &[b'x'; 65]), Err(Busy::LongId));
    }

    fn end(&mut self, which: usize) {
        match self.running.get(which % 3) {
            Some(_) => {
                let call = self.running.remove(which % 3);
                self.calls.end(call.place.expect("it runs"));
                self.stale = call.place;
            }
            // Ending a call twice must not end a later call.
            None => self.stale.into_iter().for_each(|place| self.calls.end(place)),
        }
    }

    fn find(&self, of: u8, id: &[u8]) {
        let model = self.running.iter().find(|call| call.session == of && call.id == id);
        assert_eq!(self.calls.find([of; 16], id), model.and_then(|call| call.place));
    }

    fn ask(&mut self, which: usize, count: usize) {
        let Some(call) = self.running.get_mut(which) else {
            if let Some(stale) = self.stale {
                assert_eq!(self.calls.ask(stale, 1), None);
            }
            return;
        };
        let first = self.calls.ask(call.place.expect("it runs"), count);
        let may = call.open.is_empty() && (1..=32).contains(&count);
        assert_eq!(first, may.then_some(self.asked + 1));
        if may {
            call.open = (0..count as u64).map(|at| self.asked + 1 + at).collect();
            self.asked += count as u64;
        }
    }

    fn answered(&mut self, of: u8, question: u64) {
        let came = self.calls.answered([of; 16], question);
        let model = self.running.iter_mut().find(|call| call.session == of && call.open.contains(&question));
        assert_eq!(came.map(|(place, _)| Some(place)), model.as_ref().map(|call| call.place));
        if let Some(call) = model {
            call.open.retain(|open| *open != question);
        }
    }

    /// Returns the model's slot for the session, created if there is room.
    fn slot(&mut self, of: u8) -> Result<&mut Known, Unkept> {
        let now = self.now;
        if self.known.get(&of).is_none_or(Known::is_free) {
            self.known.retain(|other, known| *other != of && !known.is_free());
            if self.known.len() == 2 && self.leaving(of).is_empty() {
                return Err(Unkept::Full);
            }
            let ends = now + 100;
            self.known.insert(of, Known { ends, ..Known::default() });
        }
        let known = self.known.entry(of).or_default();
        if known.ended { Err(Unkept::Ended) } else { Ok(known) }
    }

    /// Returns the sessions of which one may be evicted for another: those with expired ids, or
    /// else the oldest that hold only a log level.
    fn leaving(&self, of: u8) -> Vec<u8> {
        let idle: Vec<_> = self.known.iter().filter(|(other, known)| **other != of && known.holds == 0).collect();
        let void = |known: &Known| known.ends < self.now;
        let oldest = idle.iter().filter(|(_, known)| !known.ended).map(|(_, known)| known.ends).min();
        let leaves = |known: &Known| match idle.iter().any(|(_, known)| void(known)) {
            true => void(known),
            false => !known.ended && Some(known.ends) == oldest,
        };
        idle.iter().filter(|(_, known)| leaves(known)).map(|(other, _)| **other).collect()
    }

    /// Applies `table` and `model` to the session. The table chooses which expired session to
    /// evict.
    fn change(
        &mut self,
        of: u8,
        table: impl FnOnce(&mut Sessions<2>, &Session, u64) -> Result<(), Unkept>,
        model: impl FnOnce(&mut Known),
    ) {
        let ends = match self.known.get(&of).filter(|known| !known.is_free()) {
            Some(known) => known.ends,
            None => self.now + 100,
        };
        let came = table(&mut self.sessions, &session(of, ends), self.now);
        match self.slot(of) {
            Ok(known) => model(known),
            Err(unkept) => return assert_eq!(came, Err(unkept)),
        }
        assert_eq!(came, Ok(()));
        if self.known.len() > 2 {
            let mut gone = self.leaving(of);
            gone.retain(|&other| forgotten(&self.sessions, other));
            assert_eq!(gone.len(), 1, "one has made room");
            self.known.retain(|other, _| !gone.contains(other));
        }
    }

    fn hold(&mut self, of: u8) {
        self.change(of, |table, session, now| table.hold(session, Share::ALL, now), |known| known.holds += 1);
    }

    fn level(&mut self, of: u8) {
        self.change(
            of,
            |table, session, now| table.set_level(session, Level::Error, Share::ALL, now),
            |known| known.level = true,
        );
    }

    fn finish(&mut self, of: u8) {
        // Half of the slots are reserved for live sessions.
        let gone = self.known.values().filter(|known| known.ended && known.ends >= self.now).count();
        if gone == 1 && !self.known.get(&of).is_some_and(|known| known.ended) {
            assert_eq!(self.sessions.end(&session(of, self.now + 100), Share::ALL, self.now), Err(Unkept::Full));
            return;
        }
        self.change(
            of,
            |table, session, now| table.end(session, Share::ALL, now),
            |known| (known.ended, known.level) = (true, false),
        );
    }

    fn release(&mut self, of: u8) {
        if let Some(known) = self.known.get_mut(&of).filter(|known| known.holds > 0) {
            self.sessions.release(&session(of, 0));
            known.holds -= 1;
        }
    }

    /// Checks that table and model agree on each session.
    fn agree(&self) {
        for of in 0..3 {
            let known = self.known.get(&of).cloned().unwrap_or_default();
            let session = session(of, 0);
            assert_eq!(self.sessions.has_ended(&session), known.ended);
            assert_eq!(self.sessions.level(&session).is_some(), known.level);
        }
    }
}

fn forgotten(sessions: &Sessions<2>, of: u8) -> bool {
    let session = session(of, 0);
    !sessions.has_ended(&session) && sessions.level(&session).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs all sequences of `depth` operations after `both`.
    fn all(both: &Both, alphabet: &[(u8, u8)], depth: usize) {
        for &(operation, argument) in alphabet {
            let mut next = both.clone();
            next.apply(operation, argument);
            if depth > 1 {
                all(&next, alphabet, depth - 1);
            }
        }
    }

    // The two tables are independent, so each is tested on its own.
    #[test]
    fn all_sequences_of_six_operations_on_calls_keep_table_and_model_alike() {
        let begins = [(0, 0), (0, 4), (0, 3)];
        let ends = [(1, 0), (1, 2)];
        let asks = [(3, 4), (3, 9), (4, 3), (4, 4)];
        all(&Both::default(), &[&begins[..], &ends, &asks].concat(), 6);
    }

    #[test]
    fn all_sequences_of_six_operations_on_sessions_keep_table_and_model_alike() {
        let of_one = [(5, 0), (6, 0), (7, 0), (8, 0)];
        let of_others = [(5, 1), (8, 2), (7, 2)];
        // The expiry of all ids.
        all(&Both::default(), &[&of_one[..], &of_others, &[(9, 101)]].concat(), 6);
    }
}
