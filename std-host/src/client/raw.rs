//! JSON text in its original form: unknown members and the spelling of numbers are preserved.

use crate::sink::Growing;
use attache_core::client::{elements, members};
use attache_core::json::{Sink, Value, escape};
use bytes::Bytes;
use core::fmt;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A valid JSON text, byte by byte as it was received.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawJson(Bytes);

impl RawJson {
    /// Checks a JSON text.
    ///
    /// # Errors
    /// If the text is not JSON, or is nested deeper than 64 levels.
    pub fn parse(text: impl Into<Bytes>) -> Result<Self, InvalidJson> {
        let text = text.into();
        match Value::parse(&text) {
            Ok(value) => Ok(Self(text.slice_ref(value.raw()))),
            Err(error) => Err(InvalidJson(error.to_string())),
        }
    }

    /// Serializes a value as JSON text.
    ///
    /// # Errors
    /// If the value cannot be written as JSON.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, InvalidJson> {
        let text = serde_json::to_vec(value).map_err(|error| InvalidJson(error.to_string()))?;
        Self::parse(text)
    }

    /// Encodes a text as a JSON string.
    pub fn text(text: &str) -> Self {
        let mut out = Growing::unlimited().expect(text.len() + 2);
        // The buffer grows, so writing cannot fail.
        let _ = out.put(b"\"").and_then(|()| escape(text, &mut out)).and_then(|()| out.put(b"\""));
        Self(out.bytes.into())
    }

    /// `{}`
    pub const fn empty_object() -> Self {
        Self(Bytes::from_static(b"{}"))
    }

    /// A JSON text that was checked, without white space around it.
    pub(crate) const fn checked(text: Bytes) -> Self {
        Self(text)
    }

    /// A value from a body that was checked.
    pub(super) fn part(body: &Bytes, value: Value<'_>) -> Self {
        Self(body.slice_ref(value.raw()))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes of the JSON text.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Deserializes the text.
    ///
    /// # Errors
    /// If the text does not fit the type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }

    /// A member of an object.
    pub fn member(&self, name: &str) -> Option<Self> {
        self.value().member(name).map(|value| Self::part(&self.0, value))
    }

    /// Decodes a JSON string.
    pub fn string(&self) -> Option<String> {
        self.value().text().map(|text| text.chars().collect())
    }

    /// The members of an object, in order.
    pub fn members(&self) -> impl Iterator<Item = (String, Self)> {
        members(self.value()).map(|(name, value)| (name.chars().collect(), Self::part(&self.0, value)))
    }

    /// The elements of an array, in order.
    pub fn elements(&self) -> impl Iterator<Item = Self> {
        elements(self.value()).map(|value| Self::part(&self.0, value))
    }

    /// The value.
    pub(crate) fn value(&self) -> Value<'_> {
        Value::of_checked(&self.0)
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RawJson {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: serde_json::Value = self.read().map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}

/// A text that is not JSON, or a value that JSON cannot represent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidJson(String);

impl fmt::Display for InvalidJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not JSON: {}", self.0)
    }
}

impl core::error::Error for InvalidJson {}
