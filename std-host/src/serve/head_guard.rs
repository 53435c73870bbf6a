//! Guards against request smuggling where hyper's parser is too lenient behind a proxy: lines that
//! end without a carriage return, and a `Content-Length` together with a `Transfer-Encoding`. A
//! proxy could see another end of the head or of the body, and treat the rest as a separate
//! request.
//!
//! The guard follows each request to its end, so that it examines only heads, whatever a body
//! contains. It examines nothing more once an answer has switched protocols. It replaces a forbidden byte with one that a head must not contain. Hyper, which
//! remains the only parser, then refuses the request and closes the connection.

use super::frames::Frames;
use super::timers::ConnectionTimers;
use crate::budget::Permit;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, ReadBuf};

/// The bytes that hyper reads, above TLS. Written bytes pass through unchanged.
#[derive(Debug)]
pub(super) struct HeadGuard<S> {
    inner: S,
    timers: Arc<ConnectionTimers>,
    reader: Reader,
    /// Bytes of the incoming head.
    head: usize,
    /// Accounts for the bytes that hyper buffers.
    permit: Permit,
}

/// The guard that reads along with hyper.
#[derive(Debug)]
enum Reader {
    /// For HTTP/1: follows requests to their ends.
    Follower(Follower),
    /// For HTTP/2, which frames its messages itself: counts the frames.
    Frames(Frames),
}

impl<S> HeadGuard<S> {
    /// Guards the bytes of a connection. `permit` accounts for the memory of buffered bytes.
    pub(super) fn new(inner: S, timers: Arc<ConnectionTimers>, permit: Permit, is_http2: bool) -> Self {
        let reader = match is_http2 {
            false => Reader::Follower(Follower::default()),
            true => Reader::Frames(Frames::default()),
        };
        Self { inner, timers, reader, head: 0, permit }
    }

    /// Counts bytes that have arrived, and reserves memory for them if they are many.
    fn buffered(&mut self, fresh: usize) -> io::Result<()> {
        let block = match &self.reader {
            Reader::Follower(follower) => {
                self.head = if follower.is_in_head() { self.head + fresh } else { 0 };
                self.head
            }
            Reader::Frames(frames) => frames.block(),
        };
        let needed = block.max(fresh);
        if needed <= BUFFER.max(self.permit.bytes()) {
            return Ok(());
        }
        let more = needed.next_multiple_of(BUFFER) - self.permit.bytes();
        self.permit.more(more).map_err(|short| io::Error::new(io::ErrorKind::OutOfMemory, short.reason()))
    }
}

/// Bytes that each connection may buffer without a reservation from the budget.
const BUFFER: usize = 16 * 1024;

impl<S: AsyncRead + Unpin> AsyncRead for HeadGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let this = &mut *self;
        let fresh = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        if !fresh.is_empty() {
            this.timers.heard();
            match &mut this.reader {
                // RFC 9110 §7.8: bytes after an answer 101 are not HTTP.
                Reader::Follower(_) if this.timers.is_switched() => return Poll::Ready(Ok(())),
                Reader::Follower(follower) => follower.follow(fresh),
                Reader::Frames(frames) => frames.count(fresh, this.timers.sent())?,
            }
            let fresh = fresh.len();
            this.buffered(fresh)?;
        }
        Poll::Ready(Ok(()))
    }
}

pass_writes!(HeadGuard);

/// Follows a sequence of HTTP/1 requests.
#[derive(Debug, Default)]
struct Follower {
    state: State,
    head: Head,
}

/// The position of the next byte in a request.
#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// In a body, with this number of bytes left.
    Length(u64),
    /// In the line with the size of a chunk.
    Size { size: u64, digits: u8, rest: bool, carriage_return: bool },
    /// In a chunk, with this number of bytes left.
    Chunk(u64),
    /// After a chunk, with this number of bytes of its line end read.
    ChunkEnd(usize),
    /// In the trailer section, after the last chunk.
    Trailer { filled: bool, carriage_return: bool },
    /// Nothing is followed: the connection is about to be closed because of a byte that hyper
    /// refuses.
    Blind,
}

/// The state of an incoming head.
#[derive(Debug, Default)]
struct Head {
    /// The incoming line, without its end, as far as there is room.
    line: Vec<u8>,
    /// The length of the line.
    len: usize,
    /// Whether there was a line that is not empty. RFC 9112 §2.2: empty lines before a request are
    /// ignored.
    begun: bool,
    length: Option<u64>,
    chunked: bool,
}

/// A byte that is invalid in every part of a request except the content.
const SPOILT: u8 = 0;

/// Most bytes that are kept of a line: more than a field with a length or a coding needs.
const LINE: usize = 256;

