//! One exchange: a body comes in, and what is to be done with it goes out as a small value. The engine itself does no
//! I/O and calls no handler; [`answer`] is the loop for those who do both at once.

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
