//! Server-sent events (HTML Living Standard §9.2), as far as MCP uses them: each event carries one
//! message on one line.

/// The bytes before a message.
pub const FRONT: &[u8] = b"event: message\ndata: ";

/// The bytes after a message, which end the event.
pub const BACK: &[u8] = b"\n\n";

/// A comment without content, which keeps the connection open (MCP 2026-07-28 streamable-http
/// encourages it).
pub const KEEP_ALIVE: &[u8] = b":\n\n";

/// The header fields of a stream response; they tell proxies not to buffer it (MCP 2026-07-28
/// streamable-http).
pub const FIELDS: &[(&str, &str)] =
    &[("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no")];

/// The bytes before an event's id, which a client sends back in `Last-Event-ID` to resume its
/// stream.
pub const ID: &[u8] = b"id: ";

/// The bytes after the id of a priming event: an event with only an id, first in a stream, so that
/// the stream can be resumed from its start (MCP 2025-11-25 basic/transports).
pub const PRIMING: &[u8] = b"\ndata: \n\n";

/// The bytes after the id of the last event before the server closes the stream: the client
/// reconnects one second later and resumes after that id (MCP 2025-11-25 basic/transports: a server
/// SHOULD send `retry` before it closes).
pub const POLL: &[u8] = b"\nretry: 1000\ndata: \n\n";