impl Follower {
    /// Whether a head has begun and not ended.
    const fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head) && (self.head.begun || self.head.len > 0)
    }

    fn follow(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Head => {
                    let (taken, ended) = self.head.take(bytes);
                    if ended {
                        self.state = core::mem::take(&mut self.head).body();
                    }
                    taken
                }
                State::Length(left) => {
                    let taken = skip(left, bytes.len());
                    if *left == 0 {
                        self.state = State::Head;
                    }
                    taken
                }
                State::Chunk(left) => {
                    let taken = skip(left, bytes.len());
                    if *left == 0 {
                        self.state = State::ChunkEnd(0);
                    }
                    taken
                }
                State::Blind => return,
                other => {
                    let next = bytes.first().copied().and_then(|byte| other.after(byte));
                    if next.is_none()
                        && let Some(byte) = bytes.first_mut()
                    {
                        *byte = SPOILT;
                    }
                    self.state = next.unwrap_or(State::Blind);
                    1
                }
            };
            bytes = bytes.get_mut(taken..).unwrap_or_default();
        }
    }
}

/// Consumes up to `left` of `len` bytes.
fn skip(left: &mut u64, len: usize) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(len);
    *left -= taken as u64;
    taken
}

impl State {
    /// The state after `byte`, outside of the data of chunks (RFC 9112 §7.1). `None` if `byte` is
    /// invalid here.
    fn after(&self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size { size: 0, carriage_return: true, .. }, b'\n') => {
                Self::Trailer { filled: false, carriage_return: false }
            }
            (Self::Size { size, carriage_return: true, .. }, b'\n') => Self::Chunk(*size),
            (Self::Size { carriage_return: true, .. }, _) | (Self::Size { .. }, b'\n') => return None,
            (Self::Size { size, digits: digits @ 1.., rest, .. }, b'\r') => {
                Self::Size { size: *size, digits: *digits, rest: *rest, carriage_return: true }
            }
            (Self::Size { size, digits, rest: false, .. }, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                let size = size.checked_mul(16)?.checked_add(digit.into())?;
                Self::Size { size, digits: digits.checked_add(1)?, rest: false, carriage_return: false }
            }
            // RFC 9112 §7.1.1: unknown extensions are ignored.
            (Self::Size { size, digits: digits @ 1.., rest, .. }, byte) if *rest || b"; \t".contains(&byte) => {
                Self::Size { size: *size, digits: *digits, rest: true, carriage_return: false }
            }
            (Self::ChunkEnd(0), b'\r') => Self::ChunkEnd(1),
            (Self::ChunkEnd(1), b'\n') => Self::Size { size: 0, digits: 0, rest: false, carriage_return: false },
            (Self::Trailer { filled: false, carriage_return: true }, b'\n') => Self::Head,
            (Self::Trailer { carriage_return: true, .. }, b'\n') => {
                Self::Trailer { filled: false, carriage_return: false }
            }
            (Self::Trailer { carriage_return: true, .. }, _) | (Self::Trailer { .. }, b'\n') => return None,
            (Self::Trailer { filled, .. }, b'\r') => Self::Trailer { filled: *filled, carriage_return: true },
            (Self::Trailer { .. }, _) => Self::Trailer { filled: true, carriage_return: false },
            _ => return None,
        })
    }
}

