//! What a host offers: closures with typed arguments that answer as tools, prompts, resources and completions.

mod arguments;
mod ask;
mod changes;
mod error;
mod events;
mod form;
mod handler;
mod metadata;
mod offer;
mod outcome;
mod output;
mod registry;
mod rules;
mod schema;
mod streamed;

pub use ask::{Ask, Elicited};
pub(crate) use changes::Change;
pub use changes::Changes;
use error::Failure;
pub use error::ToolError;
pub(crate) use handler::blocking;
pub use handler::{Completing, Ctx, Handler, NoArgs, Read};
pub(crate) use metadata::Metadata;
pub use metadata::TraceContext;
pub(crate) use offer::completion;
pub use offer::{Prompt, Resource, Tool};
pub(crate) use outcome::{Outcome, Run, StreamedText};
pub use output::{Content, Contents, IntoContents, IntoPrompt, IntoToolOutput, Json, PromptOutput, Role, ToolOutput};
pub use registry::Taken;
pub(crate) use registry::{Again, Completion, Known, Offer, Registry, Started};
pub use streamed::Streamed;
