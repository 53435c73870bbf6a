//! Arguments and results by serde (feature `serde-json-core`), for types that exist already.
//!
//! `args!` and `results!` are smaller, name the argument that does not fit, and are proved not to
//! panic. This module accepts every type that serde supports, at a price: the application writes
//! the schema by hand, `&str` accepts only texts without escape sequences, errors name no argument,
//! and there is no proof.

use super::{Args, ArgumentError, Arguments, Field, Output, Problem, ToolError, ToolResult};
use crate::limits;
use serde::{Deserialize, Serialize};

/// The JSON Schema of a type that serde reads.
pub trait Described {
    /// A schema of an object, as JSON on one line.
    const SCHEMA: &'static str;
}

/// Arguments that serde reads: `fn set(BySerde<Settings>);` in [`tools!`](crate::tools).
///
/// Unknown members pass unless the type has `#[serde(deny_unknown_fields)]`. Brackets are nested at most
/// [`limits::SERDE_DEPTH`] deep, because serde-json-core recurses over skipped values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BySerde<T>(pub T);

impl<'a, T: Deserialize<'a> + Described> Args<'a> for BySerde<T> {
    const FIELDS: &'static [Field] = &[];
    const SCHEMA: &'static str = T::SCHEMA;
    const PROMPT: &'static str = "[]";

    fn read(arguments: Arguments<'a>) -> Result<Self, ArgumentError<'a>> {
        let text = arguments.raw();
        let unfit = ArgumentError::new(text, Problem::Unfit);
        if depth(text) > limits::SERDE_DEPTH {
            return Err(unfit);
        }
        // The text was checked when the message was read, so it is JSON, and the bytes after it are
        // ignored.
        let (read, _) = serde_json_core::from_slice(text).map_err(|_| unfit)?;
        Ok(Self(read))
    }
}

/// Returns the depth of nested brackets in a text that is known to be JSON.
fn depth(text: &[u8]) -> u32 {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0u32, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl Output<'_> {
    /// Ends the content with a structured result that serde writes, through `scratch`, which must have room for all of it. Like
    /// [`structured`](Output::structured), it goes into the answer twice.
    ///
    /// # Errors
    /// [`ToolError::Full`] if it does not fit, or the type cannot be written as JSON.
    pub fn serialize(&mut self, value: &impl Serialize, scratch: &mut [u8]) -> ToolResult {
        let len = serde_json_core::to_slice(value, scratch).map_err(|_| ToolError::Full)?;
        let json = scratch.get(..len).and_then(|json| core::str::from_utf8(json).ok()).ok_or(ToolError::Full)?;
        self.structured(json)
    }
}
