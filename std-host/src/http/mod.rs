//! Streamable HTTP (MCP 2026-07-28 basic/transports/streamable-http) as a tower service: one POST a message, answered
//! as JSON.

mod service;

pub use service::McpService;
