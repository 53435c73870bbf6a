//! Streamable HTTP (MCP 2026-07-28 basic/transports/streamable-http) as a tower service. Each
//! message is a POST. Its answer is JSON, or a stream of events if the handler has sent a message
//! before the result.

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