impl Head {
    /// Reads bytes up to the end of a line. Returns their number, and whether the head has ended
    /// with them.
    fn take(&mut self, bytes: &mut [u8]) -> (usize, bool) {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.push(bytes);
            return (bytes.len(), false);
        };
        let (line, rest) = bytes.split_at_mut(end);
        self.push(line);
        let is_good = self.end_line();
        if let Some(line_feed) = rest.first_mut().filter(|_| is_good.is_none()) {
            *line_feed = SPOILT;
        }
        (end + 1, is_good == Some(true))
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = LINE - self.line.len();
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.len += bytes.len();
        // The last byte shows whether the line ends with a carriage return.
        if let (Some(last), Some(kept)) = (bytes.last(), self.line.last_mut().filter(|_| self.len > LINE)) {
            *kept = *last;
        }
    }

    /// Ends a line, and returns whether the head has ended with it. `None` if another parser could
    /// read the line differently.
    fn end_line(&mut self) -> Option<bool> {
        let (line, len) = (core::mem::take(&mut self.line), core::mem::take(&mut self.len));
        // RFC 9112 §2.2: a recipient MAY accept a lone line feed as the end of a line. Such a
        // recipient sees the end of the head at another place than one that does not accept it.
        let text = line.strip_suffix(b"\r")?;
        if text.is_empty() {
            return Some(self.begun);
        }
        if !core::mem::replace(&mut self.begun, true) {
            // The request line.
            return Some(false);
        }
        let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
        let (name, value) = text.split_at(colon);
        // RFC 9112 §6.3: parsers disagree about the end of a message with both fields. Hyper drops
        // the length silently.
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
            return self.length.is_none().then_some(false);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = value.get(1..).unwrap_or_default().trim_ascii();
            let length = core::str::from_utf8(digits).ok().filter(|_| len <= LINE)?.parse().ok()?;
            let before = self.length.replace(length);
            return (!self.chunked && before.is_none_or(|before| before == length)).then_some(false);
        }
        Some(false)
    }

    /// The state after the head.
    fn body(self) -> State {
        match (self.chunked, self.length) {
            (true, _) => State::Size { size: 0, digits: 0, rest: false, carriage_return: false },
            (false, None | Some(0)) => State::Head,
            (false, Some(length)) => State::Length(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks which bytes of a stream are replaced, in pieces of every size. In `expected`, an
    /// underscore marks each replaced byte.
    fn check(stream: &str, expected: &str) {
        for size in 1..=stream.len() {
            let (mut follower, mut bytes) = (Follower::default(), stream.as_bytes().to_vec());
            bytes.chunks_mut(size).for_each(|piece| follower.follow(piece));
            let shown = String::from_utf8(bytes).expect("UTF-8").replace('\0', "_");
            assert_eq!(shown, expected, "in pieces of {size}");
        }
    }

    const GET: &str = "GET / HTTP/1.1\r\na: b\r\n\r\n";

    #[test]
    fn line_feed_without_carriage_return_is_spoilt_in_a_head_and_left_alone_in_a_body() {
        check(&format!("\r\n{GET}\r\n{GET}"), &format!("\r\n{GET}\r\n{GET}"));
        check("GET / HTTP/1.1\na: b\n\n{\n}", "GET / HTTP/1.1_a: b__{_}");
        check("GET / HTTP/1.1\r\na: b\n\r\n", "GET / HTTP/1.1\r\na: b_\r\n");
        // The second of two requests in one piece is examined like the first.
        let post = "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n{\n}";
        check(&format!("{post}{GET}"), &format!("{post}{GET}"));
        check(&format!("{post}GET / HTTP/1.1\n\r\n"), &format!("{post}GET / HTTP/1.1_\r\n"));
    }

    #[test]
    fn length_beside_a_coding_is_spoilt_in_either_order_and_so_is_one_that_differs_from_another() {
        for (fields, spoilt) in [
            (
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r_",
            ),
            ("transfer-encoding: x\r\nCONTENT-LENGTH:0\r\n", "transfer-encoding: x\r\nCONTENT-LENGTH:0\r_"),
            ("content-length: 1\r\ncontent-length: 2\r\n", "content-length: 1\r\ncontent-length: 2\r_"),
            ("content-length: x\r\n", "content-length: x\r_"),
            ("content-length: 99999999999999999999\r\n", "content-length: 99999999999999999999\r_"),
            (
                "x-content-length: 1\r\ntransfer-encoding: chunked\r\n",
                "x-content-length: 1\r\ntransfer-encoding: chunked\r\n",
            ),
            ("content-length: 1\r\ncontent-length: 1\r\n", "content-length: 1\r\ncontent-length: 1\r\n"),
        ] {
            check(&format!("POST / HTTP/1.1\r\n{fields}"), &format!("POST / HTTP/1.1\r\n{spoilt}"));
        }
        let padded = format!("content-length:{}1\r\n", " ".repeat(2 * LINE));
        check(
            &format!("POST / HTTP/1.1\r\n{padded}"),
            &format!("POST / HTTP/1.1\r\n{}_", padded.trim_end_matches('\n')),
        );
        let long = format!("x: {}\r\n", "y".repeat(2 * LINE));
        check(&format!("GET / HTTP/1.1\r\n{long}\r\n"), &format!("GET / HTTP/1.1\r\n{long}\r\n"));
    }

    #[test]
    fn chunk_that_looks_like_a_head_is_left_alone_and_what_comes_behind_it_is_followed() {
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = "Content-Length: 5\n\n";
        let good = format!("{chunked}{:x};a=b\r\n{chunk}\r\n00\r\nx: y\r\n\r\n", chunk.len());
        check(&format!("{good}{good}{GET}"), &format!("{good}{good}{GET}"));
        check(&format!("{good}GET / HTTP/1.1\n"), &format!("{good}GET / HTTP/1.1_"));
        for (chunks, spoilt) in [
            ("x", "_"),
            ("\r\n", "_\n"),
            ("1\nx", "1_x"),
            ("1\rx", "1\r_"),
            ("1\r\nxy", "1\r\nx_"),
            ("1\r\nx\n", "1\r\nx_"),
            ("1;a\nb", "1;a_b"),
            ("0\r\nx: y\n", "0\r\nx: y_"),
            ("0\r\n\n", "0\r\n_"),
            ("fffffffffffffffff\r\n", "ffffffffffffffff_\r\n"),
        ] {
            check(&format!("{chunked}{chunks}"), &format!("{chunked}{spoilt}"));
        }
    }
}
