//! A pull parser: one pass over a text, without recursion or copies. Everything it steps over is
//! fully checked.

use super::Text;
use super::lex::{Cursor, Error, Fault};
use crate::limits;

/// The six kinds of value (RFC 8259 §3); `true` and `false` count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, in any notation.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A byte range in a text. The caller passes the same text in again to read it. 32 bits suffice: no
/// body is larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    /// Returns the bytes of `text` in this range; empty if `text` is too short.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Number of bytes.
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether the range is empty.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A value found in a text: its kind and its span, without the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Item {
    kind: Kind,
    escaped: bool,
    span: Span,
}

impl Item {
    pub(super) fn container(kind: Kind, start: usize, end: usize) -> Self {
        Self { kind, escaped: false, span: Span::new(start, end) }
    }

    /// Returns the kind of the value.
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// Returns the span of the value, quotes or brackets included.
    pub const fn span(self) -> Span {
        self.span
    }

    /// Returns the span inside the quotes of a string; empty for other kinds.
    pub const fn inner(self) -> Span {
        match self.kind {
            Kind::String => Span { start: self.span.start.saturating_add(1), end: self.span.end.saturating_sub(1) },
            _ => Span { start: 0, end: 0 },
        }
    }

    /// Moves the span of an item that was found in the text of `outer` alone to the text that
    /// `outer` was found in.
    pub(crate) fn within(self, outer: Self) -> Self {
        let moved = |offset: u32| offset.saturating_add(outer.span.start);
        Self { span: Span { start: moved(self.span.start), end: moved(self.span.end) }, ..self }
    }

    /// Returns the value, read from the text in which it was found.
    pub fn of(self, text: &[u8]) -> Value<'_> {
        Value { kind: self.kind, escaped: self.escaped, raw: self.span.of(text) }
    }
}

/// A value with its bytes, borrowed from a text.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Value<'a> {
    kind: Kind,
    escaped: bool,
    raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// Reads a text that consists of one value.
    ///
    /// # Errors
    /// If the text is not exactly one JSON value, surrounded by nothing but white space.
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(text)?;
        let item = reader.skip()?;
        reader.end()?;
        Ok(item.of(text))
    }

    /// Returns the value of a text that was checked before: the [`raw`](Self::raw) bytes of another
    /// value. Its bytes are not checked again. Of any other text, the value is empty or broken, but
    /// reading it does not panic.
    pub fn of_checked(raw: &'a [u8]) -> Self {
        let kind = match raw.first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        };
        Self { kind, escaped: kind == Kind::String && raw.contains(&b'\\'), raw }
    }

    /// Returns the kind of the value.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the bytes as the sender wrote them, quotes or brackets included.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Returns the contents if this is a string.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn text(&self) -> Option<Text<'a>> {
        let (Kind::String, [b'"', inside @ .., b'"']) = (self.kind, self.raw) else {
            return None;
        };
        Some(Text::from_raw(inside, self.escaped))
    }

    /// Returns the value of the first member called `name`, if this is an object with such a
    /// member.
    pub fn member(&self, name: &str) -> Option<Value<'a>> {
        let mut reader = self.reader();
        reader.enter_object().ok()??;
        while let Some((key, item)) = reader.member().ok()? {
            if key.is(name) {
                return Some(item.of(self.raw));
            }
        }
        None
    }

    /// Returns the Boolean if this is one.
    pub fn bool(&self) -> Option<bool> {
        (self.kind == Kind::Bool).then_some(self.raw == b"true")
    }

    /// Returns a reader positioned before this value. Its UTF-8 was checked when the value was
    /// found and is not checked again.
    pub const fn reader(&self) -> Reader<'a> {
        Reader::checked(self.raw)
    }
}

/// A text without the byte order mark that it may begin with.
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// Pulls values out of a JSON text, front to back.
///
/// The small steps are always inlined: they return results of three words, and passing those took a
/// fifth of a request's instructions.
///
/// Everything already stepped over is well-formed; the rest is not checked yet. The whole text is
/// well-formed if [`end`](Reader::end) succeeds.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reader<'a> {
    cursor: Cursor<'a>,
    depth: u32,
    /// One bit per open bracket, the innermost lowest. A set bit is an object.
    objects: u64,
    /// Set while the innermost bracket has no entry yet, so that no comma is expected.
    fresh: bool,
}

impl<'a> Reader<'a> {
    /// Creates a reader at the start of `text`.
    ///
    /// # Errors
    /// [`Fault::NotUtf8`]: RFC 8259 §8.1 allows no other encoding. Later stages rely on this check.
    pub fn new(text: &'a [u8]) -> Result<Self, Error> {
        match core::str::from_utf8(text) {
            Ok(_) => Ok(Self::checked(text)),
            Err(error) => Err(Error { fault: Fault::NotUtf8, at: error.valid_up_to() }),
        }
    }

