//! JSON objects as two parsers could read them.

use core::fmt;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in their order, with their repetitions.
pub(super) struct Members<'a>(Vec<(String, &'a RawValue)>);

/// Two parsers may read an object in two ways: a member is there twice, or in another case than it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ambiguous;

impl<'a> Members<'a> {
    /// Reads an object.
    pub(super) fn of(json: &'a RawValue) -> Option<Self> {
        serde_json::from_str(json.get()).ok()
    }

    /// Returns the member of this name, which is in lower case or in camel case.
    pub(super) fn get(&self, name: &str) -> Result<Option<&'a RawValue>, Ambiguous> {
        // Parsers of Go and .NET take `Method` for `method`.
        let folded = name.to_lowercase();
        let mut found = self.0.iter().filter(|(own, _)| own == name || own.to_lowercase() == folded);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((own, value)), None) if own == name => Ok(Some(value)),
            _ => Err(Ambiguous),
        }
    }

    /// Returns the member of this name if it is a text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Ambiguous> {
        Ok(self.get(name)?.and_then(|value| serde_json::from_str(value.get()).ok()))
    }

    /// Writes the object with another value of one member.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let member = |(own, old): &(String, &RawValue)| {
            let value = if own == name { value } else { old.get() };
            format!("{}:{value}", serde_json::Value::from(own.as_str()))
        };
        format!("{{{}}}", self.0.iter().map(member).collect::<Vec<_>>().join(","))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Reads an array.
pub(super) fn items(json: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_that_is_there_twice_or_in_another_case_is_ambiguous() {
        for (json, expected) in [
            (r#"{"name":"a"}"#, Ok(Some("a".to_owned()))),
            (r#"{"n\u0061me":"a"}"#, Ok(Some("a".to_owned()))),
            (r#"{"other":"a"}"#, Ok(None)),
            (r#"{"name":1}"#, Ok(None)),
            (r#"{"name":"a","name":"a"}"#, Err(Ambiguous)),
            (r#"{"name":"a","Name":"b"}"#, Err(Ambiguous)),
            (r#"{"NAME":"a"}"#, Err(Ambiguous)),
            (r#"{"name":"a","n\u0061me":"b"}"#, Err(Ambiguous)),
        ] {
            let raw: &RawValue = serde_json::from_str(json).expect("JSON");
            assert_eq!(Members::of(raw).expect("an object").text("name"), expected, "{json}");
        }
    }
}
