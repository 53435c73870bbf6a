//! Deserializes arguments into Rust types with the engine's own JSON reader, so that numbers mean
//! the same on a host and on a device: `1.0` is an integer, `1.5` is not, and nothing is rounded,
//! clamped, or read out of a string.

use super::schema::Schema;
use super::shortened::{Shortened, echoed};
use crate::limits;
use attache_core::json::{self, Kind as Json, NotAnInteger, Reader, Text, Value};
use attache_core::tool::{Arguments, Kind};
use core::fmt::{self, Write as _};
use serde::de::value::Error as Plain;
use serde::de::{self, DeserializeOwned, Error as _, IntoDeserializer, Unexpected, Visitor};

/// Reads the arguments of a tool or a prompt, as `of` says. The error is a sentence for the model.
pub(super) fn read<A: DeserializeOwned>(arguments: Arguments<'_>, schema: &Schema, of: Kind) -> Result<A, String> {
    if let Some(names) = &schema.names {
        known(arguments, names, of)?;
    }
    if let (Some(members), Some(value)) = (&schema.members, arguments.value()) {
        members.check(value)?;
    }
    let empty = Value::parse(b"{}").map_err(|error| error.to_string())?;
    let value = arguments.value().unwrap_or(empty);
    A::deserialize(Node(&mut Source::of(value))).or_else(|_| {
        // Reads once more, now keeping track of the path to the fault. Only invalid arguments pay
        // for their explanation.
        serde_path_to_error::deserialize(Node(&mut Source::of(value))).map_err(|error| {
            match error.path().to_string().as_str() {
                "." => format!("The arguments do not fit: {}", error.inner()),
                path => format!("Argument '{}' does not fit: {}", echoed(path.chars()), error.inner()),
            }
        })
    })
}

/// Reads a value that is not an argument. The error is a sentence for the peer.
pub(super) fn value_of<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    let value = Value::parse(json.as_bytes()).map_err(|error| error.to_string())?;
    serde_path_to_error::deserialize(Node(&mut Source::of(value))).map_err(|error| match error.path().to_string() {
        path if path == "." => error.inner().to_string(),
        path => format!("{}: {}", echoed(path.chars()), error.inner()),
    })
}

/// Checks that each argument is declared, and occurs only once.
fn known(arguments: Arguments<'_>, names: &[String], of: Kind) -> Result<(), String> {
    let Some(object) = arguments.value() else {
        return Ok(());
    };
    let mut seen = vec![false; names.len()];
    for (name, _) in Members::of(object) {
        match names.iter().zip(&mut seen).find(|(known, _)| name.is(known)) {
            None => {
                let name = echoed(name.chars());
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                let of = if of == Kind::Prompt { "prompt" } else { "tool" };
                return Err(format!("This {of} has no argument '{name}'; its arguments are: {known}"));
            }
            Some((name, true)) => return Err(format!("Argument '{name}' is there more than once")),
            Some((_, seen)) => *seen = true,
        }
    }
    Ok(())
}

/// The members of an object. Empty if the value is not an object.
struct Members<'a> {
    raw: &'a [u8],
    reader: Reader<'a>,
}

impl<'a> Members<'a> {
    fn of(object: Value<'a>) -> Self {
        let mut reader = object.reader();
        // The value was checked with its message. If it is not an object, `next` finds no key.
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

/// A text that is read once, from front to back. Each deserializer takes the next value from it.
#[derive(Clone)]
struct Source<'de> {
    text: &'de [u8],
    reader: Reader<'de>,
    /// Whether the last value that was passed to a type has been read to its end.
    done: bool,
}

impl<'de> Source<'de> {
    fn of(value: Value<'de>) -> Self {
        Self { text: value.raw(), reader: value.reader(), done: false }
    }

    /// Deserializes the next value.
    ///
    /// A type may leave its value unread, or ignore an error in the middle of it and use a default.
    /// Then the reader goes back and skips the value, so that the next one is found.
    fn give<S: de::DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let before = self.reader.clone();
        self.done = false;
        let given = seed.deserialize(Node(self))?;
        if !self.done {
            self.reader = before;
            self.take()?;
        }
        Ok(given)
    }

    /// Reads the next value as a whole.
    fn take(&mut self) -> Result<Value<'de>, Error> {
        let value = self.reader.skip()?.of(self.text);
        self.done = true;
        Ok(value)
    }

    /// Lets `visit` read the content of an array or object, and then reads the closing bracket.
    fn inside<T>(&mut self, visit: impl FnOnce(&mut Entries<'_, 'de>) -> Result<T, Error>) -> Result<T, Error> {
        let mut entries = Entries { source: self, ended: false };
        let visited = visit(&mut entries);
        // `done` now describes the last value inside the brackets, so it is reset.
        entries.source.done = false;
        let value = visited?;
        // A member of an object is counted like an element of an array.
        if entries.element()? {
            return Err(Error("too many elements or members".to_owned()));
        }
        self.done = true;
        Ok(value)
    }
}

