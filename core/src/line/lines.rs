//! A sans-IO line splitter: cuts a byte stream into lines, in a buffer that the caller provides.

use crate::json::without_mark;

/// The outcome of feeding bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Cut<'b> {
    /// One whole line, without its line ending. Never empty.
    Line(&'b [u8]),
    /// The end of a line that was longer than the buffer. Its bytes were discarded.
    TooLong,
}

/// Splits input of any chunk size into lines.
///
/// A line ends with a line feed; a carriage return before it is dropped. Blank lines are skipped. A
/// line that is too long is skipped to its end, so the next line is read correctly.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lines<'b> {
    buffer: &'b mut [u8],
    len: usize,
    /// A carriage return was read. It belongs to the line only if no line feed follows.
    held: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Reading,
    /// The line is too long: everything up to the line feed is dropped.
    Skipping,
    /// The line in the buffer was returned; the next byte begins a new one.
    Given,
}

impl<'b> Lines<'b> {
    /// Creates a splitter for lines of up to `buffer.len()` bytes, their line ending not counted.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0, held: false, state: State::Reading }
    }

    /// Returns the length of the longest line that fits, in bytes.
    pub const fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Takes bytes from the front of `input` up to the end of a line, and advances `input` past
    /// them. Returns `None` when `input` is used up.
    pub fn feed(&mut self, input: &mut &[u8]) -> Option<Cut<'_>> {
        while !input.is_empty() {
            if self.state == State::Given {
                self.len = 0;
                self.state = State::Reading;
            }
            let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
                self.append(input);
                *input = &[];
                return None;
            };
            let (line, rest) = input.split_at_checked(end).unwrap_or((input, &[]));
            self.append(line);
            *input = rest.get(1..).unwrap_or_default();
            if self.end() {
                return Some(self.cut());
            }
        }
        None
    }

    /// Ends the stream: returns the rest in the buffer, as if a line feed had followed.
    pub fn finish(&mut self) -> Option<Cut<'_>> {
        if self.state == State::Given || !self.end() {
            return None;
        }
        Some(self.cut())
    }

    fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if core::mem::replace(&mut self.held, false) {
            self.push(b"\r");
        }
        let text = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        self.held = text.len() < bytes.len();
        self.push(text);
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.state == State::Skipping {
            return;
        }
        let free = self.buffer.get_mut(self.len..).unwrap_or_default();
        if bytes.len() > free.len() {
            self.state = State::Skipping;
            return;
        }
        for (slot, byte) in free.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        self.len += bytes.len();
    }

    /// Ends the line; returns `false` if it was blank.
    fn end(&mut self) -> bool {
        self.held = false;
        // Editors and shells of Windows put a byte order mark before the first line.
        let blank = self.state == State::Reading && without_mark(self.line()).iter().all(u8::is_ascii_whitespace);
        if blank {
            self.len = 0;
        }
        !blank
    }

    fn cut(&mut self) -> Cut<'_> {
        match core::mem::replace(&mut self.state, State::Given) {
            State::Skipping => Cut::TooLong,
            _ => Cut::Line(self.line()),
        }
    }

    fn line(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `stream` in pieces of `size` bytes to a buffer of four bytes, and checks the lines.
    fn check(stream: &[u8], size: usize, expected: &[Cut<'_>]) {
        let mut buffer = [0; 4];
        let mut lines = Lines::new(&mut buffer);
        let mut expected = expected.iter();
        for mut piece in stream.chunks(size) {
            while let Some(cut) = lines.feed(&mut piece) {
                assert_eq!(Some(&cut), expected.next(), "pieces of {size}");
            }
        }
        assert_eq!(lines.finish().as_ref(), expected.next(), "pieces of {size}");
        assert_eq!(expected.next(), None);
    }

    #[test]
    fn stream_cut_into_any_pieces_gives_the_same_lines() {
        use Cut::{Line, TooLong};
        let stream = b"ab\n\r\n  \nabcd\r\nabcde\nxy\nabcdefghijk\r\n\nz";
        let expected = [Line(b"ab"), Line(b"abcd"), TooLong, Line(b"xy"), TooLong, Line(b"z")];
        for size in 1..=stream.len() {
            check(stream, size, &expected);
        }
    }

    #[test]
    fn line_of_a_byte_order_mark_alone_is_blank() {
        for size in 1..=8 {
            check(b"\xEF\xBB\xBF\r\nab\r\n", size, &[Cut::Line(b"ab")]);
            check(b"\xEF\xBB\xBF\n\xEF\xBB\xBFx\n", size, &[Cut::Line(b"\xEF\xBB\xBFx")]);
        }
    }

    #[test]
    fn carriage_return_that_is_not_the_last_byte_of_a_line_belongs_to_it() {
        for size in 1..=8 {
            check(b"abcd\r\r\n", size, &[Cut::TooLong]);
            check(b"abc\r\r\n", size, &[Cut::Line(b"abc\r")]);
            check(b"a\rb\r\nc", size, &[Cut::Line(b"a\rb"), Cut::Line(b"c")]);
        }
    }

    #[test]
    fn stream_that_ends_inside_a_line_gives_out_what_came() {
        check(b"abcdefg", 3, &[Cut::TooLong]);
        check(b"abc", 3, &[Cut::Line(b"abc")]);
        check(b"", 1, &[]);
    }
}
