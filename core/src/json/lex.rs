//! The terminal symbols of RFC 8259: white space, strings, numbers and literals. Only `pull` calls
//! them.

use core::fmt;

/// A JSON syntax error: the broken rule and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Error {
    /// The broken rule.
    pub fault: Fault,
    /// Offset in bytes at which the error was found.
    pub at: usize,
}

/// The rules that a JSON text can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// The bytes are not UTF-8 (RFC 8259 §8.1).
    NotUtf8,
    /// The text ended inside a value.
    End,
    /// A byte that the grammar does not allow at its position.
    Unexpected,
    /// A raw control character in a string (RFC 8259 §7).
    Control,
    /// A backslash that does not begin a valid escape (RFC 8259 §7).
    Escape,
    /// A lone half of a surrogate pair: the string is not Unicode text (RFC 8259 §8.2).
    Surrogate,
    /// A number with a leading zero or with missing digits (RFC 8259 §6).
    Number,
    /// More than [`limits::DEPTH`](crate::limits::DEPTH) brackets are open.
    Depth,
    /// The value is followed by something other than white space.
    Trailing,
}

impl Fault {
    /// Returns the broken rule in a few words.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not UTF-8",
            Self::End => "it ends inside a value",
            Self::Unexpected => "unexpected byte",
            Self::Control => "raw control character in a string",
            Self::Escape => "unknown escape",
            Self::Surrogate => "half a surrogate pair",
            Self::Number => "malformed number",
            Self::Depth => "nested too deep",
            Self::Trailing => "something follows the value",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.fault.rule(), self.at)
    }
}

impl core::error::Error for Error {}

/// A position in a byte slice, which the terminals advance.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Cursor<'a> {
    pub(super) input: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// Returns the bytes between two offsets; empty if they are not valid offsets of this input.
    pub(super) fn between(&self, start: usize, end: usize) -> &'a [u8] {
        self.input.get(start..end).unwrap_or_default()
    }

    #[inline]
    pub(super) fn whitespace(&mut self) {
        // Most messages contain no white space here.
        if let Some(0..=b' ') = self.peek() {
            self.gap();
        }
    }

    #[cold]
    fn gap(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Steps over `byte` if it is the next one.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        if self.peek() == Some(byte) {
            self.at += 1;
            true
        } else {
            false
        }
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.eat(byte) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(super) fn fault(&self, fault: Fault) -> Error {
        Error { fault, at: self.at }
    }

    /// Returns the error for the byte at this position.
    pub(super) fn unexpected(&self) -> Error {
        self.fault(if self.at < self.input.len() { Fault::Unexpected } else { Fault::End })
    }

    pub(super) fn literal(&mut self, word: &[u8]) -> Result<(), Error> {
        for &byte in word {
            self.expect(byte)?;
        }
        Ok(())
    }

    /// Steps over a string, quotes included, and returns whether it contains escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Result<bool, Error> {
        self.expect(b'"')?;
        self.plain();
        if self.eat(b'"') { Ok(false) } else { self.escaped_string() }
    }

    fn plain(&mut self) {
        self.at += plain_prefix(self.input.get(self.at..).unwrap_or_default());
    }

    /// Steps over the rest of a string, from its first escape.
    #[cold]
    fn escaped_string(&mut self) -> Result<bool, Error> {
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fault(Fault::Control)),
                None => return Err(self.fault(Fault::End)),
            }
            self.plain();
        }
    }

    fn escape(&mut self) -> Result<(), Error> {
        self.expect(b'\\')?;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => self.unicode_escape(),
            Some(_) => Err(self.fault(Fault::Escape)),
            None => Err(self.fault(Fault::End)),
        }
    }

    // RFC 8259 §7: a character outside the basic multilingual plane is written as two escapes, a
    // high and a low surrogate. §8.2 calls a lone half "unpredictable". It cannot be echoed as
    // UTF-8, so it is refused here, once, for all readers.
    fn unicode_escape(&mut self) -> Result<(), Error> {
        match self.unit()? {
            0xD800..=0xDBFF => {
                if !(self.eat(b'\\') && self.peek() == Some(b'u')) {
                    return Err(self.fault(Fault::Surrogate));
                }
                match self.unit()? {
                    0xDC00..=0xDFFF => Ok(()),
                    _ => Err(self.fault(Fault::Surrogate)),
                }
            }
            0xDC00..=0xDFFF => Err(self.fault(Fault::Surrogate)),
            _ => Ok(()),
        }
    }

    /// Reads `uXXXX`.
    fn unit(&mut self) -> Result<u16, Error> {
        self.expect(b'u')?;
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(hex) else {
                return Err(self.fault(if self.peek().is_some() { Fault::Escape } else { Fault::End }));
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    // RFC 8259 §6: number = [ minus ] int [ frac ] [ exp ]
    #[inline]
    pub(super) fn number(&mut self) -> Result<(), Error> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        } else if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.fault(Fault::Number));
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false if self.at < self.input.len() => Err(self.fault(Fault::Number)),
            false => Err(self.fault(Fault::End)),
        }
    }
}

/// Returns the value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u16> {
    char::from(digit).to_digit(16).and_then(|value| u16::try_from(value).ok())
}

/// Counts the bytes at the front that need no further check: no quote, no backslash, no control
/// character.
///
/// Reads a word at a time, because most of a message is the inside of strings.
#[inline]
fn plain_prefix(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk::<WORD>() {
        let marks = special(usize::from_le_bytes(*word));
        if marks != 0 {
            return bytes.len() - rest.len() + (marks.trailing_zeros() / 8) as usize;
        }
        rest = behind;
    }
    bytes.len() - rest.len() + rest.iter().take_while(|&&byte| byte != b'"' && byte != b'\\' && byte >= 0x20).count()
}

/// Sets the top bit of the lowest byte in `word` that ends a plain run. The borrow of the
/// subtraction may mark bytes above that one wrongly; the caller does not look at them.
const fn special(word: usize) -> usize {
    let quote = word ^ (EACH * b'"' as usize);
    let backslash = word ^ (EACH * b'\\' as usize);
    let is_quote = quote.wrapping_sub(EACH) & !quote;
    let is_backslash = backslash.wrapping_sub(EACH) & !backslash;
    let is_control = word.wrapping_sub(EACH * 0x20) & !word;
    (is_quote | is_backslash | is_control) & (EACH << 7)
}

const WORD: usize = size_of::<usize>();
/// A one in each byte of a word.
const EACH: usize = usize::MAX / 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_byte_at_any_place_of_a_word_ends_the_plain_run_there() {
        for place in 0..3 * WORD {
            for byte in 0..=u8::MAX {
                let mut bytes = [b'x'; 3 * WORD];
                bytes[place] = byte;
                let ends = byte == b'"' || byte == b'\\' || byte < 0x20;
                assert_eq!(plain_prefix(&bytes), if ends { place } else { 3 * WORD }, "{byte:#x} at {place}");
            }
        }
    }
}
