//! One exchange: the driver passes in a body, and [`open()`] returns a small value that tells the
//! driver the next step. The engine does no I/O and calls no handler; [`answer`] is a driver for
//! callers with a handler that returns at once.

mod batch;
mod drive;
mod inflight;
mod listen;
mod open;
mod reply;
mod sessions;
mod ticket;

pub use batch::Batch;
pub use drive::answer;
pub use inflight::{Busy, Inflight, Place};
pub use listen::Listen;
pub use open::{Next, Origin, Wish, open, open_batched, open_in_unknown_session};
pub use reply::{Emission, Reply, Standalone};
pub use sessions::{Sessions, Share, Unkept};
pub use ticket::Ticket;