/// The elements of an array, or the members of an object, during reading.
struct Entries<'s, 'de> {
    source: &'s mut Source<'de>,
    /// Whether the closing bracket was read. Reading on would read the text after it.
    ended: bool,
}

impl<'de> Entries<'_, 'de> {
    fn element(&mut self) -> Result<bool, Error> {
        self.ended = self.ended || !self.source.reader.element()?;
        Ok(!self.ended)
    }

    fn key(&mut self) -> Result<Option<Text<'de>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let key = self.source.reader.key()?;
        self.ended = key.is_none();
        Ok(key)
    }
}

impl<'de> de::SeqAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: de::DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if !self.element()? {
            return Ok(None);
        }
        self.source.give(seed).map(Some)
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S: de::DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        match self.key()? {
            Some(name) => seed.deserialize(Name(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: de::DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        self.source.give(seed)
    }
}

/// The next value, as a serde deserializer. Nested values share the same reader, so each byte is
/// read once, at any depth.
struct Node<'s, 'de>(&'s mut Source<'de>);

impl<'de> Node<'_, 'de> {
    fn kind(&mut self) -> Option<Json> {
        self.0.reader.kind()
    }

    /// Returns the error for a value of a type that `visitor` does not accept. Skips the value, for
    /// types that then use a default.
    fn expected<V: Visitor<'de>>(self, visitor: &V) -> Error {
        match self.0.take() {
            Ok(value) => expected(value, visitor),
            Err(error) => error,
        }
    }

    fn visit_integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visit_integer(self.0.take()?, visitor)
    }

    fn visit_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.reader.enter_array()?;
        self.0.inside(|elements| visitor.visit_seq(elements))
    }

    fn visit_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.reader.enter_object()?;
        self.0.inside(|members| visitor.visit_map(members))
    }
}

fn expected<'de, V: Visitor<'de>>(value: Value<'_>, visitor: &V) -> Error {
    let text = value.text().map(|text| echoed(text.chars()));
    let unexpected = match value.kind() {
        Json::Null => Unexpected::Unit,
        Json::Bool => Unexpected::Bool(value.bool() == Some(true)),
        Json::Number => match float(value) {
            Ok(number) => Unexpected::Float(number),
            Err(_) => Unexpected::Other("number"),
        },
        Json::String => Unexpected::Str(text.as_deref().unwrap_or_default()),
        Json::Array => Unexpected::Seq,
        Json::Object => Unexpected::Map,
    };
    Error::invalid_type(unexpected, visitor)
}

fn float(value: Value<'_>) -> Result<f64, Error> {
    let written = core::str::from_utf8(value.raw()).unwrap_or_default();
    match written.parse() {
        Ok(number) if f64::is_finite(number) => Ok(number),
        _ => Err(out_of_range(value)),
    }
}

fn visit_text<'de, V: Visitor<'de>>(text: Text<'de>, visitor: V) -> Result<V::Value, Error> {
    match text.plain() {
        Some(text) => visitor.visit_borrowed_str(text),
        None => visitor.visit_string(text.chars().collect()),
    }
}

fn visit_integer<'de, V: Visitor<'de>>(value: Value<'de>, visitor: V) -> Result<V::Value, Error> {
    match value.integer() {
        Ok(integer) => match (integer.to::<u64>(), integer.to::<i64>()) {
            (Some(number), _) => visitor.visit_u64(number),
            (None, Some(number)) => visitor.visit_i64(number),
            (None, None) => Err(out_of_range(value)),
        },
        Err(NotAnInteger::OutOfRange) => Err(out_of_range(value)),
        Err(NotAnInteger::OtherType) => Err(expected(value, &visitor)),
    }
}

fn out_of_range(value: Value<'_>) -> Error {
    let written = core::str::from_utf8(value.raw()).unwrap_or_default();
    Error(format!("{} is out of range", echoed(written.chars())))
}

/// Deserializers of integers. All widths share one implementation, because the visitor checks its
/// own range.
macro_rules! integers {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.visit_integer(visitor)
        }
    )* };
}

