//! Reading the arguments of a call. What a schema says and what is accepted here come from one declaration.

use super::schema::{Expected, Field};
use crate::json::{Error, Integer, Kind, Text, Value};

/// The arguments of a call: a JSON object, or nothing.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Arguments<'a>(Option<Value<'a>>);

impl<'a> Arguments<'a> {
    /// The arguments that an object holds.
    pub const fn new(object: Option<Value<'a>>) -> Self {
        Self(object)
    }

    /// The arguments as they were written; `{}` if there were none (MCP server/tools: `arguments` is optional).
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
    /// [`ArgumentError`] names the first argument that is missing, unknown, there twice, or of the wrong type.
    pub fn read<A: Args<'a>>(&self) -> Result<A, ArgumentError<'a>> {
        A::read(*self)
    }

    /// Gives each argument to `take`, in the order they came. `take` answers `false` for one it does not know.
    ///
    /// # Errors
    /// What `take` says; or that an argument is not known.
    pub fn each(
        &self,
        mut take: impl FnMut(Text<'a>, Value<'a>) -> Result<bool, ArgumentError<'a>>,
    ) -> Result<(), ArgumentError<'a>> {
        let Some(object) = self.0 else {
            return Ok(());
        };
        // The object was checked with the message it came in, so these errors cannot come from a checked body.
        let malformed = |_: Error| ArgumentError { name: Name::None, problem: Problem::Malformed };
        let mut reader = object.reader();
        reader.enter_object().map_err(malformed)?;
        while let Some(name) = reader.key().map_err(malformed)? {
            let value = reader.skip().map_err(malformed)?.of(object.raw());
            if !take(name, value)? {
                return Err(ArgumentError { name: Name::Peer(name), problem: Problem::Unknown });
            }
        }
        Ok(())
    }
}

/// A type that a tool takes as its arguments. Made by [`args!`](crate::args).
pub trait Args<'a>: Sized {
    /// The single arguments.
    const FIELDS: &'static [Field];
    /// The JSON Schema of the arguments, for a tool.
    const SCHEMA: &'static str;
    /// The list of the arguments, for a prompt.
    const PROMPT: &'static str;

    /// Reads the arguments of one call.
    ///
    /// # Errors
    /// [`ArgumentError`] names the first argument that does not fit.
    fn read(arguments: Arguments<'a>) -> Result<Self, ArgumentError<'a>>;
}

/// No arguments.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nothing;

impl<'a> Args<'a> for Nothing {
    const FIELDS: &'static [Field] = &[];
    // MCP 2025-11-25 server/tools: the recommended schema of a tool without parameters, and empty `properties`, which some clients
    // look for without asking whether they are there.
    const SCHEMA: &'static str = r#"{"type":"object","properties":{},"additionalProperties":false}"#;
    const PROMPT: &'static str = "[]";

    fn read(arguments: Arguments<'a>) -> Result<Self, ArgumentError<'a>> {
        arguments.each(|_, _| Ok(false)).map(|()| Self)
    }
}

/// A type that one argument can have.
pub trait Argument<'a>: Sized {
    /// What a value must be, for the schema and for the words of an error.
    const EXPECTED: Expected;
    /// Whether `null`, or leaving the argument out, means a value too.
    const OPTIONAL: bool = false;

    /// Reads a value; `None` if it is something else.
    fn read(value: Value<'a>) -> Option<Self>;

    /// The value of an argument that is not there.
    fn absent() -> Option<Self> {
        None
    }
}

impl<'a> Argument<'a> for bool {
    const EXPECTED: Expected = Expected { json_type: "boolean", bounds: "", words: "true or false" };

    fn read(value: Value<'a>) -> Option<Self> {
        value.bool()
    }
}

impl<'a> Argument<'a> for Text<'a> {
    const EXPECTED: Expected = Expected { json_type: "string", bounds: "", words: "a string" };

    fn read(value: Value<'a>) -> Option<Self> {
        value.text()
    }
}

impl<'a, T: Argument<'a>> Argument<'a> for Option<T> {
    const EXPECTED: Expected = T::EXPECTED;
    const OPTIONAL: bool = true;

    fn read(value: Value<'a>) -> Option<Self> {
        match value.kind() {
            Kind::Null => Some(None),
            _ => T::read(value).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Integers of a width. The bounds are written out because a constant cannot print a number.
macro_rules! integers {
    ($($type:ident $min:literal $max:literal)*) => { $(
        impl<'a> Argument<'a> for $type {
            const EXPECTED: Expected = Expected {
                json_type: "integer",
                bounds: concat!(",\"minimum\":", $min, ",\"maximum\":", $max),
                words: concat!("an integer from ", $min, " to ", $max),
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

/// Why the arguments of a call do not fit. It becomes a tool result that a model can act on, not a protocol error
/// (MCP 2025-11-25 server/tools, "Error Handling").
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArgumentError<'a> {
    name: Name<'a>,
    problem: Problem,
}

/// A name out of the declaration, or one that the peer made up.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Name<'a> {
    Declared(&'static str),
    Peer(Text<'a>),
    None,
}

/// What is wrong with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Problem {
    /// It is not there.
    Missing,
    /// The tool has no such argument.
    Unknown,
    /// It is there more than once.
    Repeated,
    /// It is not what it must be, in these words.
    Expected(&'static str),
    /// The body that was handed in is not the one that the call was read from.
    Malformed,
}

impl<'a> ArgumentError<'a> {
    /// The declared name of the argument; `None` if the peer made the name up.
    pub const fn name(&self) -> Option<&'static str> {
        match self.name {
            Name::Declared(name) => Some(name),
            Name::Peer(_) | Name::None => None,
        }
    }

    /// What is wrong.
    pub const fn problem(&self) -> Problem {
        self.problem
    }

    /// Keeps the value of the declared argument `name`, of which there may be one.
    ///
    /// # Errors
    /// If it is the second, or not of the type.
    #[doc(hidden)]
    pub fn keep<T: Argument<'a>>(slot: &mut Option<T>, name: &'static str, value: Value<'a>) -> Result<bool, Self> {
        let error = |problem| Self { name: Name::Declared(name), problem };
        if slot.is_some() {
            return Err(error(Problem::Repeated));
        }
        *slot = Some(T::read(value).ok_or(error(Problem::Expected(T::EXPECTED.words)))?);
        Ok(true)
    }

    /// The value kept for `name`, or what stands for its absence.
    ///
    /// # Errors
    /// If it was needed.
    #[doc(hidden)]
    pub fn require<T: Argument<'a>>(slot: Option<T>, name: &'static str) -> Result<T, Self> {
        slot.or_else(T::absent).ok_or(Self { name: Name::Declared(name), problem: Problem::Missing })
    }

    /// The error as a sentence in four pieces, the second being the raw inside of a JSON string.
    pub(crate) fn sentence(&self) -> [&'a [u8]; 4] {
        let name = match self.name {
            Name::Declared(name) => name.as_bytes(),
            Name::Peer(name) => name.raw(),
            Name::None => b"",
        };
        let (front, back, words): (&'static str, &'static str, &'static str) = match self.problem {
            Problem::Missing => ("Argument '", "' is missing", ""),
            Problem::Unknown => ("This tool has no argument '", "'", ""),
            Problem::Repeated => ("Argument '", "' is there more than once", ""),
            Problem::Expected(words) => ("Argument '", "' must be ", words),
            Problem::Malformed => ("The arguments could not be read", "", ""),
        };
        [front.as_bytes(), name, back.as_bytes(), words.as_bytes()]
    }
}
