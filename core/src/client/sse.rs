//! Reads server-sent events (HTML Living Standard §9.2) without a buffer: finds the ends of lines,
//! and parses single lines.

/// Finds the ends of lines in a stream that arrives in pieces. Line ends are CR, LF and CRLF.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LineEnds {
    /// The last byte was a carriage return; a line feed that follows belongs to the same line end.
    after_return: bool,
}

impl LineEnds {
    /// Takes bytes from the front of `input` up to the end of a line. Returns the bytes, and
    /// whether the line ends after them. A line may be returned in several parts. Returns `None`
    /// when `input` is used up.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Option<(&'i [u8], bool)> {
        if input.is_empty() {
            return None;
        }
        if core::mem::take(&mut self.after_return) {
            *input = input.strip_prefix(b"\n").unwrap_or(input);
            if input.is_empty() {
                return None;
            }
        }
        let Some(end) = input.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            return Some((core::mem::take(input), false));
        };
        let (part, rest) = input.split_at_checked(end)?;
        let (end, rest) = rest.split_first()?;
        self.after_return = *end == b'\r';
        *input = rest;
        Some((part, true))
    }
}

/// The content of one line of an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Field<'l> {
    /// A blank line: the event is complete.
    Dispatch,
    /// A line of the event's data.
    Data(&'l [u8]),
    /// The type of the event.
    Event(&'l [u8]),
    /// The id of the event, after which the client can resume. An empty id clears the last one.
    Id(&'l [u8]),
    /// The number of milliseconds to wait before the client reconnects.
    Retry(u32),
    /// A comment, an unknown field, or a value that the standard tells clients to ignore.
    Ignored,
}

impl<'l> Field<'l> {
    /// Parses a line without its end. `first` tells whether it is the first line of the stream,
    /// which may begin with a byte order mark.
    pub fn of(line: &'l [u8], first: bool) -> Self {
        let line = if first { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line };
        if line.is_empty() {
            return Self::Dispatch;
        }
        let mut parts = line.splitn(2, |&byte| byte == b':');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => Self::Data(value),
            b"event" => Self::Event(value),
            b"id" if !value.contains(&0) => Self::Id(value),
            b"retry" => milliseconds(value).map_or(Self::Ignored, Self::Retry),
            _ => Self::Ignored,
        }
    }
}

fn milliseconds(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        Some(number.saturating_mul(10).saturating_add(digit.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the lines of `stream`, joined by `|`, when it arrives in pieces of `size` bytes.
    fn check(stream: &[u8], size: usize, expected: &[&[u8]]) {
        let mut ends = LineEnds::default();
        let (mut line, mut len) = ([0; 16], 0);
        let mut expected = expected.iter();
        for mut piece in stream.chunks(size) {
            while let Some((part, ended)) = ends.next(&mut piece) {
                line[len..len + part.len()].copy_from_slice(part);
                len += part.len();
                if ended {
                    assert_eq!(Some(&&line[..len]), expected.next(), "pieces of {size}");
                    len = 0;
                }
            }
        }
        assert_eq!((len, expected.next()), (0, None), "pieces of {size}");
    }

    #[test]
    fn lines_end_with_any_of_the_three_ends_in_pieces_of_any_size() {
        let stream = b"a\rb\nc\r\n\r\n\n\rd\n";
        for size in 1..=stream.len() {
            check(stream, size, &[b"a", b"b", b"c", b"", b"", b"", b"d"]);
        }
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        for (line, first, expected) in [
            (&b""[..], false, Field::Dispatch),
            (b"data: x", false, Field::Data(b"x")),
            (b"data:x", false, Field::Data(b"x")),
            (b"data:  x", false, Field::Data(b" x")),
            (b"data", false, Field::Data(b"")),
            (b"data:", false, Field::Data(b"")),
            (b"data: a:b", false, Field::Data(b"a:b")),
            (b"\xEF\xBB\xBFdata: x", true, Field::Data(b"x")),
            (b"\xEF\xBB\xBFdata: x", false, Field::Ignored),
            (b": comment", false, Field::Ignored),
            (b"event: ping", false, Field::Event(b"ping")),
            (b"id: 7", false, Field::Id(b"7")),
            (b"id", false, Field::Id(b"")),
            (b"id: a\0b", false, Field::Ignored),
            (b"retry: 500", false, Field::Retry(500)),
            (b"retry: 99999999999", false, Field::Retry(u32::MAX)),
            (b"retry: -1", false, Field::Ignored),
            (b"retry:", false, Field::Ignored),
            (b"Data: x", false, Field::Ignored),
        ] {
            assert_eq!(Field::of(line, first), expected, "{line:?}");
        }
    }
}