impl<'de> de::Deserializer<'de> for Node<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Some(Json::Array) => return self.visit_seq(visitor),
            Some(Json::Object) => return self.visit_map(visitor),
            _ => {}
        }
        let value = self.0.take()?;
        match value.kind() {
            Json::Bool => visitor.visit_bool(value.bool() == Some(true)),
            // Types that accept any number get a float for a number with a fraction or exponent,
            // and otherwise an integer. An integer beyond 64 bits is refused, because a float would
            // be a different number.
            Json::Number => match value.raw().iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
                true => visitor.visit_f64(float(value)?),
                false => visit_integer(value, visitor),
            },
            Json::String => visit_text(value.text().unwrap_or_default(), visitor),
            _ => visitor.visit_unit(),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_f32<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Some(Json::Number) => {
                let value = self.0.take()?;
                // The visitor narrows the number, and would turn one that is too large into
                // infinity.
                match float(value)? {
                    number if (number as f32).is_infinite() => Err(out_of_range(value)),
                    number => visitor.visit_f64(number),
                }
            }
            _ => Err(self.expected(&visitor)),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Some(Json::Number) => visitor.visit_f64(float(self.0.take()?)?),
            _ => Err(self.expected(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Some(Json::Null) => {
                self.0.take()?;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    // A variant is its name, or an object with one member of that name: serde's default
    // representation.
    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.kind() {
            Some(Json::String) => Name(self.0.take()?.text().unwrap_or_default()).deserialize_enum("", &[], visitor),
            Some(Json::Object) => {
                self.0.reader.enter_object()?;
                self.0.inside(|members| match members.key()? {
                    Some(name) => visitor.visit_enum(Variant { name, source: &mut *members.source }),
                    None => Err(Error::invalid_value(Unexpected::Map, &"an object with one member")),
                })
            }
            _ => Err(self.expected(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.take()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// The name of a member or of a variant.
#[derive(Clone, Copy)]
struct Name<'de>(Text<'de>);

impl<'de> de::Deserializer<'de> for Name<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visit_text(self.0, visitor)
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

/// `{"name": value}` as a variant of an enum.
struct Variant<'s, 'de> {
    name: Text<'de>,
    source: &'s mut Source<'de>,
}

impl<'s, 'de> de::EnumAccess<'de> for Variant<'s, 'de> {
    type Error = Error;
    type Variant = Node<'s, 'de>;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Node<'s, 'de>), Error> {
        Ok((seed.deserialize(Name(self.name))?, Node(self.source)))
    }
}

impl<'de> de::VariantAccess<'de> for Node<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.0.take()?.kind() {
            Json::Null => Ok(()),
            _ => Err(Error("this variant has no value".to_owned())),
        }
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.0.give(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self, visitor)
    }
}

/// The reason why a value does not fit a type.
#[derive(Debug)]
struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

impl From<json::Error> for Error {
    fn from(error: json::Error) -> Self {
        Self(error.to_string())
    }
}

/// The sentences are serde's. Only the text of the caller that they quote is shortened.
impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let mut reason = Shortened { text: String::new(), room: limits::REASON };
        // Writing stops with an error when there is no more room, which bounds the work.
        let _ = write!(reason, "{message}");
        Self(reason.text)
    }

    fn invalid_type(unexpected: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        shortened(unexpected, |unexpected| Plain::invalid_type(unexpected, wanted))
    }

    fn invalid_value(unexpected: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        shortened(unexpected, |unexpected| Plain::invalid_value(unexpected, wanted))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self(Plain::unknown_variant(&echoed(variant.chars()), known).to_string())
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self(Plain::unknown_field(&echoed(field.chars()), known).to_string())
    }
}

