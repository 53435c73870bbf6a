//! MCP over lines (MCP basic/transports/stdio): standard input and output, a UART, any byte stream in order. One message
//! a line. [`Lines`] cuts the stream, [`Connection`] knows what was agreed on it.
//!
//! A peer sets the line up by sending the first message; nothing is sent unasked. Closing the stream ends everything;
//! whoever comes next starts anew.

mod connection;
mod lines;

pub use connection::Connection;
pub use lines::{Cut, Lines};
