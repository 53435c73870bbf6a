//! The members of a JSON object in their original order, with values as they were written.

use core::fmt;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// A member of an object: its name, and its value as it was written.
pub(super) type Member<'t> = (Cow<'t, str>, &'t str);

/// Returns the members of a checked object, also those with the same name. `None` for another
/// value, and for an object that is nested deeper than a message may be.
pub(super) fn members(object: attache_core::json::Value<'_>) -> Option<Vec<Member<'_>>> {
    let text = object.raw();
    let mut reader = object.reader();
    reader.enter_object().ok()??;
    let mut found = Vec::with_capacity(FEW);
    while let Some((name, value)) = reader.member().ok()? {
        let name = name.plain().map_or_else(|| Cow::Owned(name.chars().collect()), Cow::Borrowed);
        found.push((name, core::str::from_utf8(value.span().of(text)).ok()?));
    }
    reader.end().ok()?;
    Some(found)
}

/// Leaves one member of each name: in the place of the first with the value of the last, as most
/// JSON readers do.
pub(super) fn distinct(members: Vec<Member<'_>>) -> Vec<Member<'_>> {
    let mut left: Vec<Member<'_>> = Vec::with_capacity(members.len());
    // A peer may send very many, so they are not all compared with each other.
    let mut places = HashMap::new();
    for (name, value) in members {
        let known = match left.len() {
            0..FEW => left.iter().position(|(known, _)| *known == name),
            FEW => {
                places = left.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
                places.get(&name).copied()
            }
            _ => places.get(&name).copied(),
        };
        match known.and_then(|place| left.get_mut(place)) {
            Some(known) => known.1 = value,
            None => {
                if left.len() >= FEW {
                    places.insert(name.clone(), left.len());
                }
                left.push((name, value));
            }
        }
    }
    left
}

/// As many members as most results have.
const FEW: usize = 8;

/// Appends members to a text, on one line and separated by commas.
pub(super) fn print<'m>(members: impl IntoIterator<Item = &'m Member<'m>>, out: &mut String) {
    for (name, value) in members {
        out.push_str(if out.is_empty() { "" } else { "," });
        let is_plain = |byte: u8| !matches!(byte, b'"' | b'\\' | 0..=0x1F);
        match name.bytes().all(is_plain) {
            true => out.extend(["\"", name, "\":"]),
            false => out.extend([&*Value::from(&**name).to_string(), ":"]),
        }
        // Control characters inside of a JSON string are escaped, so line ends are white space.
        for (number, line) in value.split(['\n', '\r']).enumerate() {
            out.extend([if number > 0 { " " } else { "" }, line]);
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use attache_core::json::Value as Json;

    fn printed(json: &str) -> Option<String> {
        let mut out = String::new();
        print(&distinct(members(Json::of_checked(json.as_bytes()))?), &mut out);
        Some(out)
    }

    #[test]
    fn members_are_printed_as_they_were_written_on_one_line_and_the_last_of_a_name_counts() {
        for (json, expected) in [
            (r#"{}"#, Some("")),
            (r#"{"a":1E2,"b":[ 12345678901234567890 ]}"#, Some(r#""a":1E2,"b":[ 12345678901234567890 ]"#)),
            ("{\n\"a\" :\r\n{\n} }", Some("\"a\":{ }")),
            (r#"{"a":1,"b":2,"a":3}"#, Some(r#""a":3,"b":2"#)),
            (r#"{"\u0061":1,"a":3}"#, Some(r#""a":3"#)),
            (r#"{"a\"\n":"\n"}"#, Some(r#""a\"\n":"\n""#)),
            ("[1]", None),
            (r#"{"a":1"#, None),
            (r#"{"a":1} x"#, None),
        ] {
            assert_eq!(printed(json).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn object_of_a_peer_with_very_many_members_is_read_in_a_moment() {
        let member = |number: usize| format!("\"{number}\":1");
        let all: Vec<String> = (0..300_000).chain(0..300_000).map(member).collect();
        let printed = printed(&format!("{{{}}}", all.join(","))).expect("an object");
        assert_eq!(printed, all[..300_000].join(","));
    }
}
