//! Protocol revisions: which revision of MCP a request belongs to. The era is a property of each
//! request, not of a connection (MCP 2026-07-28 basic/versioning). Modern requests carry their
//! version in `_meta`; legacy clients agree on one in a handshake.

mod client;
mod meta;
mod session;
mod version;

pub use client::Client;
pub use meta::Meta;
pub use session::Session;
pub use version::Version;
