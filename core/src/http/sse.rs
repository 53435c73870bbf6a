//! Server-sent events (HTML Living Standard §9.2), as far as MCP uses them: one message of one line in one event.

/// Stands in front of a message.
pub const FRONT: &[u8] = b"event: message\ndata: ";

/// Stands behind it and ends the event.
pub const BACK: &[u8] = b"\n\n";

/// A comment, which says nothing and keeps the connection open (MCP 2026-07-28 streamable-http encourages it).
pub const KEEP_ALIVE: &[u8] = b":\n\n";

/// The header fields of an answer that is a stream. Buffering proxies are asked not to (MCP 2026-07-28 streamable-http).
pub const FIELDS: &[(&str, &str)] =
    &[("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no")];

/// Stands in front of an event's id, which a client gives back in `Last-Event-ID` to resume its stream.
pub const ID: &[u8] = b"id: ";

/// An event with an id and nothing else stands in front of a stream that can be resumed from its start (MCP 2025-11-25
/// basic/transports): this is what comes behind the id.
pub const PRIMING: &[u8] = b"\ndata: \n\n";

/// The same of an event that is the last before the server closes the stream: the client is to come back a second later, and goes on
/// behind that id (MCP 2025-11-25 basic/transports: a server SHOULD send `retry` before it closes).
pub const POLL: &[u8] = b"\nretry: 1000\ndata: \n\n";
