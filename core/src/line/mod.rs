//! MCP over lines (MCP basic/transports/stdio): standard input and output, a UART, or any other
//! ordered byte stream. Each line is one message. [`Lines`] splits the stream, and [`Connection`]
//! keeps the result of the handshake.
//!
//! The client sends the first message; the server sends nothing before that. Closing the stream
//! ends the connection. Where a stream cannot be closed, as on a UART, the next client first sends
//! an empty line, which ends an unfinished message of its predecessor. Then it sends `initialize`
//! or a modern request.

mod connection;
mod lines;

pub use connection::Connection;
pub use lines::{Cut, Lines};
