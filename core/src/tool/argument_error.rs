//! Errors of arguments, with the path of the value that does not fit.

use crate::json::{Decimal, Full, Kind, Part, Reader};
use core::fmt;

/// The reason why the arguments of a call do not fit. The caller gets it as a tool result that a
/// model can act on, not as a protocol error (MCP 2025-11-25 server/tools, "Error Handling").
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArgumentError<'a> {
    /// The arguments as the client wrote them.
    root: &'a [u8],
    /// The value that does not fit, inside `root`. An object if a member of it is missing.
    place: &'a [u8],
    /// The declared name of the argument; empty if it has none.
    name: &'static str,
    problem: Problem,
}

/// The reason why an argument does not fit.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Problem {
    /// The argument is missing.
    Missing,
    /// The tool has no such argument.
    Unknown,
    /// The argument occurs more than once.
    Repeated,
    /// The value does not have the expected form, which these words describe.
    Expected(&'static [Part<'static>]),
    /// serde does not report which argument does not fit.
    Unfit,
    /// The call was read from another body than this one.
    Malformed,
}

impl<'a> ArgumentError<'a> {
    pub(super) const fn new(place: &'a [u8], problem: Problem) -> Self {
        Self { root: place, place, name: "", problem }
    }

    /// Returns the declared name of the argument, the innermost one of nested arguments; `None` if
    /// no argument with this name is declared.
    pub const fn name(&self) -> Option<&'static str> {
        if self.name.is_empty() { None } else { Some(self.name) }
    }

    /// Returns the reason.
    pub const fn problem(&self) -> Problem {
        self.problem
    }

    /// Returns the same error for the argument with this declared name, unless a nested argument
    /// has set a name already.
    pub(super) fn named(self, name: &'static str) -> Self {
        let named = matches!(self.problem, Problem::Unknown | Problem::Repeated) || !self.name.is_empty();
        if named { self } else { Self { name, ..self } }
    }

    /// Returns the same error, where `root` contains all arguments of the call.
    pub(super) const fn within(self, root: &'a [u8]) -> Self {
        Self { root, ..self }
    }

    /// Passes the error as a sentence to `put`, in pieces that are escaped for a JSON string.
    pub(crate) fn sentence(&self, put: &mut dyn FnMut(&[u8]) -> Result<(), Full>) -> Result<(), Full> {
        let (front, back): (&[u8], &[u8]) = match self.problem {
            Problem::Missing => (b"Argument '", b"' is missing"),
            Problem::Unknown => (b"This tool has no argument '", b"'"),
            Problem::Repeated => (b"Argument '", b"' is there more than once"),
            Problem::Expected(_) => (b"Argument '", b"' must be "),
            Problem::Unfit => return put(b"The arguments do not fit the schema of this tool"),
            Problem::Malformed => return put(b"The arguments could not be read"),
        };
        put(front)?;
        let mut begun = false;
        path(self.root, self.place, &mut |step| {
            begun = true;
            put(step)
        })?;
        if let Problem::Missing = self.problem {
            put(if begun { b"." } else { b"" })?;
            put(self.name.as_bytes())?;
        }
        put(back)?;
        let Problem::Expected(words) = self.problem else {
            return Ok(());
        };
        words.iter().try_for_each(|part| match *part {
            Part::Number(number) => put(Decimal::new(number).as_bytes()),
            Part::Fixed(number, places) => put(Decimal::fixed(number, places).as_bytes()),
            // The application chooses the names of its types, and they must contain no quotes.
            Part::Json(words) | Part::Text(words) => put(words.as_bytes()),
            Part::Choices(texts) => texts.iter().enumerate().try_for_each(|(at, text)| {
                put(if at == 0 { b"" } else { b", " })?;
                put(text.as_bytes())
            }),
            Part::Doc(_) | Part::Parts(_) => Ok(()),
        })
    }
}

impl fmt::Display for ArgumentError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let put = &mut |piece: &[u8]| {
            let text = core::str::from_utf8(piece).map_err(|_| Full)?;
            f.write_str(text).map_err(|fmt::Error| Full)
        };
        self.sentence(put).map_err(|Full| fmt::Error)
    }
}

impl core::error::Error for ArgumentError<'_> {}

/// Passes the path from `root` to the value `place` inside of it to `put`: `filter.levels[2]`.
fn path(mut root: &[u8], place: &[u8], put: &mut dyn FnMut(&[u8]) -> Result<(), Full>) -> Result<(), Full> {
    let mut first = true;
    // Each round enters one more bracket.
    while root.as_ptr() != place.as_ptr() || root.len() != place.len() {
        let Some(member) = member(root, place) else {
            break;
        };
        match member.key {
            Some(key) => {
                put(if first { b"" } else { b"." })?;
                put(key)?;
            }
            None => {
                put(b"[")?;
                put(Decimal::new(member.index).as_bytes())?;
                put(b"]")?;
            }
        }
        (root, first) = (member.value, false);
    }
    Ok(())
}

/// A member of an object or an element of an array.
struct Member<'r> {
    key: Option<&'r [u8]>,
    index: i64,
    value: &'r [u8],
}

/// Returns the member of `root` that contains `place`; `None` if no member does.
fn member<'r>(root: &'r [u8], place: &[u8]) -> Option<Member<'r>> {
    let mut reader = Reader::new(root).ok()?;
    let object = match reader.kind()? {
        Kind::Object => reader.enter_object().ok()??,
        _ => reader.enter_array().ok()??,
    };
    let in_object = root.get(object) == Some(&b'{');
    let mut index = 0;
    loop {
        let (key, item) = match in_object {
            true => reader.member().ok()?.map(|(key, item)| (Some(key.raw()), item))?,
            false if reader.element().ok()? => (None, reader.skip().ok()?),
            false => return None,
        };
        let value = item.of(root).raw();
        // A value is a part of the text that it was found in, so its position identifies the
        // member.
        let from = (place.as_ptr() as usize).checked_sub(value.as_ptr() as usize);
        if from.is_some_and(|from| from < value.len()) {
            return Some(Member { key, index, value });
        }
        index += 1;
    }
}
