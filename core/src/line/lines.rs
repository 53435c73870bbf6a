//! The push machine that cuts a byte stream into lines, in a buffer of the caller.

use crate::json::without_mark;

/// What the bytes fed so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Cut<'b> {
    /// One whole line, without its end. Never empty.
    Line(&'b [u8]),
    /// A line that was longer than the buffer has ended. Its bytes are gone.
    TooLong,
}

/// Cuts lines out of pieces of any size.
///
/// A line ends with a line feed; a carriage return before it is dropped. Blank lines are passed over. A line that does
/// not fit is skipped to its end, so the next one is read whole again.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lines<'b> {
    buffer: &'b mut [u8],
    len: usize,
    /// A carriage return has come that belongs to the line only if no line feed follows.
    held: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Reading,
    /// Too long already: everything up to the line feed is dropped.
    Skipping,
    /// The line in the buffer has been given out; the next byte begins another.
    Given,
}

impl<'b> Lines<'b> {
    /// A machine for lines of up to `buffer.len()` bytes, their end not counted.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0, held: false, state: State::Reading }
    }

    /// The longest line that fits, in bytes.
    pub const fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Takes bytes from the front of `input` up to the end of a line, and moves `input` behind what was taken. `None`
    /// when `input` is used up.
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

    /// The stream has ended: gives out what stands in the buffer, as if a line feed had come.
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

    /// Notes the end of a line; `false` if the line was blank.
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

    /// Feeds `stream` in pieces of `size` and checks what comes out, with a buffer of four bytes.
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
