//! Streamable HTTP (MCP 2026-07-28 basic/transports/streamable-http) as a tower service: one POST a message, answered
//! as JSON, or as a stream of events once a handler has told something.

mod answer;
mod cors;
mod form;
mod refused;
mod service;
mod session;
mod stream;

pub use crate::door::{Door, Guarded, OverTls, Peer};
pub use answer::AnswerBody;
pub use service::McpService;
pub use stream::Broken;
