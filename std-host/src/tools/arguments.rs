//! Arguments into Rust types. The reader is the engine's own, so a number is what it is on a device too: `1.0` is an
//! integer, `1.5` is not, and nothing is rounded, clamped, or read out of a string.

use super::schema::Schema;
use attache_core::json::{Kind, NotAnInteger, Reader, Text, Value};
use attache_core::tool::Arguments;
use core::fmt;
use serde::de::{self, DeserializeOwned, Error as _, IntoDeserializer, Unexpected, Visitor};

/// Reads the arguments of a call; the error is a sentence for the model.
pub(super) fn read<A: DeserializeOwned>(arguments: Arguments<'_>, schema: &Schema) -> Result<A, String> {
    if let Some(names) = &schema.names {
        known(arguments, names)?;
    }
    let empty = Value::parse(b"{}").map_err(|error| error.to_string())?;
    let value = arguments.value().unwrap_or(empty);
    A::deserialize(Node(value)).or_else(|_| {
        // Once more, now keeping track of the way to the fault: only mistakes pay for their explanation.
        serde_path_to_error::deserialize(Node(value)).map_err(|error| match error.path().to_string().as_str() {
            "." => format!("The arguments do not fit: {}", error.inner()),
            path => format!("Argument '{path}' does not fit: {}", error.inner()),
        })
    })
}

/// Checks that each argument is declared, and there once.
fn known(arguments: Arguments<'_>, names: &[String]) -> Result<(), String> {
    let Some(object) = arguments.value() else {
        return Ok(());
    };
    let mut seen = vec![false; names.len()];
    for (name, _) in Members::of(object) {
        match names.iter().zip(&mut seen).find(|(known, _)| name.is(known)) {
            None => {
                let name: String = name.chars().collect();
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(format!("This tool has no argument '{name}'; its arguments are: {known}"));
            }
            Some((name, true)) => return Err(format!("Argument '{name}' is there more than once")),
            Some((_, seen)) => *seen = true,
        }
    }
    Ok(())
}

/// The members of an object, or of nothing if the value is none.
struct Members<'a> {
    raw: &'a [u8],
    reader: Reader<'a>,
}

impl<'a> Members<'a> {
    fn of(object: Value<'a>) -> Self {
        let mut reader = object.reader();
        // The value was checked with the message it came in; should it not be an object, there is no key to come.
        let _ = reader.enter_object();
        Self { raw: object.raw(), reader }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Text<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.reader.key().ok()??;
        let value = self.reader.skip().ok()?.of(self.raw);
        Some((name, value))
    }
}

/// The elements of an array.
struct Elements<'a> {
    raw: &'a [u8],
    reader: Reader<'a>,
}

impl<'a> Elements<'a> {
    fn of(array: Value<'a>) -> Self {
        let mut reader = array.reader();
        let _ = reader.enter_array();
        Self { raw: array.raw(), reader }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if !self.reader.element().ok()? {
            return None;
        }
        Some(Node(self.reader.skip().ok()?.of(self.raw)))
    }
}

/// A value of the engine's reader, as serde sees it.
#[derive(Clone, Copy)]
struct Node<'de>(Value<'de>);

impl<'de> Node<'de> {
    fn expected<V: Visitor<'de>>(self, visitor: &V) -> Error {
        let text = self.text();
        let unexpected = match self.0.kind() {
            Kind::Null => Unexpected::Unit,
            Kind::Bool => Unexpected::Bool(self.0.bool() == Some(true)),
            Kind::Number => match self.float() {
                Ok(number) => Unexpected::Float(number),
                Err(_) => Unexpected::Other("number"),
            },
            Kind::String => Unexpected::Str(text.as_deref().unwrap_or_default()),
            Kind::Array => Unexpected::Seq,
            Kind::Object => Unexpected::Map,
        };
        Error::invalid_type(unexpected, visitor)
    }

    fn text(self) -> Option<String> {
        Some(self.0.text()?.chars().collect())
    }

    fn float(self) -> Result<f64, Error> {
        let written = core::str::from_utf8(self.0.raw()).unwrap_or_default();
        match written.parse() {
            Ok(number) if f64::is_finite(number) => Ok(number),
            _ => Err(Error(format!("{written} is out of range"))),
        }
    }

    fn visit_text<V: Visitor<'de>>(text: Text<'de>, visitor: V) -> Result<V::Value, Error> {
        match text.plain() {
            Some(text) => visitor.visit_borrowed_str(text),
            None => visitor.visit_string(text.chars().collect()),
        }
    }

    fn visit_integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.integer() {
            Ok(integer) => match (integer.to::<u64>(), integer.to::<i64>()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => Err(self.out_of_range()),
            },
            Err(NotAnInteger::OutOfRange) => Err(self.out_of_range()),
            Err(NotAnInteger::OtherType) => Err(self.expected(&visitor)),
        }
    }

    fn out_of_range(self) -> Error {
        Error(format!("{} is out of range", String::from_utf8_lossy(self.0.raw())))
    }

    fn visit_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut elements = de::value::SeqDeserializer::new(Elements::of(self.0));
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        Ok(value)
    }

    fn visit_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let pairs = Members::of(self.0).map(|(name, value)| (Name(name), Node(value)));
        let mut members = de::value::MapDeserializer::new(pairs);
        let value = visitor.visit_map(&mut members)?;
        members.end()?;
        Ok(value)
    }
}

