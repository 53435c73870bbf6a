//! What an application offers: tools, prompts and resources declared once, their arguments read and their results written
//! in place.

mod argument;
mod block;
mod call;
mod caller;
mod entry;
mod error;
mod hints;
mod level;
mod macros;
mod output;
mod parts;
mod schema;
mod streaming;
pub mod template;
mod uri;

pub use argument::{Args, Argument, ArgumentError, Arguments, Nothing, Problem};
pub use block::{Block, TextBlock};
pub use call::{Asides, Call, Completing, Operation, Read, scopes};
pub use caller::Caller;
#[cfg(feature = "embassy")]
pub(crate) use caller::{Progress, Runner};
pub use entry::{Catalogue, Entry, Features, Kind, Member, Mirror, Tables, is_tool_name};
pub use error::{ToolError, ToolResult};
pub use hints::Hints;
pub use level::Level;
pub use output::{Contents, Messages, Output, Role, Values};
pub(crate) use output::{End, Instead};
#[doc(hidden)]
pub use parts::{hint_parts, prompt_parts, resource_parts, title_parts, tool_parts};
pub use schema::Expected;
#[doc(hidden)]
pub use schema::{Field, constant, prompt, prompt_len, schema, schema_len};
pub use streaming::Streaming;
pub use uri::same_uri;
