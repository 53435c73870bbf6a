//! Limits the rate of HTTP/2 frames that carry neither a request nor bytes of a body. A peer needs
//! only few of them, and a peer that sends nothing else wastes the server's time (RFC 9113 §10.5).

use std::io;
use std::time::Instant;

/// Counts frames that carry neither a request nor bytes of a body. This is a token bucket.
#[derive(Debug)]
pub(super) struct Frames {
    /// The head of the incoming frame, as far as it has arrived.
    head: [u8; HEAD],
    filled: usize,
    /// Remaining bytes of the preface, or of a frame after its head.
    left: usize,
    /// Bytes of a block of header fields that has not ended.
    block: usize,
    /// The number of frames that the peer may still send.
    allowed: u64,
    /// The time of the last refill.
    refilled: Instant,
    /// The bytes of answers for which frames were already added.
    credited: u64,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            head: [0; HEAD],
            filled: 0,
            left: PREFACE,
            block: 0,
            allowed: BURST,
            refilled: Instant::now(),
            credited: 0,
        }
    }
}

impl Frames {
    /// Counts the frames in these bytes, which may begin and end at any position. `sent` is the
    /// number of bytes of answers that the peer has taken.
    ///
    /// # Errors
    /// If the peer has sent more frames than it needs.
    pub(super) fn count(&mut self, mut bytes: &[u8], sent: u64) -> io::Result<()> {
        while let Some((byte, behind)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            if let Some(slot) = self.head.get_mut(self.filled) {
                *slot = *byte;
            }
            self.filled += 1;
            bytes = behind;
            if self.filled == HEAD {
                self.filled = 0;
                self.begins(sent)?;
            }
        }
        Ok(())
    }

    /// Bytes of header fields that are buffered because their block has not ended.
    pub(super) const fn block(&self) -> usize {
        self.block
    }

    /// Handles the start of a frame.
    fn begins(&mut self, sent: u64) -> io::Result<()> {
        let [one, two, three, kind, flags, ..] = self.head;
        let length = usize::from(one) << 16 | usize::from(two) << 8 | usize::from(three);
        self.left = length;
        match kind {
            DATA if length > 0 || flags & END_STREAM != 0 => return Ok(()),
            HEADERS => self.allowed = (self.allowed + EACH_REQUEST).min(BURST),
            _ => {}
        }
        if let HEADERS | CONTINUATION = kind {
            self.block = if flags & END_HEADERS == 0 { self.block + length } else { 0 };
        }
        if kind == HEADERS {
            return Ok(());
        }
        if self.allowed == 0 {
            self.refill(sent);
        }
        self.allowed = self.allowed.checked_sub(1).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the peer sends more frames without requests than it needs")
        })?;
        Ok(())
    }

    fn refill(&mut self, sent: u64) {
        let (seconds, bytes) = (self.refilled.elapsed().as_secs(), sent - self.credited);
        if seconds > 0 {
            self.refilled = Instant::now();
        }
        self.credited = sent;
        self.allowed = (seconds * EACH_SECOND).min(BURST) + bytes / BYTES;
    }
}

const PREFACE: usize = 24;
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The burst: frames that a peer may send at once, at the start and after a pause.
const BURST: u64 = 1024;

/// Frames that accompany a request: its priority, its reset, the window of its answer.
const EACH_REQUEST: u64 = 4;

/// Frames per second: pings, and windows of streams that are open for long.
const EACH_SECOND: u64 = 100;

/// Bytes of answers after which a peer may send one more frame, to open its windows again.
const BYTES: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + usize::from(length), b'x');
        frame
    }

    fn begun() -> Frames {
        let mut frames = Frames::default();
        frames.count(&[b'x'; PREFACE], 0).unwrap();
        frames
    }

    #[test]
    fn frames_of_each_kind_count_in_whatever_pieces_they_come() {
        for (kind, flags, length, is_counted) in [
            (2, 0, 5, true),
            (3, 0, 4, true),
            (4, 0, 6, true),
            (6, 0, 8, true),
            (8, 0, 4, true),
            (9, 0, 9, true),
            (77, 0, 0, true),
            (DATA, 0, 0, true),
            (DATA, 0, 1, false),
            (DATA, END_STREAM, 0, false),
            (HEADERS, END_HEADERS, 7, false),
        ] {
            for size in [1, 5, 9, 100] {
                let mut frames = begun();
                let bytes = frame(kind, flags, length).repeat(100);
                for piece in bytes.chunks(size) {
                    frames.count(piece, 0).unwrap();
                }
                assert_eq!(frames.allowed, if is_counted { BURST - 100 } else { BURST }, "{kind} in pieces of {size}");
            }
        }
    }

    #[test]
    fn peer_that_sends_too_many_is_told_and_one_that_reads_may_open_its_windows() {
        let update = frame(8, 0, 4);
        let mut frames = begun();
        let many = update.repeat(usize::try_from(BURST).unwrap());
        frames.count(&many, 0).unwrap();
        assert!(frames.count(&update, 0).is_err());
        let mut frames = begun();
        for round in 1..100 {
            frames.count(&many, round * BURST * BYTES).unwrap();
        }
    }

    #[test]
    fn block_of_fields_that_has_not_ended_is_measured() {
        let mut frames = begun();
        frames.count(&[frame(HEADERS, 0, 200), frame(CONTINUATION, 0, 100)].concat(), 0).unwrap();
        assert_eq!(frames.block(), 300);
        frames.count(&frame(CONTINUATION, END_HEADERS, 100), 0).unwrap();
        assert_eq!(frames.block(), 0);
    }
}
