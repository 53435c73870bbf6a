//! What is kept of legacy clients: which of their calls run, what they want to hear, what they were asked and have not answered,
//! and what was sent to them and may be asked for again. A client of revision 2026-07-28 leaves nothing here.

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
