//! The pull reader: one pass over a text, no recursion, no copy. What it steps over is fully checked.

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
    /// Any number, as it is written.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A range of bytes of a text that is handed in again when it is read. 32 bits: no body is larger.
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

    /// The bytes of `text` at this place; empty where `text` does not reach that far.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Number of bytes.
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether it covers nothing.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A value found in a text: its kind and its place, without the bytes.
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

    /// What kind of value it is.
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// Where the value stands, quotes or brackets included.
    pub const fn span(self) -> Span {
        self.span
    }

    /// Where the inside of a string stands; empty for other kinds.
    pub const fn inner(self) -> Span {
        match self.kind {
            Kind::String => Span { start: self.span.start.saturating_add(1), end: self.span.end.saturating_sub(1) },
            _ => Span { start: 0, end: 0 },
        }
    }

    /// The same place in the text that `outer` was found in, where this was found in the text of `outer` alone.
    pub(crate) fn within(self, outer: Self) -> Self {
        let moved = |offset: u32| offset.saturating_add(outer.span.start);
        Self { span: Span { start: moved(self.span.start), end: moved(self.span.end) }, ..self }
    }

    /// The value itself, in the text it was found in.
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
    /// Reads a whole text that holds one value.
    ///
    /// # Errors
    /// Where the text is not one JSON value with nothing but white space around it.
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(text)?;
        let item = reader.skip()?;
        reader.end()?;
        Ok(item.of(text))
    }

    /// What kind of value it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The bytes as they were written, quotes or brackets included.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The contents, if this is a string.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn text(&self) -> Option<Text<'a>> {
        let (Kind::String, [b'"', inside @ .., b'"']) = (self.kind, self.raw) else {
            return None;
        };
        Some(Text::from_raw(inside, self.escaped))
    }

    /// The value of the first member with this name, if this is an object that has one.
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

    /// The truth value, if this is one.
    pub fn bool(&self) -> Option<bool> {
        (self.kind == Kind::Bool).then_some(self.raw == b"true")
    }

    /// A reader that stands in front of this value. The bytes were checked when the value was found, so no second
    /// look is taken at their encoding.
    pub const fn reader(&self) -> Reader<'a> {
        Reader::checked(self.raw)
    }
}

/// Pulls values out of a JSON text, front to back.
///
/// The small steps are always inlined: most of what they would hand to each other are results of three words, and a fifth
/// of a request's instructions went into that.
///
/// What has been stepped over is well-formed; what lies ahead is not yet known. A whole text is good when
/// [`end`](Reader::end) says so.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reader<'a> {
    cursor: Cursor<'a>,
    depth: u32,
    /// One bit an open bracket, the innermost lowest: set for an object.
    objects: u64,
    /// Set while the innermost bracket has no entry yet, so no comma is due.
    fresh: bool,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `text`.
    ///
    /// # Errors
    /// [`Fault::NotUtf8`]: RFC 8259 §8.1 allows no other encoding, and nobody behind checks again.
    pub fn new(text: &'a [u8]) -> Result<Self, Error> {
        match core::str::from_utf8(text) {
            Ok(_) => Ok(Self::checked(text)),
            Err(error) => Err(Error { fault: Fault::NotUtf8, at: error.valid_up_to() }),
        }
    }

    const fn checked(text: &'a [u8]) -> Self {
        Self { cursor: Cursor { input: text, at: 0 }, depth: 0, objects: 0, fresh: false }
    }

    /// Offset of the next byte.
    pub const fn position(&self) -> usize {
        self.cursor.at
    }

    /// The kind of the value that stands next, judged by its first byte: nothing behind that byte is checked yet. `None`
    /// if no value begins there.
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

    /// Steps into the object that stands next and answers where it starts; `None` if something else stands there.
    ///
    /// # Errors
    /// [`Fault::Depth`] if too many brackets are open.
    pub fn enter_object(&mut self) -> Result<Option<usize>, Error> {
        self.enter(b'{')
    }

    /// Steps into the array that stands next and answers where it starts; `None` if something else stands there.
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

    /// The next key of the object the reader stands in, with its value next; `None` when the object has ended.
    ///
    /// # Errors
    /// Where the text is malformed.
    #[inline(always)]
    pub fn key(&mut self) -> Result<Option<Text<'a>>, Error> {
        if !self.entry()? {
            return Ok(None);
        }
        self.name().map(Some)
    }

    /// The next member of the object the reader stands in; `None` when the object has ended. It takes a little longer than
    /// [`key`](Reader::key) and [`skip`](Reader::skip), and less room where it is called.
    ///
    /// # Errors
    /// Where the text is malformed.
    #[inline(never)]
    pub fn member(&mut self) -> Result<Option<(Text<'a>, Item)>, Error> {
        match self.key()? {
            Some(key) => Ok(Some((key, self.skip()?))),
            None => Ok(None),
        }
    }

    /// Whether the array the reader stands in has another element, which is then next; `false` when it has ended.
    ///
    /// # Errors
    /// Where the text is malformed.
    pub fn element(&mut self) -> Result<bool, Error> {
        self.entry()
    }

    /// Steps over the next value, whatever it is, and says what was there.
    ///
    /// # Errors
    /// Where the value is malformed.
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

    /// Checks that nothing but white space is left.
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

    /// Steps over one array or object. Depth is counted, not recursed: the stack belongs to the device.
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

    /// Steps to the next entry of the innermost bracket, over the comma; or over the closing bracket.
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
    fn value_looked_at_before_it_is_skipped_has_the_kind_it_turns_out_to_have() {
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
