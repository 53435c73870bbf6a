//! Tools of a host: async closures with typed arguments.

mod arguments;
mod handler;
mod output;
mod registry;
mod schema;

pub use handler::{AsyncTool, Ctx, NoArgs};
pub use output::{Content, IntoToolOutput, ToolError, ToolOutput};
pub(crate) use registry::{Registry, Run, escaped};
