//! JSON-RPC 2.0: the kinds of messages, the errors, and the parts of a response.

mod code;
mod envelope;
mod error;
mod reply;

pub use code::Code;
pub use envelope::{Answer, Envelope, Message, Request, Unanswerable};
pub use error::{Error, Header, HeaderFault, Missing, Param};
pub use reply::{Window, error, head};
