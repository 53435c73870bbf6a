//! JSON-RPC 2.0: which message a text is, and the parts that an answer is made of.

mod code;
mod envelope;
mod reply;

pub use code::{Code, Error, Header, HeaderFault, Missing, Param};
pub use envelope::{Answer, Envelope, Message, Request, Unanswerable};
pub use reply::{Section, error, head, section};
