//! The access checks that a request passes before it is served: `Host`, `Origin`, rate limits and credentials. MCP endpoints and all
//! other routes of a program pass the same checks.

mod checks;
mod head;
mod layer;
mod rates;

pub(crate) use checks::{Checks, Out};
#[cfg(feature = "axum")]
pub(crate) use head::Relayed;
pub(crate) use head::{HeadRefusal, facts, is_relayed, size};
pub use head::{OverTls, Peer};
#[cfg(feature = "proxy")]
pub(crate) use layer::Challenger;
pub(crate) use layer::redirect;
pub use layer::{Door, Guarded};
