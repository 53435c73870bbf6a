//! What a host offers: closures with typed arguments that answer as tools, prompts, resources and completions.

mod arguments;
mod handler;
mod offer;
mod outcome;
mod output;
mod registry;
mod schema;

pub use handler::{Completing, Ctx, Handler, NoArgs, Read};
pub(crate) use offer::completion;
pub use offer::{Prompt, Resource, Tool};
pub(crate) use outcome::{Outcome, Run};
pub(crate) use output::Failure;
pub use output::{
    Content, Contents, IntoContents, IntoPrompt, IntoToolOutput, Json, PromptOutput, Role, ToolError, ToolOutput,
};
pub(crate) use registry::{Completion, Registry};