    /// A reader at the start of a text from outside, which may begin with a byte order mark. Offsets count from the mark.
    ///
    /// # Errors
    /// As of [`new`](Reader::new).
    // RFC 8259 §8.1: "implementations that parse JSON texts MAY ignore the presence of a byte order mark rather than treating it as an
    // error". Editors and shells of Windows write one.
    pub fn behind_mark(text: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Self::new(text)?;
        reader.cursor.at = text.len().saturating_sub(without_mark(text).len());
        Ok(reader)
    }

    const fn checked(text: &'a [u8]) -> Self {
        Self { cursor: Cursor { input: text, at: 0 }, depth: 0, objects: 0, fresh: false }
    }

    /// Returns the offset of the next byte.
    pub const fn position(&self) -> usize {
        self.cursor.at
    }

    /// Returns the kind of the next value, judged by its first byte; the bytes after it are not
    /// checked yet. `None` if no value begins here.
    pub fn kind(&mut self) -> Option<Kind> {
        self.cursor.whitespace();
        Some(match self.cursor.peek()? {
            b'n' => Kind::Null,
            b't' | b'f' => Kind::Bool,
            b'-' | b'0'..=b'9' => Kind::Number,
            b'"' => Kind::String,
            b'[' => Kind::Array,
            b'{' => Kind::Object,
            _ => return None,
        })
    }

    /// Enters the next value if it is an object and returns the offset at which it starts;
    /// otherwise `None`.
    ///
    /// # Errors
    /// [`Fault::Depth`] if too many brackets are open.
    pub fn enter_object(&mut self) -> Result<Option<usize>, Error> {
        self.enter(b'{')
    }

    /// Enters the next value if it is an array and returns the offset at which it starts; otherwise
    /// `None`.
    ///
    /// # Errors
    /// [`Fault::Depth`] if too many brackets are open.
    pub fn enter_array(&mut self) -> Result<Option<usize>, Error> {
        self.enter(b'[')
    }

    fn enter(&mut self, bracket: u8) -> Result<Option<usize>, Error> {
        self.cursor.whitespace();
        if self.cursor.peek() != Some(bracket) {
            return Ok(None);
        }
        let start = self.position();
        self.open(bracket)?;
        Ok(Some(start))
    }

