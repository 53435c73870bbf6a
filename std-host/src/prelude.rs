//! The names that most servers need, for `use attache_host::prelude::*`.
//!
//! ```
//! use attache_host::prelude::*;
//!
//! let server = Server::new("answers", "1.0").tool("answer", "The answer to everything", async |_: NoArgs, _: Ctx| 42);
//! ```

pub use crate::{
    CompletionRequest, Content, Contents, Ctx, Json, Level, NoArgs, OrUser, Prompt, PromptOutput, Resource,
    ResourceRequest, Role, Server, ServerBuilder, TextStream, Tool, ToolError, ToolOutput, Version, stdio, tools, with,
};
