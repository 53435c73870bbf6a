//! HTTP semantics of MCP, as pure functions of header fields: whether a request is admitted,
//! whether headers and body agree, and the status of a response. Adapters handle bytes and sockets.

mod accept;
mod agree;
mod challenge;
mod facts;
mod gate;
mod metadata;
pub mod sse;
mod status;

pub use accept::Accept;
pub use agree::{agree, param_agrees};
pub use challenge::challenge;
pub use facts::{Field, HeadFacts, Method};
pub use gate::{Door, LOOPBACK, Policy, Refusal, Unverified, gate, gate_credentials, gate_route, gate_session, guest};
pub use metadata::{Resource, metadata};
pub use status::{ACCEPTED, OK, fields, rejected, status};
