//! The offers of an application: tools, prompts and resources. The application declares each once;
//! arguments are read in place, and results are written in place.

mod argument;
mod argument_error;
mod arguments;
mod block;
#[cfg(feature = "serde-json-core")]
mod by_serde;
mod call;
mod caller;
mod entry;
mod error;
mod hints;
mod level;
mod list;
mod macros;
mod number;
mod or_fail;
mod output;
mod parts;
#[cfg(feature = "seal")]
mod questions;
mod said;
mod schema;
mod streaming;
mod structured;
pub mod template;
mod uri;

pub use argument::Argument;
pub use argument_error::{ArgumentError, Problem};
pub use arguments::{Args, Arguments, Nothing};
#[doc(hidden)]
pub use arguments::{Sorted, read_object};
pub use block::{Block, TextBlock};
#[cfg(feature = "serde-json-core")]
pub use by_serde::{BySerde, Described};
pub use call::{Call, Completing, Operation, Read, RequestMeta, scopes};
pub use caller::Caller;
#[cfg(feature = "embassy")]
pub(crate) use caller::{Progress, Runner};
pub use entry::{Catalogue, Entry, Features, Kind, Member, Mirror, Tables, is_tool_name};
pub use error::{ToolError, ToolResult};
pub use hints::Hints;
pub use level::Level;
pub use list::List;
pub use number::{Fixed, Within};
pub use or_fail::OrFail;
pub use output::{Contents, Messages, Output, Role, Values};
pub(crate) use output::{End, Instead};
#[doc(hidden)]
pub use parts::{hint_parts, later_parts, prompt_parts, resource_parts, tool_parts};
#[cfg(feature = "seal")]
pub use questions::{Answered, Questions};
#[doc(hidden)]
pub use said::{Said, count, entries, present};
pub use schema::Expected;
#[doc(hidden)]
pub use schema::{
    Field, constant, members_of, plain_name, prompt, prompt_len, schema, schema_len, snake_case, snake_case_len,
};
pub use streaming::Streaming;
pub use structured::{Object, Outcome, ToJson};
pub use uri::same_uri;
