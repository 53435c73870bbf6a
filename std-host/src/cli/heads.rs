//! What hyper cannot tell of a head, because its parser is more lenient than it should be where a proxy stands in front: lines
//! that end without a carriage return, and a `Content-Length` beside a `Transfer-Encoding`.

use super::frames::Frames;
use super::pace::Pace;
use attache_host::budget::Permit;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The bytes that hyper reads, above TLS. What is written passes through.
#[derive(Debug)]
pub(super) struct Heads<S> {
    inner: S,
    pace: Arc<Pace>,
    lengths: Lengths,
    lines: Lines,
    /// Bytes of the head that comes in.
    head: usize,
    /// For what hyper buffers of them.
    permit: Permit,
    /// Those of HTTP/2.
    frames: Option<Frames>,
}

impl<S> Heads<S> {
    /// The memory for what is buffered draws from `permit`.
    pub(super) fn new(inner: S, pace: Arc<Pace>, permit: Permit, frames: Option<Frames>) -> Self {
        Self { inner, pace, lengths: Lengths::default(), lines: Lines::default(), head: 0, permit, frames }
    }

    /// Notes that so many bytes have come in, and draws the memory for them if they are many.
    fn buffered(&mut self, fresh: usize) -> io::Result<()> {
        self.head = if self.lines.ended { 0 } else { self.head + fresh };
        let block = self.frames.as_ref().map_or(self.head, Frames::block);
        let needed = block.max(fresh);
        if needed <= BUFFER.max(self.permit.bytes()) {
            return Ok(());
        }
        let more = needed.next_multiple_of(BUFFER) - self.permit.bytes();
        self.permit.more(more).map_err(|short| io::Error::new(io::ErrorKind::OutOfMemory, short.reason()))
    }
}

/// What each connection may buffer without drawing from the budget.
const BUFFER: usize = 16 * 1024;

impl<S: AsyncRead + Unpin> AsyncRead for Heads<S> {
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
            let lengths = this.lengths.count(fresh);
            if this.pace.heard(lengths) {
                this.lines = Lines::default();
            }
            match &mut this.frames {
                Some(frames) => frames.count(fresh, this.pace.sent())?,
                None => this.lines.spoil(fresh),
            }
            let fresh = fresh.len();
            this.buffered(fresh)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heads<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Follows the lines of one head to its end.
#[derive(Debug, Default)]
struct Lines {
    /// Whether the line that comes in has anything in it yet.
    filled: bool,
    /// Whether its last byte so far is a carriage return.
    carriage_return: bool,
    /// Whether there was a line that is not empty. RFC 9112 §2.2: empty ones before a request are ignored.
    begun: bool,
    ended: bool,
}

impl Lines {
    /// Makes each line feed of the head that stands without a carriage return into a byte that no head may hold.
    // RFC 9112 §2.2: a recipient MAY take it for the end of a line. One that does sees the end of the head elsewhere than one
    // that does not.
    fn spoil(&mut self, mut bytes: &mut [u8]) {
        while !self.ended && !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            let (line, rest) = bytes.split_at_mut(end.unwrap_or(bytes.len()));
            let text = line.strip_suffix(b"\r").map_or(&*line, |text| text);
            // A carriage return that does not stand before a line feed is part of its line.
            self.filled |= !text.is_empty() || (self.carriage_return && !line.is_empty());
            if let Some(last) = line.last() {
                self.carriage_return = *last == b'\r';
            }
            let Some((line_feed, rest)) = rest.split_first_mut() else {
                return;
            };
            match self.carriage_return {
                false => *line_feed = 0,
                true => {
                    self.ended = self.begun && !self.filled;
                    self.begun |= self.filled;
                    self.filled = false;
                }
            }
            self.carriage_return = false;
            bytes = rest;
        }
    }
}

/// Counts the lines that begin with the name of the field `Content-Length`, in whatever pieces they come. No JSON has such a
/// line.
#[derive(Debug, Default)]
struct Lengths {
    /// Bytes of the name that have matched since the last line began; nothing if the line is another.
    matched: Option<usize>,
}

const NAME: &[u8] = b"content-length:";

impl Lengths {
    fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        loop {
            while let Some(matched) = self.matched {
                let [byte, rest @ ..] = bytes else {
                    return count;
                };
                match NAME.get(matched) {
                    Some(expected) if byte.to_ascii_lowercase() == *expected => {
                        bytes = rest;
                        let whole = matched + 1 == NAME.len();
                        count += usize::from(whole);
                        self.matched = (!whole).then_some(matched + 1);
                    }
                    _ => self.matched = None,
                }
            }
            match memchr::memchr(b'\n', bytes) {
                Some(end) => {
                    bytes = bytes.get(end + 1..).unwrap_or_default();
                    self.matched = Some(0);
                }
                None => return count,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_feed_without_carriage_return_is_spoiled_in_a_head_and_left_alone_behind_it() {
        for (head, expected) in [
            (&b"\r\nGET / HTTP/1.1\r\na: b\r\n\r\n{\n}"[..], &b"\r\nGET / HTTP/1.1\r\na: b\r\n\r\n{\n}"[..]),
            (b"GET / HTTP/1.1\na: b\n\n{\n}", b"GET / HTTP/1.1\0a: b\0\0{\0}"),
            (b"GET / HTTP/1.1\r\na: b\n\r\n", b"GET / HTTP/1.1\r\na: b\0\r\n"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\n"),
        ] {
            for size in 1..=head.len() {
                let (mut lines, mut bytes) = (Lines::default(), head.to_vec());
                bytes.chunks_mut(size).for_each(|piece| lines.spoil(piece));
                assert_eq!(bytes, expected, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn fields_of_lengths_are_counted_in_whatever_pieces_they_come() {
        let head = b"POST / HTTP/1.1\r\nContent-Length: 1\r\nx-content-length: 2\r\ncontent-lengths: 3\nCONTENT-LENGTH:4\r\n\r\n";
        for size in 1..=head.len() {
            let mut lengths = Lengths::default();
            let count: usize = head.chunks(size).map(|piece| lengths.count(piece)).sum();
            assert_eq!(count, 2, "in pieces of {size}");
        }
    }
}