    /// Returns the next key of the current object; the reader is then at its value. `None` at the
    /// end of the object.
    ///
    /// # Errors
    /// If the text is malformed.
    #[inline(always)]
    pub fn key(&mut self) -> Result<Option<Text<'a>>, Error> {
        if !self.entry()? {
            return Ok(None);
        }
        self.name().map(Some)
    }

    /// Reads the next member of the current object; `None` at the end of the object. It is a little slower than
    /// [`key`](Self::key) and [`skip`](Self::skip), but takes less code where it is called.
    ///
    /// # Errors
    /// If the text is malformed.
    #[inline(never)]
    pub fn member(&mut self) -> Result<Option<(Text<'a>, Item)>, Error> {
        match self.key()? {
            Some(key) => Ok(Some((key, self.skip()?))),
            None => Ok(None),
        }
    }

    /// Reads the next key like [`key`](Self::key), and returns its place.
    ///
    /// # Errors
    /// Where the text is malformed.
    pub fn key_place(&mut self) -> Result<Option<Item>, Error> {
        if !self.entry()? {
            return Ok(None);
        }
        let start = self.position();
        let escaped = self.cursor.string()?;
        let span = Span::new(start, self.position());
        self.cursor.whitespace();
        self.cursor.expect(b':')?;
        self.cursor.whitespace();
        Ok(Some(Item { kind: Kind::String, escaped, span }))
    }

    /// Returns whether the current array has another element; the reader is then at that element.
    /// `false` at the end of the array.
    ///
    /// # Errors
    /// If the text is malformed.
    pub fn element(&mut self) -> Result<bool, Error> {
        self.entry()
    }

    /// Steps over the next value, of any kind, and returns its kind and span.
    ///
    /// # Errors
    /// If the value is malformed.
    #[inline]
    pub fn skip(&mut self) -> Result<Item, Error> {
        self.cursor.whitespace();
        let start = self.position();
        let mut escaped = false;
        let kind = match self.cursor.peek() {
            Some(bracket @ (b'{' | b'[')) => {
                self.nested(bracket)?;
                if bracket == b'{' { Kind::Object } else { Kind::Array }
            }
            _ => self.scalar(&mut escaped)?,
        };
        Ok(Item { kind, escaped, span: Span::new(start, self.position()) })
    }

    /// Checks that only white space is left.
    ///
    /// # Errors
    /// [`Fault::Trailing`].
    pub fn end(&mut self) -> Result<(), Error> {
        self.cursor.whitespace();
        match self.cursor.peek() {
            None => Ok(()),
            Some(_) => Err(self.cursor.fault(Fault::Trailing)),
        }
    }

    /// Steps over one array or object. Counts the depth instead of recursing, because a device has
    /// little stack.
    fn nested(&mut self, bracket: u8) -> Result<(), Error> {
        let outside = self.depth;
        self.open(bracket)?;
        while self.depth > outside {
            if !self.entry()? {
                continue;
            }
            if self.objects & 1 == 1 {
                self.name()?;
            }
            match self.cursor.peek() {
                Some(bracket @ (b'{' | b'[')) => self.open(bracket)?,
                _ => {
                    self.scalar(&mut false)?;
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Result<(), Error> {
        if self.depth >= limits::DEPTH {
            return Err(self.cursor.fault(Fault::Depth));
        }
        self.cursor.at += 1;
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(bracket == b'{');
        self.fresh = true;
        Ok(())
    }

    /// Steps over the comma to the next entry of the innermost bracket, or over the closing
    /// bracket.
    #[inline(always)]
    fn entry(&mut self) -> Result<bool, Error> {
        self.cursor.whitespace();
        let close = if self.objects & 1 == 1 { b'}' } else { b']' };
        if self.cursor.eat(close) {
            self.depth = self.depth.saturating_sub(1);
            self.objects >>= 1;
            self.fresh = false;
            return Ok(false);
        }
        if !core::mem::replace(&mut self.fresh, false) {
            self.cursor.expect(b',')?;
            self.cursor.whitespace();
        }
        Ok(true)
    }

    /// Steps over a member's name and colon, up to its value.
    #[inline(always)]
    fn name(&mut self) -> Result<Text<'a>, Error> {
        let start = self.position() + 1;
        let escaped = self.cursor.string()?;
        let name = Text::from_raw(self.cursor.between(start, self.position().saturating_sub(1)), escaped);
        self.cursor.whitespace();
        self.cursor.expect(b':')?;
        self.cursor.whitespace();
        Ok(name)
    }

    #[inline(always)]
    fn scalar(&mut self, escaped: &mut bool) -> Result<Kind, Error> {
        match self.cursor.peek() {
            Some(b'"') => {
                *escaped = self.cursor.string()?;
                Ok(Kind::String)
            }
            Some(b'-' | b'0'..=b'9') => self.cursor.number().map(|()| Kind::Number),
            Some(b't') => self.cursor.literal(b"true").map(|()| Kind::Bool),
            Some(b'f') => self.cursor.literal(b"false").map(|()| Kind::Bool),
            Some(b'n') => self.cursor.literal(b"null").map(|()| Kind::Null),
            _ => Err(self.cursor.unexpected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(levels: usize) -> Result<Item, Error> {
        let mut text = [b'['; 2 * limits::DEPTH as usize + 2];
        text[levels..2 * levels].fill(b']');
        Reader::new(&text[..2 * levels])?.skip()
    }

    #[test]
    fn nesting_at_the_limit_passes_and_one_more_is_refused() {
        assert!(depth(limits::DEPTH as usize).is_ok());
        assert_eq!(depth(limits::DEPTH as usize + 1).map_err(|error| error.fault), Err(Fault::Depth));
    }

    #[test]
    fn kind_peeked_before_a_value_is_skipped_is_the_kind_of_that_value() {
        for text in ["null", "true", "false", "-1", "0.5", "\"a\"", "[1]", "{\"a\":1}", " \n[]"] {
            let mut reader = Reader::new(text.as_bytes()).unwrap();
            let kind = reader.kind();
            assert_eq!(kind, reader.skip().ok().map(Item::kind), "{text}");
            assert!(kind.is_some(), "{text}");
        }
        for text in ["", " ", "]", "}", ",", ":", "+1", "N", "x"] {
            assert_eq!(Reader::new(text.as_bytes()).unwrap().kind(), None, "{text}");
        }
    }

    #[test]
    fn value_of_a_text_that_was_checked_is_the_value_that_was_read() {
        for text in ["null", "true", "false", "-1", "0.5", "\"a\"", "\"a\\n\"", "[1]", "{\"a\":1}", "\"\""] {
            let (read, checked) = (Value::parse(text.as_bytes()).unwrap(), Value::of_checked(text.as_bytes()));
            assert_eq!((checked.kind(), checked.raw()), (read.kind(), read.raw()), "{text}");
            assert_eq!(checked.escaped, read.escaped, "{text}");
        }
        for text in ["", "{", "[", "\"", "-", "t", "x", "{\"a\"", "\"\\"] {
            let broken = Value::of_checked(text.as_bytes());
            assert!(broken.member("a").is_none() && broken.text().is_none(), "{text}");
            let _ = (broken.integer(), broken.bool());
        }
    }

    #[test]
    fn members_pulled_one_by_one_are_the_members_skipped() {
        let text = br#" {"a" : [1,{"b":2}] , "c":"d"} "#;
        let mut reader = Reader::new(text).unwrap();
        assert_eq!(reader.enter_object().unwrap(), Some(1));
        assert!(reader.key().unwrap().unwrap().is("a"));
        assert_eq!(reader.skip().unwrap().of(text).raw(), br#"[1,{"b":2}]"#);
        assert!(reader.key().unwrap().unwrap().is("c"));
        assert!(reader.skip().unwrap().of(text).text().unwrap().is("d"));
        assert!(reader.key().unwrap().is_none());
        assert_eq!(reader.end(), Ok(()));
    }
}
