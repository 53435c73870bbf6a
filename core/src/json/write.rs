//! Writing: the [`Sink`] for bytes, and string escaping at run time and at compile time.

use core::task::{Context, Poll};

/// The buffer is full. Nothing was truncated: a caller that gets this error removes the whole text
/// it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

/// A buffer to which bytes can be appended and removed: a borrowed slice on a device, a growing
/// buffer on a host.
pub trait Sink {
    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`Full`] if not all of them fit; then nothing is appended.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full>;

    /// Returns the number of bytes in the sink.
    fn len(&self) -> usize;

    /// Whether the sink is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all bytes after the first `len`. Bytes that were already sent cannot be removed:
    /// after such an attempt the sink accepts no more bytes.
    fn truncate(&mut self, len: usize);

    /// Makes room for a streamed result: sends the contents of the sink and is ready when they are
    /// sent. They still count in [`len`](Sink::len).
    ///
    /// # Errors
    /// [`Full`], at once, if the sink is empty or cannot send an unfinished result.
    fn poll_room(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Full>> {
        Poll::Ready(Err(Full))
    }

    /// Removes all bytes after the first `from` and, if the sink can, sends them as a separate
    /// message. Ready when they are sent.
    fn poll_aside(&mut self, from: usize, _context: &mut Context<'_>) -> Poll<()> {
        self.truncate(from);
        Poll::Ready(())
    }
}

/// A [`Sink`] over a slice that the caller provides.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slice<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Slice<'a> {
    /// Creates an empty sink with a capacity of `buffer.len()` bytes.
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Returns the number of bytes that still fit.
    pub const fn room(&self) -> usize {
        self.buffer.len().saturating_sub(self.len)
    }

    /// Returns this sink with its contents and leaves one without a buffer in its place.
    #[must_use]
    pub fn take(&mut self) -> Self {
        core::mem::replace(self, Self::new(&mut []))
    }

    /// Returns the bytes written so far.
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

impl Sink for Slice<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.len.checked_add(bytes.len()).ok_or(Full)?;
        let free = self.buffer.get_mut(self.len..end).ok_or(Full)?;
        for (slot, byte) in free.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        self.len = end;
        Ok(())
    }

    fn len(&self) -> usize {
        self.len
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

/// Appends `text`, escaped for use between quotes: RFC 8259 §7 requires that quotes, backslashes
/// and control characters are escaped.
///
/// # Errors
/// [`Full`] if the text does not fit; a part may have been written then.
pub fn escape(text: &str, out: &mut dyn Sink) -> Result<(), Full> {
    escape_bytes(text.as_bytes(), out)
}

/// Like [`escape`], for a part of a text that may begin and end inside a character.
pub(crate) fn escape_bytes(mut rest: &[u8], out: &mut dyn Sink) -> Result<(), Full> {
    while let Some(at) = rest.iter().position(|&byte| escape_of(byte).is_some()) {
        let Some((plain, [special, behind @ ..])) = rest.split_at_checked(at) else {
            break;
        };
        out.put(plain)?;
        if let Some((escaped, len)) = escape_of(*special) {
            out.put(escaped.get(..len).unwrap_or_default())?;
        }
        rest = behind;
    }
    out.put(rest)
}

/// Returns the escape sequence of a byte and its length; `None` if the byte needs no escape.
const fn escape_of(byte: u8) -> Option<([u8; 6], usize)> {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0..0x20 => {
            let low = byte & 0xF;
            let digit = if low < 10 { b'0' + low } else { b'a' + low - 10 };
            return Some(([b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit], 6));
        }
        _ => return None,
    };
    Some(([b'\\', letter, 0, 0, 0, 0], 2))
}

/// A text that needs no further escaping between quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Escaped<'a>(&'a str);

impl<'a> Escaped<'a> {
    /// Wraps a text that needs no escaping; `None` if it has a quote, a backslash or a control
    /// character.
    pub const fn new(text: &'a str) -> Option<Self> {
        if escaped_len(text) == text.len() { Some(Self(text)) } else { None }
    }

    /// Returns the text, escapes included.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Wraps the output of `escape` or `join`.
    ///
    /// The caller promises that the text is escaped: a raw quote would end the string early. The
    /// text is the server's own output, so a broken promise causes malformed responses and nothing
    /// worse.
    pub const fn from_escaped(text: &'a str) -> Self {
        Self(text)
    }
}

const fn escaped_len(text: &str) -> usize {
    let mut rest = text.as_bytes();
    let mut len = 0;
    while let [byte, behind @ ..] = rest {
        len += match escape_of(*byte) {
            Some((_, escaped)) => escaped,
            None => 1,
        };
        rest = behind;
    }
    len
}

