//! The offers of a server (tools, prompts, resources and templates), the closures that run them,
//! and changes of the lists.

mod add_error;
mod arguments;
mod changes;
mod checker;
mod closing;
mod completion;
mod definition;
mod entry;
mod handler;
mod layered;
mod members;
mod mirror;
mod name_taken;
mod offering;
mod passed;
mod prompt;
mod registry;
mod resource;
mod rules;
mod schema;
mod shelf;
mod shortened;
mod site;
mod state;
mod tool;

pub use add_error::AddError;
pub use changes::Changes;
pub(crate) use changes::{Change, Completion, Offer, Registry, Rerun, Started, WeakChanges};
pub(crate) use completion::completion;
pub(crate) use definition::{Asked, Called, Source};
pub(crate) use entry::since;
pub use handler::{Ctx, Handler, with};
pub use layered::{ToolCall, ToolFailure, ToolService};
pub(crate) use mirror::mirrors;
pub use name_taken::NameTaken;
pub(crate) use passed::PassedExtensions;
pub use prompt::Prompt;
pub use registry::HiddenEntry;
pub(crate) use registry::Known;
pub use resource::Resource;
#[cfg(any(feature = "files", feature = "functions"))]
pub(crate) use rules::Rules;
pub(crate) use state::States;
pub use tool::Tool;
