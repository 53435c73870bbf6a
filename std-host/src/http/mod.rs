//! Streamable HTTP (MCP 2026-07-28 basic/transports/streamable-http) as a tower service: one POST a message, answered
//! as JSON, or as a stream of events once a handler has told something.

mod answer;
mod cors;
mod door;
mod facts;
mod form;
mod front;
mod service;
mod session;
mod stream;

pub use answer::AnswerBody;
pub use facts::OverTls;
pub use front::{Front, Refused};
pub use service::{McpService, Peer};
pub use stream::Broken;