/// A piece of a text that is joined at compile time.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Copied unchanged.
    Json(&'a str),
    /// Escaped for use between quotes.
    Text(&'a str),
    /// The lines of a doc comment: each is trimmed, then they are joined by single spaces and
    /// escaped.
    Doc(&'a [&'a str]),
    /// A number in decimal.
    Number(i64),
    /// The number divided by ten to the power of the second one: `Fixed(215, 1)` is `21.5`.
    Fixed(i64, u8),
    /// Texts as the elements of an array, each in quotes, with commas in between.
    Choices(&'a [&'a str]),
    /// More parts.
    Parts(&'a [Part<'a>]),
}

// `derive` recurses without end for a type that contains itself.
#[cfg(feature = "defmt")]
impl defmt::Format for Part<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::Json(text) | Self::Text(text) => defmt::write!(f, "{}", text),
            Self::Doc(texts) | Self::Choices(texts) => defmt::write!(f, "{}", texts),
            Self::Number(number) => defmt::write!(f, "{}", number),
            Self::Fixed(number, places) => defmt::write!(f, "{}e-{}", number, places),
            Self::Parts(parts) => defmt::write!(f, "{} parts", parts.len()),
        }
    }
}

/// Returns the length in bytes of the output of [`join`].
pub const fn joined_len(parts: &[Part<'_>]) -> usize {
    let mut joiner = Joiner { out: &mut [], len: 0 };
    joiner.parts(parts);
    joiner.len
}

/// Joins parts into an array in a constant, so that the text is in flash.
///
/// `N` is [`joined_len`] of the same parts. A shorter array gets the front of the text, a longer
/// one is padded with zeros.
pub const fn join<const N: usize>(parts: &[Part<'_>]) -> [u8; N] {
    let mut text = [0; N];
    Joiner { out: &mut text, len: 0 }.parts(parts);
    text
}

struct Joiner<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl Joiner<'_> {
    const fn parts(&mut self, mut parts: &[Part<'_>]) {
        while let [part, rest @ ..] = parts {
            match part {
                Part::Json(json) => self.bytes(json.as_bytes()),
                Part::Text(text) => self.escaped(text.as_bytes()),
                Part::Doc(lines) => self.lines(lines),
                Part::Number(number) => self.fixed(*number, 0),
                Part::Fixed(number, places) => self.fixed(*number, *places),
                Part::Choices(texts) => self.choices(texts),
                Part::Parts(parts) => self.parts(parts),
            }
            parts = rest;
        }
    }

    const fn choices(&mut self, mut texts: &[&str]) {
        let mut first = true;
        while let [text, rest @ ..] = texts {
            self.bytes(if first { b"\"" } else { b",\"" });
            self.escaped(text.as_bytes());
            self.byte(b'"');
            first = false;
            texts = rest;
        }
    }

    const fn fixed(&mut self, value: i64, places: u8) {
        if value < 0 {
            self.byte(b'-');
        }
        // From the highest place that has a digit, or that is in front of the point, down to the lowest.
        let mut place: u8 = 19;
        let mut begun = false;
        loop {
            let digit = digit(value.unsigned_abs(), place);
            begun = begun || digit != 0 || place <= places;
            if begun {
                self.byte(b'0' + digit);
            }
            if place == 0 {
                return;
            }
            if place == places {
                self.byte(b'.');
            }
            place -= 1;
        }
    }

    const fn lines(&mut self, mut lines: &[&str]) {
        let mut first = true;
        while let [line, rest @ ..] = lines {
            let line = line.as_bytes().trim_ascii();
            if !first && !line.is_empty() {
                self.byte(b' ');
            }
            self.escaped(line);
            first = first && line.is_empty();
            lines = rest;
        }
    }

    const fn escaped(&mut self, mut text: &[u8]) {
        while let [byte, rest @ ..] = text {
            match escape_of(*byte) {
                Some((escape, len)) => self.bytes(escape.split_at(len).0),
                None => self.byte(*byte),
            }
            text = rest;
        }
    }

    const fn bytes(&mut self, mut bytes: &[u8]) {
        while let [byte, rest @ ..] = bytes {
            self.byte(*byte);
            bytes = rest;
        }
    }

    const fn byte(&mut self, byte: u8) {
        if self.len < self.out.len() {
            self.out[self.len] = byte;
        }
        self.len += 1;
    }
}

/// The digit of `number` at a place, counted from the right.
const fn digit(mut number: u64, mut place: u8) -> u8 {
    while place > 0 {
        number /= 10;
        place -= 1;
    }
    (number % 10) as u8
}

/// A decimal number, formatted without `core::fmt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decimal {
    /// Digits, point and sign, aligned to the right.
    text: [u8; DECIMAL],
    /// The index of the first character.
    start: u8,
}

/// A sign, 19 digits, and a zero and a point in front of those.
const DECIMAL: usize = 22;

impl Decimal {
    /// An empty text, for responses that contain no number.
    pub const EMPTY: Self = Self { text: [0; DECIMAL], start: DECIMAL as u8 };

    /// Formats `value` with its sign.
    pub fn new(value: i64) -> Self {
        Self::fixed(value, 0)
    }

    /// Formats `value` divided by ten to the power of `places`, at most 19: `fixed(215, 1)` is `21.5`.
    pub fn fixed(value: i64, places: u8) -> Self {
        let mut text = [0; DECIMAL];
        let mut start = DECIMAL as u8;
        let mut rest = value.unsigned_abs();
        let (mut digits, mut pointed) = (0, places == 0);
        for slot in text.iter_mut().rev() {
            *slot = if digits == places && !pointed {
                pointed = true;
                b'.'
            } else if digits <= places || rest != 0 {
                let digit = (rest % 10) as u8;
                rest /= 10;
                digits += 1;
                b'0' + digit
            } else if value < 0 {
                start -= 1;
                *slot = b'-';
                break;
            } else {
                break;
            };
            start -= 1;
        }
        Self { text, start }
    }

    /// Returns the number as text.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(usize::from(self.start)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HARD: &str = "quote \" backslash \\ line\n tab\t nul \0 esc \u{1b} \u{e9} \u{1f600}";

    #[test]
    fn escaped_at_run_time_and_at_compile_time_is_the_same_text() {
        const PARTS: &[Part<'_>] = &[Part::Text(HARD)];
        const JOINED: [u8; joined_len(PARTS)] = join(PARTS);
        let mut buffer = [0; 128];
        let mut out = Slice::new(&mut buffer);
        escape(HARD, &mut out).unwrap();
        assert_eq!(out.written(), JOINED);
        assert_eq!(
            core::str::from_utf8(&JOINED).unwrap(),
            "quote \\\" backslash \\\\ line\\n tab\\t nul \\u0000 esc \\u001b \u{e9} \u{1f600}"
        );
    }

    #[test]
    fn doc_lines_are_trimmed_and_joined_by_one_space() {
        const PARTS: &[Part<'_>] = &[Part::Doc(&[" First ", "", " second."])];
        const JOINED: [u8; joined_len(PARTS)] = join(PARTS);
        assert_eq!(JOINED, *b"First second.");
    }

    #[test]
    fn sink_takes_exactly_its_size_and_refuses_one_byte_more_whole() {
        let mut buffer = [0; 4];
        let mut out = Slice::new(&mut buffer);
        assert_eq!(out.put(b"abcd"), Ok(()));
        out.truncate(2);
        assert_eq!(out.put(b"xyz"), Err(Full));
        assert_eq!(out.written(), b"ab");
    }

    #[test]
    fn decimals_are_written_with_their_point_at_run_time_and_at_compile_time() {
        for (value, places, text) in [
            (215, 1, "21.5"),
            (-5, 2, "-0.05"),
            (0, 1, "0.0"),
            (7, 3, "0.007"),
            (100, 2, "1.00"),
            (i64::MIN, 19, "-0.9223372036854775808"),
            (i64::MAX, 1, "922337203685477580.7"),
            (-40, 0, "-40"),
        ] {
            assert_eq!(Decimal::fixed(value, places).as_bytes(), text.as_bytes());
            let joined: [u8; 24] = join(&[Part::Fixed(value, places)]);
            assert_eq!(&joined[..text.len()], text.as_bytes());
            assert!(joined[text.len()..].iter().all(|byte| *byte == 0));
        }
        let mut out = [0; 32];
        Joiner { out: &mut out, len: 0 }.parts(&[Part::Parts(&[Part::Choices(&["a\"", "b"]), Part::Number(-3)])]);
        assert!(out.starts_with(br#""a\"","b"-3"#));
    }

    #[test]
    fn decimals_are_written_with_their_sign() {
        for (value, text) in
            [(0, "0"), (-32700, "-32700"), (i64::MAX, "9223372036854775807"), (i64::MIN, "-9223372036854775808")]
        {
            assert_eq!(Decimal::new(value).as_bytes(), text.as_bytes());
        }
    }
}
