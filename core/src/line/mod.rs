//! MCP over lines (MCP basic/transports/stdio): standard input and output, a UART, any byte stream in order. One message
//! a line. [`Lines`] cuts the stream, [`Connection`] knows what was agreed on it.
//!
//! A peer sets the line up by sending the first message; nothing is sent unasked. Closing the stream ends everything. Where
//! a stream cannot be closed, as on a UART, the next peer begins with an empty line, which ends what its predecessor may
//! have left half said, and with `initialize` or the modern era.

mod connection;
mod lines;

pub use connection::Connection;
pub use lines::{Cut, Lines};
