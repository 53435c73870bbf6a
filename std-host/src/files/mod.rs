//! Tools, prompts and resources from the files of a directory, without a server.
//!
//! - [`ToolFiles`]: each executable with a description file is a tool.
//! - [`PromptFiles`]: each Markdown file is a prompt.
//! - [`ResourceFiles`]: each file is a resource.
//!
//! Each of them is a [`Backend`](crate::backend::Backend). The directory is read again when a file in it
//! changes, and clients are notified of the changes.
//!
//! ```no_run
//! use attache_host::Server;
//! use attache_host::files::{ResourceFiles, ToolFiles};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new("files", "1.0")
//!     .backend("", ToolFiles::open("/srv/tools".as_ref())?)
//!     .backend("", ResourceFiles::open("manuals", "/srv/manuals".as_ref())?);
//! # drop(server);
//! # Ok(())
//! # }
//! ```

mod access;
mod description;
mod execution;
mod folder;
pub mod limits;
mod media_type;
mod prompts;
mod resources;
mod template;
mod tools;

pub use prompts::PromptFiles;
pub use resources::ResourceFiles;
pub use tools::ToolFiles;
