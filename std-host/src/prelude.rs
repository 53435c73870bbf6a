//! The names that most servers need, for `use attache_host::prelude::*`.
//!
//! ```
//! use attache_host::prelude::*;
//!
//! let server = Server::new("pi", "1.0").tool("pi", "Pi, roughly", async |_: NoArgs, _: Ctx| 3.14159);
//! ```

pub use crate::{
    CompletionRequest, Content, Contents, Ctx, Json, Level, NoArgs, OrUser, Prompt, PromptOutput, Resource,
    ResourceRequest, Role, Server, ServerBuilder, TextStream, Tool, ToolError, ToolOutput, Version, stdio, tools, with,
};
