//! The engine of a finished server: it runs the requests of the protocol engine, and produces the
//! answers.

mod answer;
mod batch;
mod listening;
mod pending;
mod piped;
mod running;
mod server;
mod stop;

pub(crate) use answer::{Answer, Step};
pub(crate) use batch::batched;
pub(crate) use listening::Listening;
pub(crate) use pending::Pending;
pub(crate) use running::Running;
pub(crate) use server::Moment;
pub use server::Server;
pub(crate) use stop::{STOPPED, Stop, StopCalls};
