//! The bytes that come in on a line, and those among them that are meant for the call that runs.

use crate::auth::Authenticated;
use crate::era::Version;
use crate::exchange::{Carrier, Next, open};
use crate::limits;
use crate::mcp::Server;
use core::future::pending;
use embedded_io_async::Read;

/// The reading half of a line, and the received bytes that are not used yet.
pub(super) struct Inbox<R: Read> {
    rx: R,
    bytes: [u8; limits::MEANWHILE],
    start: usize,
    end: usize,
    /// The end of the line, once it has ended.
    ended: Option<Result<(), R::Error>>,
}

/// The messages that the device acts on while a call runs.
pub(super) enum Heard {
    /// A ping has come: its answer, and the length of the answer.
    Pong([u8; PONG], usize),
    /// The call is cancelled.
    Cancelled,
}

impl<R: Read> Inbox<R> {
    pub(super) const fn new(rx: R) -> Self {
        Self { rx, bytes: [0; limits::MEANWHILE], start: 0, end: 0, ended: None }
    }

    /// Lets `take` use bytes from the front of what is there.
    pub(super) fn with<T>(&mut self, take: impl FnOnce(&mut &[u8]) -> T) -> T {
        let mut input = self.bytes.get(self.start..self.end).unwrap_or_default();
        let taken = take(&mut input);
        self.start = self.end.saturating_sub(input.len());
        taken
    }

    /// Waits until there is input; `false` at the end of the stream.
    ///
    /// # Errors
    /// The error of the line.
    pub(super) async fn more(&mut self) -> Result<bool, R::Error> {
        if self.start == self.end && self.ended.is_none() {
            self.read().await;
        }
        match self.ended.take() {
            _ if self.start < self.end => Ok(true),
            Some(Err(error)) => Err(error),
            ended => {
                self.ended = ended;
                Ok(false)
            }
        }
    }

    /// Waits for the cancellation of the running call `id`, or for a ping, and removes it from the
    /// inbox. All other messages wait in the inbox. When the inbox is full, the device reads
    /// nothing more. A ping is not answered if `listening` allows no answers.
    pub(super) async fn hear(&mut self, id: &[u8], listening: &Listening<'_>) -> Heard {
        let mut seen = 0;
        loop {
            while let Some(line) = self.line(seen) {
                let next = self.bytes.get(line.clone()).map(|line| (line, listening.open(line)));
                let heard = match next {
                    Some((line, Next::Cancel(of))) if of.of(line) == id => Some(Heard::Cancelled),
                    Some((line, Next::Reply(reply))) if reply.is_pong() && listening.answers => {
                        let mut answer = [0; PONG];
                        let mut emission = reply.emit(listening.server, line, b"");
                        // A ping with an id that is too long waits for the end of the call.
                        (emission.len() <= PONG).then(|| {
                            let len = emission.fill(&mut answer);
                            Heard::Pong(answer, len)
                        })
                    }
                    _ => None,
                };
                seen = line.end + 1 - self.start;
                if let Some(heard) = heard {
                    self.remove(line.start, line.end + 1);
                    return heard;
                }
            }
            self.make_room();
            if self.end == self.bytes.len() || self.ended.is_some() {
                pending::<()>().await;
            }
            self.read().await;
        }
    }

    /// Returns the range of the first whole line after the first `seen` bytes, without its line
    /// end.
    fn line(&self, seen: usize) -> Option<core::ops::Range<usize>> {
        let from = self.start + seen;
        let rest = self.bytes.get(from..self.end)?;
        let len = rest.iter().position(|&byte| byte == b'\n')?;
        Some(from..from + len)
    }

    async fn read(&mut self) {
        self.make_room();
        match self.rx.read(self.bytes.get_mut(self.end..).unwrap_or_default()).await {
            Ok(0) => self.ended = Some(Ok(())),
            Ok(read) => self.end = self.bytes.len().min(self.end + read),
            Err(error) => self.ended = Some(Err(error)),
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.remove(0, self.start);
        }
    }

    /// Removes the bytes from `from` to `to`, and moves the bytes behind them forward.
    fn remove(&mut self, from: usize, to: usize) {
        for at in to..self.end {
            let byte = self.bytes.get(at).copied().unwrap_or_default();
            self.bytes.iter_mut().skip(at - to + from).take(1).for_each(|place| *place = byte);
        }
        self.end -= to - from;
        if from < self.start {
            self.start -= to - from;
        }
    }
}

/// The context in which a line is read while a call runs.
pub(super) struct Listening<'a> {
    pub(super) server: &'a Server<'a>,
    pub(super) who: &'a Authenticated<'a>,
    pub(super) agreed: Option<Version>,
    /// An answer to another message may precede the answer of the call.
    pub(super) answers: bool,
}

impl Listening<'_> {
    fn open(&self, line: &[u8]) -> Next {
        open(self.server, self.who, Carrier::Line(self.agreed), line).next
    }
}

/// The longest answer to a ping, in bytes: 35 and its id, which is at most [`limits::REQUEST_ID`].
const PONG: usize = 35 + limits::REQUEST_ID;
