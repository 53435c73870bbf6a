//! The Model Context Protocol above JSON-RPC: a server's declaration, its methods, and their
//! results.

mod discover;
mod list;
mod method;
mod notify;
mod params;
mod server;

pub use discover::{discover, initialize};
pub use list::Page;
pub use method::{MessageLabel, Method};
#[cfg(feature = "embassy")]
pub(crate) use notify::progress_pieces;
pub(crate) use notify::tag;
pub use notify::{list_changed, message, page_done, progress, question, updated};
pub use params::Params;
pub use server::Server;
