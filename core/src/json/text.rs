//! The contents of a string, compared and read without a buffer for the unescaped text.

use super::lex::hex;
use super::write::Full;

/// The inside of a string of a checked text. Comparison resolves escapes: `"\u006dethod"` equals
/// `method`. The default is the empty text.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(super) const fn from_raw(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// Returns the bytes between the quotes as the sender wrote them, escapes included. They can be
    /// put between quotes again.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Returns the text as a borrowed string if it was written without escapes.
    pub fn plain(&self) -> Option<&'a str> {
        if self.escaped { None } else { core::str::from_utf8(self.raw).ok() }
    }

    /// Iterates over the characters of the text, escapes resolved.
    pub fn chars(&self) -> Chars<'a> {
        Chars { rest: core::str::from_utf8(self.raw).unwrap_or_default().chars(), escaped: self.escaped }
    }

    /// Iterates over the UTF-8 bytes of the text, escapes resolved.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        self.chars().flat_map(|char| {
            let (bytes, len) = utf8(char);
            bytes.into_iter().take(len)
        })
    }

    /// Whether the text equals `other`.
    #[cfg_attr(not(target_os = "none"), inline)]
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn is(&self, other: &str) -> bool {
        if self.escaped { self.means(other) } else { same(self.raw, other.as_bytes()) }
    }

    #[cold]
    fn means(&self, other: &str) -> bool {
        self.chars().eq(other.chars())
    }

    /// Returns the index of this text in a list of names.
    pub fn position(&self, names: &[&str]) -> Option<usize> {
        // The lengths are compared first, because a call for each name takes longer.
        names.iter().position(|name| (self.escaped || self.raw.len() == name.len()) && self.is(name))
    }

    /// Writes the unescaped text to the front of `buffer`.
    ///
    /// # Errors
    /// [`Full`] if the text does not fit; it is never truncated.
    pub fn copy_to<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b str, Full> {
        let mut used = 0;
        for byte in self.bytes() {
            *buffer.get_mut(used).ok_or(Full)? = byte;
            used += 1;
        }
        buffer.get(..used).and_then(|text| core::str::from_utf8(text).ok()).ok_or(Full)
    }
}

/// Whether two texts are the same. The comparison of the library reads bytes on a device; this one
/// reads words, because most of the texts that are compared are equal.
#[cfg(target_os = "none")]
fn same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<4>(), other.as_chunks::<4>());
    let word = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
    one.len() == other.len()
        && words.iter().zip(other_words).all(|(one, other)| word(one) == word(other))
        && rest.iter().zip(other_rest).all(|(one, other)| one == other)
}

#[cfg(not(target_os = "none"))]
fn same(one: &[u8], other: &[u8]) -> bool {
    one == other
}

/// Encodes a character as UTF-8; also returns how many of the bytes count.
///
/// `char::encode_utf8` does the same into a slice and checks the slice's length. Where that call is
/// not inlined, the check can panic.
const fn utf8(char: char) -> ([u8; 4], usize) {
    let code = char as u32;
    let [a, b, c, d] = [(code >> 18) as u8, (code >> 12 & 0x3F) as u8, (code >> 6 & 0x3F) as u8, (code & 0x3F) as u8];
    match char.len_utf8() {
        1 => ([code as u8, 0, 0, 0], 1),
        2 => ([0xC0 | c, 0x80 | d, 0, 0], 2),
        3 => ([0xE0 | b, 0x80 | c, 0x80 | d, 0], 3),
        _ => ([0xF0 | a, 0x80 | b, 0x80 | c, 0x80 | d], 4),
    }
}

/// The characters of a [`Text`], escapes resolved.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Chars<'a> {
    rest: core::str::Chars<'a>,
    escaped: bool,
}

impl<'a> Chars<'a> {
    /// Returns the text between this position and `end`, a clone of this iterator that has
    /// advanced.
    pub(crate) fn up_to(&self, end: &Self) -> Text<'a> {
        let from = self.rest.as_str();
        let len = from.len().saturating_sub(end.rest.as_str().len());
        Text { raw: from.as_bytes().get(..len).unwrap_or_default(), escaped: self.escaped }
    }

    fn unit(&mut self) -> Option<u16> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = u8::try_from(self.rest.next()?).ok().and_then(hex)?;
            unit = unit << 4 | digit;
        }
        Some(unit)
    }

    // The reader accepts only whole surrogate pairs, so a checked text has no second unit that does
    // not match.
    fn unicode(&mut self) -> Option<char> {
        let first = self.unit()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first.into());
        }
        self.rest.next()?;
        self.rest.next()?;
        let second = self.unit()?;
        char::decode_utf16([first, second]).next()?.ok()
    }
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.rest.next()? {
            '\\' => match self.rest.next()? {
                'b' => Some('\u{8}'),
                'f' => Some('\u{c}'),
                'n' => Some('\n'),
                'r' => Some('\r'),
                't' => Some('\t'),
                'u' => self.unicode(),
                same => Some(same),
            },
            plain => Some(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::*;

    fn text(json: &str) -> Text<'_> {
        Value::parse(json.as_bytes()).unwrap().text().unwrap()
    }

    #[test]
    fn escaped_texts_are_compared_with_their_escapes_resolved() {
        assert!(text(r#""\u006dethod""#).is("method"));
        assert!(text(r#""a\"\\\/\b\f\n\r\t""#).is("a\"\\/\u{8}\u{c}\n\r\t"));
        assert!(text(r#""\ud83d\ude00 \u0000""#).is("\u{1f600} \0"));
        assert!(!text(r#""a\n""#).is("a\\n"));
    }

    #[test]
    fn every_character_is_encoded_as_the_standard_library_does() {
        for char in (0..=0x0010_FFFF).filter_map(char::from_u32) {
            let (bytes, len) = utf8(char);
            assert_eq!(&bytes[..len], char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    #[test]
    fn text_longer_than_the_buffer_is_refused_not_cut() {
        let smile = text(r#""ab\ud83d\ude00""#);
        assert_eq!(smile.copy_to(&mut [0; 6]), Ok("ab\u{1f600}"));
        assert_eq!(smile.copy_to(&mut [0; 5]), Err(Full));
    }
}
