//! The state of legacy clients: running calls, log levels and subscriptions, open questions, and
//! sent messages for replay. Clients of revision 2026-07-28 leave no state here.

mod client;
pub mod neighbours;
mod questions;
mod replay_buffer;
mod stream;
mod tables;

pub(crate) use client::{Client, InFlight, elsewhere};
pub(crate) use questions::{Asked, Legacy};
pub(crate) use replay_buffer::{Log, Logged, Logs, Reader, Writer, stream_of};
pub(crate) use stream::Hearing;
pub(crate) use tables::{Memory, Signal};
