//! One exchange: the driver passes in a body, and [`open()`] returns a small value with
//! the driver's next step, and the method and the revision of the message for the driver's log. The engine does no I/O and calls no handler; [`answer`] is a driver for
//! callers with a handler that returns at once.

mod batch;
mod carrier;
mod drive;
mod inflight;
mod listen;
mod members;
mod negotiate;
mod next;
mod open;
mod reply;
mod sessions;
mod ticket;

pub use batch::Batch;
pub use carrier::{Batching, Carrier};
pub use drive::answer;
pub use inflight::{Busy, Inflight, Place};
pub use listen::Listen;
pub use next::{Next, Opened, SessionChange};
pub use open::{open, open_batched};
pub use reply::{Emission, Reply, Standalone};
pub use sessions::{Sessions, Share, Unkept};
pub use ticket::Ticket;
