//! The state of legacy clients: running calls, log levels and subscriptions, open questions, and
//! sent messages for replay. Clients of revision 2026-07-28 leave no state here.

mod client;
pub mod neighbours;
mod questions;
mod replay_buffer;
mod stream;
mod tables;

pub(crate) use client::{Client, RunningCall, elsewhere};
pub(crate) use questions::{Asked, Legacy};
pub(crate) use replay_buffer::{Reader, ReplayBuffer, ReplayBuffers, Replayed, Writer, stream_of};
pub(crate) use stream::SessionStream;
pub(crate) use tables::{SessionTables, Signal};
