//! Arrays as arguments.

use super::argument::Argument;
use super::argument_error::ArgumentError;
use super::schema::Expected;
use crate::json::{Kind, Part, Reader, Value};
use core::fmt;
use core::marker::PhantomData;

/// An array of any length. Its elements are read in place from the request, and all of them were
/// checked.
pub struct List<'a, T> {
    array: Value<'a>,
    len: usize,
    elements: PhantomData<fn() -> T>,
}

impl<'a, T: Argument<'a>> List<'a, T> {
    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        elements(self.array).filter_map(T::read)
    }

    /// Returns the number of elements.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the array has no elements.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<T> fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<'a, T: Argument<'a>> Argument<'a> for List<'a, T> {
    const EXPECTED: Expected = Expected {
        bounds: &[Part::Json(",\"items\":{"), Part::Parts(Items::<'a, T>::SCHEMA), Part::Json("}")],
        ..Expected::of("array", &[Part::Json("an array")])
    };

    fn read(value: Value<'a>) -> Option<Self> {
        Self::read_at(value).ok()
    }

    fn read_at(array: Value<'a>) -> Result<Self, ArgumentError<'a>> {
        if array.kind() != Kind::Array {
            return Err(Self::EXPECTED.error(array));
        }
        let len = elements(array).try_fold(0usize, |len, value| T::read_at(value).map(|_| len.saturating_add(1)))?;
        Ok(Self { array, len, elements: PhantomData })
    }
}

/// For arrays of exactly `N` elements.
impl<'a, T: Argument<'a> + Copy, const N: usize> Argument<'a> for [T; N] {
    const EXPECTED: Expected = Expected {
        bounds: &[
            Part::Json(",\"items\":{"),
            Part::Parts(Items::<'a, T>::SCHEMA),
            Part::Json("},\"minItems\":"),
            Part::Number(N as i64),
            Part::Json(",\"maxItems\":"),
            Part::Number(N as i64),
        ],
        ..Expected::of("array", &[Part::Json("an array of "), Part::Number(N as i64), Part::Json(" elements")])
    };

    fn read(value: Value<'a>) -> Option<Self> {
        Self::read_at(value).ok()
    }

    fn read_at(array: Value<'a>) -> Result<Self, ArgumentError<'a>> {
        let list = List::<T>::read_at(array).ok().filter(|list| list.len() == N);
        // If the number of elements is right, the error names the element that does not fit.
        let Some(list) = list else {
            let right = elements(array).count() == N && array.kind() == Kind::Array;
            let element = elements(array).find_map(|value| T::read_at(value).err());
            return Err(element.filter(|_| right).unwrap_or(Self::EXPECTED.error(array)));
        };
        let mut places = [const { None }; N];
        places.iter_mut().zip(list.iter()).for_each(|(place, value)| *place = Some(value));
        all(places).ok_or(Self::EXPECTED.error(array))
    }
}

/// Returns the values, if none is missing.
fn all<T: Copy, const N: usize>(places: [Option<T>; N]) -> Option<[T; N]> {
    let first = places.first().copied().flatten();
    let mut values = match first {
        Some(first) => [first; N],
        None => return None,
    };
    for (value, place) in values.iter_mut().zip(places) {
        *value = place?;
    }
    Some(values)
}

/// The schema of the elements of an array.
struct Items<'a, T>(PhantomData<(&'a (), T)>);

impl<'a, T: Argument<'a>> Items<'a, T> {
    const SCHEMA: &'static [Part<'static>] = &T::EXPECTED.members(T::OPTIONAL);
}

/// The elements of an array that was checked together with its message.
fn elements<'a>(array: Value<'a>) -> impl Iterator<Item = Value<'a>> {
    let mut reader: Reader<'a> = array.reader();
    let entered = reader.enter_array().is_ok_and(|start| start.is_some());
    core::iter::from_fn(move || {
        let more = entered && reader.element().ok()?;
        if more { Some(reader.skip().ok()?.of(array.raw())) } else { None }
    })
}

#[cfg(feature = "heapless")]
mod owned {
    use super::{Items, elements};
    use crate::json::{Kind, Part, Value};
    use crate::tool::argument_error::ArgumentError;
    use crate::tool::{Argument, Expected};

    /// For arrays of at most `N` elements, which are copied out of the request.
    impl<'a, T: Argument<'a>, const N: usize> Argument<'a> for heapless::Vec<T, N> {
        const EXPECTED: Expected = Expected {
            bounds: &[
                Part::Json(",\"items\":{"),
                Part::Parts(Items::<'a, T>::SCHEMA),
                Part::Json("},\"maxItems\":"),
                Part::Number(N as i64),
            ],
            ..Expected::of(
                "array",
                &[Part::Json("an array of at most "), Part::Number(N as i64), Part::Json(" elements")],
            )
        };

        fn read(value: Value<'a>) -> Option<Self> {
            Self::read_at(value).ok()
        }

        fn read_at(array: Value<'a>) -> Result<Self, ArgumentError<'a>> {
            if array.kind() != Kind::Array {
                return Err(Self::EXPECTED.error(array));
            }
            let mut read = Self::new();
            for value in elements(array) {
                read.push(T::read_at(value)?).map_err(|_| Self::EXPECTED.error(array))?;
            }
            Ok(read)
        }
    }

    /// For strings of at most `N` bytes in UTF-8, which are copied out of the request with their escape sequences resolved.
    impl<'a, const N: usize> Argument<'a> for heapless::String<N> {
        // JSON Schema counts characters, of which there are at most as many as bytes.
        const EXPECTED: Expected = Expected {
            bounds: &[Part::Json(",\"maxLength\":"), Part::Number(N as i64)],
            ..Expected::of(
                "string",
                &[Part::Json("a string of at most "), Part::Number(N as i64), Part::Json(" bytes")],
            )
        };

        fn read(value: Value<'a>) -> Option<Self> {
            let mut read = Self::new();
            value.text()?.chars().try_for_each(|char| read.push(char)).ok()?;
            Some(read)
        }
    }
}
