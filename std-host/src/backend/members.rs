//! The members of a JSON object in their original order, with values as they were written.

use core::fmt;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The members of an object. For a repeated name, the last value is used, as in most JSON readers.
#[derive(Clone, Debug, Default)]
pub(super) struct Members(pub(super) Vec<(String, Box<RawValue>)>);

impl Members {
    pub(super) fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Reads the members of an object, also those with the same name.
    pub(super) fn read_all(json: &str) -> Result<Vec<(String, Box<RawValue>)>, serde_json::Error> {
        serde_json::from_str::<AllMembers>(json).map(|all| all.0)
    }

    pub(super) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The member `name`, if it is a string.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(place).1)
    }

    fn set(&mut self, name: String, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    /// Prints the members of a JSON object, separated by commas.
    pub(super) fn print<'m>(members: impl IntoIterator<Item = &'m (String, Box<RawValue>)>) -> String {
        let print =
            |(name, value): &(String, Box<RawValue>)| format!("{}:{}", Value::from(name.as_str()), one_line(value));
        members.into_iter().map(print).collect::<Vec<_>>().join(",")
    }
}

/// Puts a value on one line, because a line feed would end a line of standard output, or of an
/// event stream.
pub(super) fn one_line(value: &RawValue) -> String {
    // Control characters inside of a JSON string are escaped, so these characters are white space.
    value.get().replace(['\n', '\r'], " ")
}

/// The members of an object, also those with the same name.
struct AllMembers(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for AllMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = AllMembers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AllMembers, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(AllMembers(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Self::default();
        for (name, value) in AllMembers::deserialize(deserializer)?.0 {
            members.set(name, value);
        }
        Ok(members)
    }
}
