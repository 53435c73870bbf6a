//! The arguments of a call. A declared type first sorts them into a table by name, and then reads
//! one value after the other.

use super::argument::Argument;
use super::argument_error::{ArgumentError, Problem};
use super::schema::Field;
use crate::json::{Error, Kind, Text, Value};

/// The arguments of a call: a JSON object, or nothing.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Arguments<'a>(Option<Value<'a>>);

impl<'a> Arguments<'a> {
    /// The arguments that an object holds.
    pub const fn new(object: Option<Value<'a>>) -> Self {
        Self(object)
    }

    /// The arguments as the client wrote them; `{}` if there are none (MCP server/tools:
    /// `arguments` is optional).
    pub fn raw(&self) -> &'a [u8] {
        self.0.map_or(b"{}", |object| object.raw())
    }

    /// The arguments as a JSON value; `None` if the call had none.
    pub const fn value(&self) -> Option<Value<'a>> {
        self.0
    }

    /// Reads the arguments as a declared type.
    ///
    /// # Errors
    /// [`ArgumentError`] names an argument that is missing, unknown, repeated, or not of its type.
    pub fn read<A: Args<'a>>(&self) -> Result<A, ArgumentError<'a>> {
        A::read(*self).map_err(|error| error.within(self.raw()))
    }

    /// Passes each argument to `take`, in the order of the request. `take` returns `false` for an
    /// unknown argument.
    ///
    /// # Errors
    /// The error of `take`, or an unknown argument.
    pub fn each(
        &self,
        mut take: impl FnMut(Text<'a>, Value<'a>) -> Result<bool, ArgumentError<'a>>,
    ) -> Result<(), ArgumentError<'a>> {
        self.each_by(&mut take)
    }

    /// The body of `each`, compiled once for all callers.
    #[inline(never)]
    fn each_by(
        &self,
        take: &mut dyn FnMut(Text<'a>, Value<'a>) -> Result<bool, ArgumentError<'a>>,
    ) -> Result<(), ArgumentError<'a>> {
        let Some(object) = self.0 else {
            return Ok(());
        };
        // The object was checked together with its message, so these errors cannot come from a
        // checked body.
        let malformed = |_: Error| ArgumentError::new(b"", Problem::Malformed);
        let mut reader = object.reader();
        reader.enter_object().map_err(malformed)?;
        while let Some((name, item)) = reader.member().map_err(malformed)? {
            let value = item.of(object.raw());
            if !take(name, value)? {
                return Err(ArgumentError::new(value.raw(), Problem::Unknown));
            }
        }
        Ok(())
    }
}

/// A type that a tool takes as its arguments. [`args!`](crate::args) declares such types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not declare the arguments of a tool",
    label = "declare this struct with `attache_core::args!`, or write `Nothing` for a tool without arguments"
)]
pub trait Args<'a>: Sized {
    /// The declared arguments.
    const FIELDS: &'static [Field];
    /// The JSON Schema of the arguments, for a tool.
    const SCHEMA: &'static str;
    /// The list of the arguments, for a prompt.
    const PROMPT: &'static str;

    /// Reads the arguments of one call.
    ///
    /// # Errors
    /// [`ArgumentError`] for an argument that does not fit.
    fn read(arguments: Arguments<'a>) -> Result<Self, ArgumentError<'a>>;
}

/// No arguments.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nothing;

impl<'a> Args<'a> for Nothing {
    const FIELDS: &'static [Field] = &[];
    // MCP 2025-11-25 server/tools: the recommended schema of a tool without parameters. Some
    // clients read `properties` without a check that the member exists, so it is present and empty.
    const SCHEMA: &'static str = r#"{"type":"object","properties":{},"additionalProperties":false}"#;
    const PROMPT: &'static str = "[]";

    fn read(arguments: Arguments<'a>) -> Result<Self, ArgumentError<'a>> {
        Sorted::new(arguments, &[], &mut []).end(Some(Self))
    }
}

/// Reads a nested object of arguments.
///
/// # Errors
/// If the value is not an object, or has an argument that does not fit.
#[doc(hidden)]
pub fn read_object<'a, A: Args<'a> + Argument<'a>>(value: Value<'a>) -> Result<A, ArgumentError<'a>> {
    match value.kind() {
        Kind::Object => <A as Args<'a>>::read(Arguments::new(Some(value))),
        _ => Err(A::EXPECTED.error(value)),
    }
}

/// The values of arguments in the order of their declaration. The code of [`args!`](crate::args)
/// takes one after the other. The code that all types share is here, so that it is compiled once.
#[doc(hidden)]
#[derive(Debug)]
pub struct Sorted<'s, 'a> {
    object: &'a [u8],
    names: &'static [&'static str],
    values: &'s [Option<Value<'a>>],
    error: Option<ArgumentError<'a>>,
}

impl<'s, 'a> Sorted<'s, 'a> {
    /// Finds the value of each name. `values` has one element for each name.
    pub fn new(arguments: Arguments<'a>, names: &'static [&'static str], values: &'s mut [Option<Value<'a>>]) -> Self {
        let sorted = arguments.each(|name, value| {
            let Some(place) = name.position(names).and_then(|index| values.get_mut(index)) else {
                return Ok(false);
            };
            if place.is_some() {
                return Err(ArgumentError::new(value.raw(), Problem::Repeated));
            }
            *place = Some(value);
            Ok(true)
        });
        Self { object: arguments.raw(), names, values, error: sorted.err() }
    }

    /// Returns the value of the next argument; `None` if this argument or an earlier one does not
    /// fit.
    pub fn take<T: Argument<'a>>(&mut self) -> Option<T> {
        self.take_or("")
    }

    /// Returns the value of the next argument, or its default, a JSON value, if the argument is
    /// missing.
    pub fn take_or<T: Argument<'a>>(&mut self, default: &'static str) -> Option<T> {
        let (name, value) = self.next(default)?;
        let read = match value {
            Some(value) => T::read_at(value),
            None => T::absent().ok_or(ArgumentError::new(self.object, Problem::Missing)),
        };
        read.map_err(|error| self.error = Some(error.named(name))).ok()
    }

    fn next(&mut self, default: &'static str) -> Option<(&'static str, Option<Value<'a>>)> {
        let ((name, names), (value, values)) = (self.names.split_first()?, self.values.split_first()?);
        (self.names, self.values) = (names, values);
        if self.error.is_some() {
            return None;
        }
        let default = if default.is_empty() { None } else { Value::parse(default.as_bytes()).ok() };
        Some((name, value.or(default)))
    }

    /// Returns the arguments, or the first error.
    ///
    /// # Errors
    /// The first argument that did not fit.
    pub fn end<T>(self, read: Option<T>) -> Result<T, ArgumentError<'a>> {
        match (self.error, read) {
            (None, Some(read)) => Ok(read),
            (error, _) => Err(error.unwrap_or(ArgumentError::new(self.object, Problem::Malformed))),
        }
    }
}