/// Visitors of whole numbers: one way for all widths, the visitor knows its own bounds.
macro_rules! integers {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.visit_integer(visitor)
        }
    )* };
}

impl<'de> de::Deserializer<'de> for Node<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.kind() {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool => visitor.visit_bool(self.0.bool() == Some(true)),
            // A type that takes any number is told how it was written: with a fraction or exponent, it is a float.
            Kind::Number => match self.0.integer() {
                Ok(_) if !self.0.raw().iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
                    self.visit_integer(visitor)
                }
                _ => visitor.visit_f64(self.float()?),
            },
            Kind::String => Self::visit_text(self.0.text().unwrap_or_default(), visitor),
            Kind::Array => self.visit_seq(visitor),
            Kind::Object => self.visit_map(visitor),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.kind() {
            Kind::Number => visitor.visit_f64(self.float()?),
            _ => Err(self.expected(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.kind() {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    // A variant is its name, or an object whose only member is its name: serde's own representation.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.kind() {
            Kind::String => Name(self.0.text().unwrap_or_default()).deserialize_enum("", &[], visitor),
            Kind::Object => {
                let mut members = Members::of(self.0);
                match (members.next(), members.next()) {
                    (Some((name, value)), None) => visitor.visit_enum(Variant { name, value }),
                    _ => Err(Error::invalid_value(Unexpected::Map, &"an object with one member")),
                }
            }
            _ => Err(self.expected(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

impl<'de> IntoDeserializer<'de, Error> for Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The name of a member or of a variant.
#[derive(Clone, Copy)]
struct Name<'de>(Text<'de>);

impl<'de> de::Deserializer<'de> for Name<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        Node::visit_text(self.0, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let name: String = self.0.chars().collect();
        visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(name))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Name<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// `{"name": value}` as a variant of an enum.
struct Variant<'de> {
    name: Text<'de>,
    value: Value<'de>,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Node<'de>;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Node<'de>), Error> {
        Ok((seed.deserialize(Name(self.name))?, Node(self.value)))
    }
}

impl<'de> de::VariantAccess<'de> for Node<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.0.kind() {
            Kind::Null => Ok(()),
            _ => Err(Error("this variant has no value".to_owned())),
        }
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self, visitor)
    }
}

/// Why a value does not fit a type.
#[derive(Debug)]
struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Off,
        Level(u8),
        Pair(i8, String),
        Named { x: f64 },
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Tagged {
        Point { x: i32, y: f32 },
    }

    fn from<T: DeserializeOwned>(json: &str) -> Result<T, String> {
        T::deserialize(Node(Value::parse(json.as_bytes()).unwrap())).map_err(|error| error.0)
    }

    /// What serde_json makes of a text, we make of it; where the two part ways is in the test below.
    fn same_as_serde_json<T: DeserializeOwned + PartialEq + fmt::Debug>(json: &str) {
        assert_eq!(from::<T>(json).ok(), serde_json::from_str::<T>(json).ok(), "{json}");
    }

    #[test]
    fn values_become_what_serde_json_makes_of_them() {
        same_as_serde_json::<Mode>(r#""off""#);
        same_as_serde_json::<Mode>(r#""o\u0066f""#);
        same_as_serde_json::<Mode>(r#"{"level":7}"#);
        same_as_serde_json::<Mode>(r#"{"level":256}"#);
        same_as_serde_json::<Mode>(r#"{"pair":[-1,"a\n"]}"#);
        same_as_serde_json::<Mode>(r#"{"named":{"x":1}}"#);
        same_as_serde_json::<Mode>(r#"{"level":7,"off":null}"#);
        same_as_serde_json::<Mode>(r#"{"off":null}"#);
        same_as_serde_json::<Mode>("{}");
        same_as_serde_json::<Tagged>(r#"{"y":1.5,"kind":"point","x":-3}"#);
        same_as_serde_json::<serde_json::Value>(
            r#"{"a":[1,-2,3.5,1e3,"é\u00e9\ud83d\ude00",null,true,{}],"b":{"c":[]}}"#,
        );
        same_as_serde_json::<Vec<Option<u64>>>("[1,null,18446744073709551615]");
        same_as_serde_json::<Vec<Option<u64>>>("[1,-1]");
        same_as_serde_json::<(bool, char)>(r#"[true,"x"]"#);
        same_as_serde_json::<(bool, char)>(r#"[true,"x",1]"#);
        same_as_serde_json::<std::collections::BTreeMap<String, f64>>(r#"{"a":1,"b":2.5}"#);
        same_as_serde_json::<bool>("1");
        same_as_serde_json::<String>("1");
        same_as_serde_json::<f64>(r#""1""#);
        same_as_serde_json::<f64>("1e400");
    }

    #[test]
    fn whole_numbers_are_integers_however_written_and_fractions_are_not() {
        assert_eq!(from::<i64>("1.0"), Ok(1));
        assert_eq!(from::<u8>("2e1"), Ok(20));
        assert!(from::<i64>("1.5").is_err());
        assert!(from::<i64>("1e30").is_err());
        assert!(from::<i64>("9223372036854775808").is_err());
    }
}
