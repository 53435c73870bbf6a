//! Structured results, written in place.

use super::Fixed;
use super::Within;
use super::schema::{Expected, Field};
use crate::json::{Decimal, Full, Part, Sink, Text, escape, escape_bytes};

/// A type that can be a member of a structured result. `bool`, integers, [`Fixed`], [`Within`], texts, slices and arrays, structs of
/// [`results!`](crate::results), enums of [`args!`](crate::args), and `Option` of each.
///
/// Floating-point numbers are not supported: code for their shortest text takes ten kilobytes of
/// flash. Choose a number of places: `Fixed::<1>::nearest(celsius)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a member of a structured result",
    note = "use bool, an integer, Fixed, Within, &str, Text, a slice, a struct of `results!`, an enum of `args!`, or an Option of one",
    note = "for a floating-point number, write `Fixed::<1>::nearest(number)` with as many places as it has"
)]
pub trait ToJson {
    /// The form of the value, for the schema.
    const EXPECTED: Expected;
    /// Whether it may be `null`.
    const OPTIONAL: bool = false;

    /// Writes the value as JSON.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    fn write(&self, out: &mut dyn Sink) -> Result<(), Full>;
}

/// A structured result. [`results!`](crate::results) declares such types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a result of a tool",
    label = "declare it with `attache_core::results!`"
)]
pub trait Outcome {
    /// Its members.
    const FIELDS: &'static [Field];
    /// Its JSON Schema.
    const SCHEMA: &'static str;

    /// Writes its members.
    ///
    /// # Errors
    /// [`Full`] if they do not fit.
    fn members<'w>(&self, object: Object<'w>) -> Result<Object<'w>, Full>;
}

/// A writer of a JSON object.
pub struct Object<'w> {
    out: &'w mut dyn Sink,
    is_empty: bool,
}

impl<'w> Object<'w> {
    /// Writes an object with the members that `write` writes.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn write(out: &mut dyn Sink, write: impl FnOnce(Object<'_>) -> Result<Object<'_>, Full>) -> Result<(), Full> {
        out.put(b"{")?;
        write(Object { out, is_empty: true })?.out.put(b"}")
    }

    /// Adds a member.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn field(mut self, name: &str, value: impl ToJson) -> Result<Self, Full> {
        self.name(name)?;
        value.write(self.out)?;
        Ok(self)
    }

    /// Adds a member that is an object.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn object(
        mut self,
        name: &str,
        write: impl FnOnce(Object<'_>) -> Result<Object<'_>, Full>,
    ) -> Result<Self, Full> {
        self.name(name)?;
        Object::write(self.out, write)?;
        Ok(self)
    }

    /// Adds a member that is an array of these elements.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn array<T: ToJson>(mut self, name: &str, elements: impl IntoIterator<Item = T>) -> Result<Self, Full> {
        self.name(name)?;
        array(elements, self.out)?;
        Ok(self)
    }

    fn name(&mut self, name: &str) -> Result<(), Full> {
        self.out.put(if self.is_empty { b"\"" } else { b",\"" })?;
        self.is_empty = false;
        escape(name, self.out)?;
        self.out.put(b"\":")
    }
}

impl core::fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Object").finish_non_exhaustive()
    }
}

fn array<T: ToJson>(elements: impl IntoIterator<Item = T>, out: &mut dyn Sink) -> Result<(), Full> {
    let mut front: &[u8] = b"[";
    for element in elements {
        out.put(front)?;
        element.write(out)?;
        front = b",";
    }
    out.put(if front == b"[" { b"[]" } else { b"]" })
}

/// A sink that escapes its input, to write JSON as a text in other JSON.
pub(super) struct Quoted<'s>(pub(super) &'s mut dyn Sink);

impl Sink for Quoted<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        escape_bytes(bytes, self.0)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

impl<T: ToJson + ?Sized> ToJson for &T {
    const EXPECTED: Expected = T::EXPECTED;
    const OPTIONAL: bool = T::OPTIONAL;

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        T::write(self, out)
    }
}

impl<T: ToJson> ToJson for Option<T> {
    const EXPECTED: Expected = T::EXPECTED;
    const OPTIONAL: bool = true;

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        match self {
            Some(value) => value.write(out),
            None => out.put(b"null"),
        }
    }
}

impl ToJson for bool {
    const EXPECTED: Expected = Expected::of("boolean", &[]);

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        out.put(if *self { b"true" } else { b"false" })
    }
}

impl ToJson for str {
    const EXPECTED: Expected = Expected::of("string", &[]);

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        out.put(b"\"")?;
        escape(self, out)?;
        out.put(b"\"")
    }
}

impl ToJson for Text<'_> {
    const EXPECTED: Expected = Expected::of("string", &[]);

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        out.put(b"\"")?;
        out.put(self.raw())?;
        out.put(b"\"")
    }
}

impl<T: ToJson> ToJson for [T] {
    const EXPECTED: Expected = Expected {
        bounds: &[Part::Json(",\"items\":{"), Part::Parts(&T::EXPECTED.members(T::OPTIONAL)), Part::Json("}")],
        ..Expected::of("array", &[])
    };

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        array(self, out)
    }
}

impl<T: ToJson, const N: usize> ToJson for [T; N] {
    const EXPECTED: Expected = <[T]>::EXPECTED;

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        array(self, out)
    }
}

macro_rules! integers {
    ($($type:ty)*) => { $(
        impl ToJson for $type {
            const EXPECTED: Expected = Expected::of("integer", &[]);

            fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
                out.put(Decimal::new((*self).into()).as_bytes())
            }
        }
    )* };
}

integers! { u8 i8 u16 i16 u32 i32 i64 }

impl<T: Copy + Into<i64>, const MIN: i64, const MAX: i64> ToJson for Within<T, MIN, MAX> {
    const EXPECTED: Expected = Expected {
        bounds: &[Part::Json(",\"minimum\":"), Part::Number(MIN), Part::Json(",\"maximum\":"), Part::Number(MAX)],
        ..Expected::of("integer", &[])
    };

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        out.put(Decimal::new(self.get().into()).as_bytes())
    }
}

impl<const PLACES: u8, const MIN: i32, const MAX: i32> ToJson for Fixed<PLACES, MIN, MAX> {
    const EXPECTED: Expected = Expected { bounds: Self::BOUNDS, ..Expected::of("number", &[]) };

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        out.put(self.decimal().as_bytes())
    }
}

#[cfg(feature = "heapless")]
impl<const N: usize> ToJson for heapless::String<N> {
    const EXPECTED: Expected =
        Expected { bounds: &[Part::Json(",\"maxLength\":"), Part::Number(N as i64)], ..Expected::of("string", &[]) };

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        self.as_str().write(out)
    }
}

#[cfg(feature = "heapless")]
impl<T: ToJson, const N: usize> ToJson for heapless::Vec<T, N> {
    const EXPECTED: Expected = <[T]>::EXPECTED;

    fn write(&self, out: &mut dyn Sink) -> Result<(), Full> {
        self.as_slice().write(out)
    }
}
