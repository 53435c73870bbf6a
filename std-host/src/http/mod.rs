//! Streamable HTTP (MCP 2026-07-28 basic/transports/streamable-http) as a tower service. Each
//! message is a POST. Its answer is JSON, or a stream of events if the handler has sent a message
//! before the result.

mod answer;
mod cors;
mod form;
#[cfg(feature = "axum")]
mod http_sse;
mod refused;
mod service;
mod session;
mod stream;

pub use crate::door::{Door, Guarded, OverTls, Peer};
pub use answer::AnswerBody;
#[cfg(feature = "axum")]
pub(crate) use http_sse::HttpSse;
pub use service::McpService;
pub use stream::Broken;
