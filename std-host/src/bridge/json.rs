//! JSON texts made of parts that stay as they were written.

use crate::client::RawJson;
use serde_json::value::RawValue;

/// An object of these members.
pub(super) fn object(members: impl IntoIterator<Item = (String, RawJson)>) -> RawJson {
    let members: Vec<String> =
        members.into_iter().map(|(name, value)| format!("{}:{value}", RawJson::text(&name))).collect();
    // Parts that were checked make a text that is JSON.
    RawJson::parse(format!("{{{}}}", members.join(","))).unwrap_or_else(|_| RawJson::empty_object())
}

/// An array of these elements.
pub(super) fn array(elements: impl IntoIterator<Item = RawJson>) -> RawJson {
    let elements: Vec<String> = elements.into_iter().map(|element| element.to_string()).collect();
    RawJson::parse(format!("[{}]", elements.join(","))).unwrap_or_else(|_| RawJson::empty_object())
}

/// The object with one member changed by `change`. An object without this member stays as it is.
pub(super) fn with(value: &RawJson, name: &str, change: impl Fn(&RawJson) -> RawJson) -> RawJson {
    object(value.members().map(|(known, value)| {
        let value = if known == name { change(&value) } else { value };
        (known, value)
    }))
}

/// The same text for serde.
pub(super) fn raw_value(json: &RawJson) -> Option<Box<RawValue>> {
    RawValue::from_string(json.as_str().to_owned()).ok()
}

/// The text of a member that is a string.
pub(super) fn text(value: &RawJson, name: &str) -> Option<String> {
    value.member(name)?.string()
}
