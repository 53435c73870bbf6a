//! What HTTP means to MCP, as pure functions of header facts: which requests are let in, whether headers and body agree,
//! and which status an answer has. Bytes and sockets belong to the adapters.

mod agree;
mod challenge;
mod facts;
mod gate;
mod metadata;
pub mod sse;
mod status;

pub use agree::{agree, param_agrees};
pub use challenge::challenge;
pub use facts::{Facts, Field, Verb};
pub use gate::{Door, LOOPBACK, Policy, Refusal, Unverified, gate, gate_credentials, gate_session, guest};
pub use metadata::{Resource, metadata};
pub use status::{ACCEPTED, OK, fields, rejected, status};
