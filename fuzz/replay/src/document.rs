//! A whole JSON document with every member in order, repeated ones included, built by serde_json or
//! by our reader.

use attache_core::json::{Error, Kind, Reader, Value};
use core::fmt;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Document {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Document>),
    Object(Vec<(String, Document)>),
}

/// A number as serde_json distinguishes them: exact if it fits into 64 bits, otherwise a double.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Whole(i128),
    Double(f64),
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one == other,
            // Compares bit by bit, so that a lost sign of zero is noticed.
            (Self::Double(one), Self::Double(other)) => one.to_bits() == other.to_bits(),
            _ => false,
        }
    }
}

impl Number {
    fn read(raw: &str) -> Self {
        match (raw.parse::<u64>(), raw.parse::<i64>()) {
            (Ok(whole), _) => Self::Whole(whole.into()),
            (_, Ok(whole)) if whole != 0 => Self::Whole(whole.into()),
            _ => Self::Double(raw.parse().expect("RFC 8259 numbers are Rust floats")),
        }
    }
}

impl Document {
    /// Reads `text` with serde_json.
    pub(crate) fn theirs(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Reads `text` with our reader, member by member. `each` is called with every scalar on the
    /// way.
    pub(crate) fn ours(text: &[u8], mut each: impl FnMut(Value<'_>)) -> Result<Self, Error> {
        let mut reader = Reader::new(text)?;
        let document = pull(&mut reader, text, &mut each);
        assert!(reader.position() <= text.len(), "the reader has left its input");
        let document = document?;
        reader.end()?;
        assert_eq!(reader.position(), text.len());
        Ok(document)
    }

    /// Returns the last member with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Returns the value at the end of a path of names.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |inner, name| inner.get(name))
    }

    pub(crate) fn string(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn whole(&self) -> Option<i128> {
        match self {
            Self::Number(Number::Whole(whole)) => Some(*whole),
            _ => None,
        }
    }
}

// The engine limits the depth, so this test code may recurse.
fn pull(reader: &mut Reader<'_>, text: &[u8], each: &mut impl FnMut(Value<'_>)) -> Result<Document, Error> {
    if reader.enter_object()?.is_some() {
        let mut members = Vec::new();
        while let Some(key) = reader.key()? {
            members.push((key.chars().collect(), pull(reader, text, each)?));
        }
        return Ok(Document::Object(members));
    }
    if reader.enter_array()?.is_some() {
        let mut elements = Vec::new();
        while reader.element()? {
            elements.push(pull(reader, text, each)?);
        }
        return Ok(Document::Array(elements));
    }
    let value = reader.skip()?.of(text);
    each(value);
    Ok(match value.kind() {
        Kind::Null => Document::Null,
        Kind::Bool => Document::Bool(value.bool().expect("a bool")),
        Kind::Number => Document::Number(Number::read(str::from_utf8(value.raw()).expect("digits"))),
        Kind::String => Document::String(value.text().expect("a string").chars().collect()),
        Kind::Array | Kind::Object => panic!("a container that could not be entered"),
    })
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whatever)
    }
}

struct Whatever;

impl<'de> Visitor<'de> for Whatever {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
        Ok(Document::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
        Ok(Document::Number(Number::Whole(value.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
        Ok(Document::Number(Number::Whole(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
        Ok(Document::Number(Number::Double(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Document, E> {
        Ok(Document::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Document, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Document::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Document, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Document::Object(object))
    }
}
