//! HTTP/1.1 on the wire (RFC 9112), for devices: [`Heads`] collects and reads the head of a request, [`Body`] takes its body out
//! of its framing, [`head`] writes the head of an answer. A host has a library for all of that; the ones that
//! need no heap have paths that panic.
//!
//! Whatever two readers could understand in two ways is refused, and the connection is closed then.

mod answer;
mod body;
mod fault;
mod head;

pub use answer::{After, Content, chunk, close_head, head, open_head};
pub use body::Body;
pub use fault::Fault;
pub use head::{Framing, Heads, Request};
