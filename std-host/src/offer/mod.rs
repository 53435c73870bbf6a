//! The offers of a server (tools, prompts, resources and templates), the closures that run them,
//! and changes of the lists.

mod arguments;
mod changes;
mod closing;
mod entry;
mod handler;
mod members;
mod offering;
mod prompt;
mod registry;
mod resource;
mod rules;
mod schema;
mod shelf;
mod shortened;
mod site;
mod tool;

pub use changes::Changes;
pub(crate) use changes::{Change, Completion, Offer, Registry, Rerun, Started, WeakChanges};
pub(crate) use entry::since;
pub(crate) use handler::blocking;
pub use handler::{Ctx, Handler};
pub(crate) use offering::completion;
pub use prompt::Prompt;
pub(crate) use registry::{Asked, Called, Known, Source};
pub use registry::{HiddenEntry, NameTaken};
pub use resource::Resource;
pub use tool::Tool;
pub(crate) use tool::mirrors;
