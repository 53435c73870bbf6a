//! What is kept of legacy clients: which of their calls run, what they want to hear, what they were asked and have not answered,
//! and what was sent to them and may be asked for again. A client of revision 2026-07-28 leaves nothing here.

mod asking;
mod client;
mod hearing;
mod log;
mod memory;

pub(crate) use asking::{Asked, Legacy};
pub(crate) use client::{Client, InFlight, elsewhere};
pub(crate) use hearing::Hearing;
pub(crate) use log::{Log, Logged, Logs, Reader, Writer};
pub(crate) use memory::{Memory, Signal};
