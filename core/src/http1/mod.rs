//! HTTP/1.1 on the wire (RFC 9112), for devices. [`Heads`] collects and parses the head of a
//! request, [`Body`] decodes its body, and [`head`] writes the head of a response. A host uses an
//! HTTP library for this; the libraries that need no heap contain code paths that panic.
//!
//! Anything that two parsers could understand differently is refused, and then the connection is
//! closed.

mod answer;
mod body;
mod fault;
mod head;

pub use answer::{After, Content, chunk, close_head, head, open_head};
pub use body::Body;
pub use fault::Fault;
pub use head::{Framing, Heads, Request};
