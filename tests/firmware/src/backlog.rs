//! Keeps clients waiting while every socket is in use.
//!
//! The stack has no backlog: it resets such a client, even one that comes while an earlier
//! connection's socket is still closing. So the driver keeps a copy of each SYN while the stack
//! processes it. If the stack answers with a reset, the driver drops the reset and repeats the SYN
//! until a socket accepts it. The stack's own answer shows whether a socket is free, so the driver
//! does not count sockets.

use embassy_time::{Duration, Instant};

/// The number of clients that may wait: the 20 concurrent clients of the benchmark, and four more.
const PLACES: usize = 24;

/// Length of the longest SYN that is kept: Ethernet, IPv4 without options, TCP with 24 bytes of
/// options. Linux sends 20 of them.
const LONGEST: usize = 14 + 20 + 20 + 24;

/// Time between two repetitions of a SYN. A short call uses a socket for about a millisecond.
const PAUSE: Duration = Duration::from_millis(5);

/// The time for which a client waits before it gets the reset after all, such as a client of a port
/// where no socket listens. It is longer than a silent client may hold a socket (`Deadlines::head`,
/// and the closing).
const PATIENCE: Duration = Duration::from_secs(8);

/// The SYNs that wait.
pub struct Backlog {
    places: [Place; PLACES],
    /// Index of the SYN that the stack is processing.
    offered: Option<usize>,
}

struct Place {
    frame: [u8; LONGEST],
    /// 0 if the place is free.
    len: usize,
    since: Instant,
    /// The time of its next repetition.
    due: Instant,
}

impl Place {
    const FREE: Self = Self { frame: [0; LONGEST], len: 0, since: Instant::MIN, due: Instant::MIN };

    const fn is_taken(&self) -> bool {
        self.len > 0
    }

    fn frame(&self) -> &[u8] {
        self.frame.get(..self.len).unwrap_or_default()
    }
}

impl Backlog {
    /// A backlog without clients.
    pub const fn new() -> Self {
        Self { places: [Place::FREE; PLACES], offered: None }
    }

    /// Stores a frame that the stack gets now, if it is a SYN. A SYN that the client repeats keeps
    /// its place.
    pub fn note(&mut self, frame: &[u8], now: Instant) {
        self.settle();
        if tcp_flags(frame).is_none_or(|flags| flags & (SYN | ACK) != SYN) {
            return;
        }
        let again = self.places.iter().position(|place| place.is_taken() && client(place.frame()) == client(frame));
        let Some(at) = again.or_else(|| self.places.iter().position(|place| !place.is_taken())) else {
            return;
        };
        if let Some(place) = self.places.get_mut(at)
            && let Some(copy) = place.frame.get_mut(..frame.len())
        {
            copy.copy_from_slice(frame);
            if !place.is_taken() {
                place.since = now;
            }
            place.len = frame.len();
            self.offered = Some(at);
        }
    }

    /// Returns the next SYN to repeat, which the stack must get now: the one that has waited
    /// longest.
    pub fn next(&mut self, now: Instant) -> Option<&[u8]> {
        self.settle();
        let due = self.places.iter().enumerate().filter(|(_, place)| place.is_taken() && place.due <= now);
        let (at, _) = due.min_by_key(|(_, place)| place.since)?;
        self.offered = Some(at);
        self.places.get(at).map(Place::frame)
    }

    /// Returns the time at which [`Backlog::next`] has a SYN again.
    pub fn due(&self) -> Option<Instant> {
        self.places.iter().filter(|place| place.is_taken()).map(|place| place.due).min()
    }

    /// Returns whether to send the stack's answer to the last SYN. If not, the client waits.
    pub fn lets_through(&mut self, answer: &[u8], now: Instant) -> bool {
        let Some(place) = self.offered.and_then(|at| self.places.get(at)) else {
            return true;
        };
        let refused = tcp_flags(answer).is_some_and(|flags| flags & RST != 0);
        if !refused || now >= place.since.saturating_add(PATIENCE) {
            return true;
        }
        // One refusal applies to all clients that wait for that port.
        let refusing = port(place.frame());
        for place in self.places.iter_mut().filter(|place| port(place.frame()) == refusing) {
            place.due = now + PAUSE;
        }
        self.offered = None;
        false
    }

    /// Frees the place of a SYN that was offered and not refused: a socket has accepted it.
    fn settle(&mut self) {
        if let Some(place) = self.offered.take().and_then(|at| self.places.get_mut(at)) {
            place.len = 0;
        }
    }
}

/// The addresses and ports of a TCP frame without options of IP.
fn client(frame: &[u8]) -> Option<&[u8]> {
    frame.get(26..38)
}

/// The port that a client connects to.
fn port(frame: &[u8]) -> Option<[u8; 2]> {
    frame.get(36..38)?.try_into().ok()
}

/// The flags of TCP over IPv4 without options, first fragment or whole; `None` for any other frame.
fn tcp_flags(frame: &[u8]) -> Option<u8> {
    let is_tcp = frame.get(12..15)? == [0x08, 0x00, 0x45] && *frame.get(23)? == 6;
    is_tcp.then(|| frame.get(47).copied()).flatten()
}

const SYN: u8 = 1 << 1;
const RST: u8 = 1 << 2;
const ACK: u8 = 1 << 4;
