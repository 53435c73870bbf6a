//! The types that an argument can have. One declaration produces the schema and the check of the
//! value.

use super::argument_error::{ArgumentError, Problem};
use super::schema::Expected;
use crate::json::{Integer, Kind, Part, Text, Value};

/// A type that an argument of a tool can have.
///
/// `bool`, integers, `f32`, `f64`, [`Text`], `&str`, [`Fixed`](super::Fixed), [`Within`](super::Within), arrays,
/// [`List`](super::List), structs and enums of [`args!`](crate::args), and `Option` of each. With feature `heapless` also
/// `heapless::String` and `heapless::Vec`. Implement it for types of your own:
///
/// ```
/// use attache_core::json::{Part, Value};
/// use attache_core::tool::{Argument, Args, Expected};
///
/// /// A colour such as `#ff8000`.
/// pub struct Colour(u32);
///
/// impl<'a> Argument<'a> for Colour {
///     const EXPECTED: Expected = Expected {
///         bounds: &[Part::Json(r##","pattern":"^#[0-9a-f]{6}$""##)],
///         ..Expected::of("string", &[Part::Json("a colour such as #ff8000")])
///     };
///
///     fn read(value: Value<'a>) -> Option<Self> {
///         let digits = value.text()?.plain()?.strip_prefix('#')?;
///         (digits.len() == 6).then_some(Self(u32::from_str_radix(digits, 16).ok()?))
///     }
/// }
///
/// attache_core::args! { pub struct Paint { /** its colour */ colour: Colour } }
/// assert!(Paint::SCHEMA.contains(r##""colour":{"description":"its colour","type":"string","pattern":"^#"##));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type of arguments",
    label = "a tool cannot take this type",
    note = "use bool, an integer, f32, f64, Fixed, Within, Text, &str, an array, List, a struct or an enum of `args!`, or an Option of one",
    note = "or implement `attache_core::tool::Argument` for it: its documentation has an example"
)]
pub trait Argument<'a>: Sized {
    /// The expected form of a value, for the schema and for error messages.
    const EXPECTED: Expected;
    /// Whether `null`, or a missing argument, is a valid value too.
    const OPTIONAL: bool = false;

    /// Reads a value; `None` if the type has no such value. Nothing is rounded or clamped.
    fn read(value: Value<'a>) -> Option<Self>;

    /// Reads a value like `read`, but reports the part that does not fit if the value has parts.
    ///
    /// # Errors
    /// [`ArgumentError`] for the value, or for the part of it that does not fit.
    fn read_at(value: Value<'a>) -> Result<Self, ArgumentError<'a>> {
        Self::read(value).ok_or(Self::EXPECTED.error(value))
    }

    /// The value of a missing argument.
    fn absent() -> Option<Self> {
        None
    }
}

impl Expected {
    /// Returns the error for a value of another type.
    pub(super) const fn error(self, value: Value<'_>) -> ArgumentError<'_> {
        ArgumentError::new(value.raw(), Problem::Expected(self.words))
    }
}

impl<'a> Argument<'a> for bool {
    const EXPECTED: Expected = Expected::of("boolean", &[Part::Json("true or false")]);

    fn read(value: Value<'a>) -> Option<Self> {
        value.bool()
    }
}

impl<'a> Argument<'a> for Text<'a> {
    const EXPECTED: Expected = Expected::of("string", &[Part::Json("a string")]);

    fn read(value: Value<'a>) -> Option<Self> {
        value.text()
    }
}

/// For strings without escape sequences: the result borrows the text from the request. Clients may
/// escape characters that need no escape, and many escape everything but ASCII. [`Text`] accepts
/// every string.
impl<'a> Argument<'a> for &'a str {
    const EXPECTED: Expected = Expected::of("string", &[Part::Json("a string without escape sequences")]);

    fn read(value: Value<'a>) -> Option<Self> {
        value.text()?.plain()
    }
}

impl<'a, T: Argument<'a>> Argument<'a> for Option<T> {
    const EXPECTED: Expected = T::EXPECTED;
    const OPTIONAL: bool = true;

    fn read(value: Value<'a>) -> Option<Self> {
        Self::read_at(value).ok()
    }

    fn read_at(value: Value<'a>) -> Result<Self, ArgumentError<'a>> {
        match value.kind() {
            Kind::Null => Ok(None),
            _ => T::read_at(value).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Integers of a width. The bounds are written out because they are texts.
macro_rules! integers {
    ($($type:ident $min:literal $max:literal)*) => { $(
        impl<'a> Argument<'a> for $type {
            const EXPECTED: Expected = Expected {
                bounds: &[Part::Json(concat!(",\"minimum\":", $min, ",\"maximum\":", $max))],
                ..Expected::of("integer", &[Part::Json(concat!("an integer from ", $min, " to ", $max))])
            };

            fn read(value: Value<'a>) -> Option<Self> {
                value.integer().ok().and_then(Integer::to)
            }
        }
    )* };
}

integers! {
    u8 "0" "255"
    i8 "-128" "127"
    u16 "0" "65535"
    i16 "-32768" "32767"
    u32 "0" "4294967295"
    i32 "-2147483648" "2147483647"
    u64 "0" "18446744073709551615"
    i64 "-9223372036854775808" "9223372036854775807"
}

/// Reads the nearest number of the type, as all JSON readers do. A value beyond its range is
/// refused.
impl<'a> Argument<'a> for f32 {
    const EXPECTED: Expected = Expected::of("number", &[Part::Json("a number that fits 32 bits of floating point")]);

    fn read(value: Value<'a>) -> Option<Self> {
        value.f32()
    }
}

/// Reads the nearest number of the type, as all JSON readers do. A value beyond its range is
/// refused.
impl<'a> Argument<'a> for f64 {
    const EXPECTED: Expected = Expected::of("number", &[Part::Json("a number that fits 64 bits of floating point")]);

    fn read(value: Value<'a>) -> Option<Self> {
        value.f64()
    }
}
