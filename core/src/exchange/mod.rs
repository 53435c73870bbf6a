//! One exchange: a body comes in, and what is to be done with it goes out as a small value. The engine itself does no
//! I/O and calls no handler; [`answer`] is the loop for those who do both at once.

mod drive;
mod listen;
mod open;
mod reply;
mod ticket;

pub use drive::answer;
pub use listen::Listen;
pub use open::{Next, Origin, open, too_large};
pub use reply::{Emission, Reply};
pub use ticket::Ticket;
