//! What an application offers: tools declared once, their arguments read and their results written in place.

mod argument;
mod call;
mod declare;
mod macros;
mod output;
mod schema;

pub use argument::{Args, Argument, ArgumentError, Arguments, Nothing, Problem};
pub use call::Call;
pub use declare::{Catalogue, Hints, Tool};
pub use output::{Output, TextBlock, ToolError, ToolResult};
pub use schema::Expected;
#[doc(hidden)]
pub use schema::{Field, constant, schema, schema_len};