fn shortened(unexpected: Unexpected<'_>, say: impl FnOnce(Unexpected<'_>) -> Plain) -> Error {
    let said = match unexpected {
        Unexpected::Str(text) => say(Unexpected::Str(&echoed(text.chars()))),
        Unexpected::Other(text) => say(Unexpected::Other(&echoed(text.chars()))),
        short => say(short),
    };
    Error(said.to_string())
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
        T::deserialize(Node(&mut Source::of(Value::parse(json.as_bytes()).unwrap()))).map_err(|error| error.0)
    }

    /// Checks that the result is the same as that of serde_json. The deliberate differences are in
    /// the tests below.
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
        same_as_serde_json::<[u8; 2]>("[1]");
        same_as_serde_json::<Vec<Mode>>(r#" [ {"level" : 7} , "off" , { "off" : null } , {"pair":[1,"b"] } ] "#);
        same_as_serde_json::<Vec<Mode>>(r#"[{"level":7,"off":null},"off"]"#);
        same_as_serde_json::<Vec<(u8, serde::de::IgnoredAny)>>(r#"[[1,{"a":[]}],[2,"b"]]"#);
        same_as_serde_json::<Vec<(u8, u8)>>("[[1,2,3],[4,5]]");
        same_as_serde_json::<bool>("1");
        same_as_serde_json::<String>("1");
        same_as_serde_json::<f64>(r#""1""#);
        same_as_serde_json::<f64>("1e400");
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Lenient {
        #[serde(deserialize_with = "or_default")]
        level: Vec<u8>,
        #[serde(deserialize_with = "or_default")]
        mode: u8,
        name: String,
    }

    fn or_default<'de, T: Deserialize<'de> + Default, D: de::Deserializer<'de>>(value: D) -> Result<T, D::Error> {
        Ok(T::deserialize(value).unwrap_or_default())
    }

    #[test]
    fn value_that_its_type_reads_only_in_part_does_not_disturb_the_next() {
        for level in ["[1,[2],3]", r#"{"a":[1]}"#, r#""x""#, "[[[1,2]]]", "[256]"] {
            let lenient = from::<Lenient>(&format!(r#"{{"level":{level},"mode":{{"a":[]}},"name":"n"}}"#));
            assert_eq!(lenient, Ok(Lenient { level: vec![], mode: 0, name: "n".to_owned() }), "{level}");
        }
    }

    #[test]
    fn value_nested_deep_costs_no_more_than_a_flat_one_of_its_size() {
        const SIZE: usize = 1024 * 1024;
        const LEVELS: usize = 60;
        let time = |levels: usize| {
            let json = format!("{}\"{}\"{}", "[".repeat(levels), "x".repeat(SIZE), "]".repeat(levels));
            let text = Value::parse(json.as_bytes()).unwrap();
            // The best of several runs, because a busy machine can delay any one of them.
            (0..5)
                .map(|_| {
                    let started = std::time::Instant::now();
                    serde_json::Value::deserialize(Node(&mut Source::of(text))).unwrap();
                    started.elapsed()
                })
                .min()
                .unwrap()
        };
        let (flat, deep) = (time(1), time(LEVELS));
        assert!(deep < 5 * flat, "{deep:?} is not near {flat:?}");
    }

    #[test]
    fn error_message_quotes_only_the_beginning_of_a_long_name_or_value() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Closed {}

        let long = "é".repeat(100_000);
        let shown = format!("{}…", "é".repeat(limits::ECHOED));
        let digits = "9".repeat(100_000);
        let name_of_integers = from::<std::collections::BTreeMap<u8, u8>>(&format!(r#"{{"{long}":1}}"#));
        for (said, shown) in [
            (from::<u8>(&format!(r#""{long}""#)).unwrap_err(), &shown),
            (from::<char>(&format!(r#""{long}""#)).unwrap_err(), &shown),
            (from::<Mode>(&format!(r#""{long}""#)).unwrap_err(), &shown),
            (from::<Mode>(&format!(r#"{{"{long}":1}}"#)).unwrap_err(), &shown),
            (from::<Closed>(&format!(r#"{{"{long}":1}}"#)).unwrap_err(), &shown),
            (name_of_integers.unwrap_err(), &shown),
            (from::<u8>(&digits).unwrap_err(), &format!("{}…", "9".repeat(limits::ECHOED))),
            (Error::custom(&long).0, &format!("{}…", "é".repeat(limits::REASON))),
        ] {
            assert!(said.contains(shown.as_str()), "{said}");
            assert!(said.chars().count() <= limits::REASON + 1, "{said}");
        }
        assert_eq!(from::<u8>(r#""abc""#).unwrap_err(), "invalid type: string \"abc\", expected u8");
    }

    #[test]
    fn whole_numbers_are_integers_however_written_and_fractions_are_not() {
        assert_eq!(from::<i64>("1.0"), Ok(1));
        assert_eq!(from::<u8>("2e1"), Ok(20));
        assert!(from::<i64>("1.5").is_err());
        assert!(from::<i64>("1e30").is_err());
        assert!(from::<i64>("9223372036854775808").is_err());
    }

    #[test]
    fn number_too_large_for_any_type_it_could_become_is_refused_not_rounded() {
        use serde_json::Value;
        assert_eq!(from::<Value>("18446744073709551615"), Ok(u64::MAX.into()));
        assert_eq!(from::<Value>("18446744073709551616"), Err("18446744073709551616 is out of range".to_owned()));
        assert_eq!(from::<Value>("-9223372036854775808"), Ok(i64::MIN.into()));
        assert!(from::<Value>("-9223372036854775809").is_err());
        assert_eq!(from::<f32>("3.4028235e38"), Ok(f32::MAX));
        assert_eq!(from::<f32>("3.5e38"), Err("3.5e38 is out of range".to_owned()));
        assert_eq!(from::<f32>("-1e300"), Err("-1e300 is out of range".to_owned()));
    }
}
