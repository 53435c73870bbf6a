//! Policies on the MCP paths of an application: requests are held until their messages are judged, and lists are filtered.

mod admission;
mod answer;
mod events;
mod members;
mod message;
mod policy;

pub(super) use admission::Admission;
pub(super) use policy::McpPolicy;
