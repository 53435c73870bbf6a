//! The measured requests, and a counter of allocations. `run` prints the table; the tests run the
//! same requests to check that none allocates.

mod allocations;
mod cases;
pub mod server;

pub use allocations::{Counting, allocations};
pub use cases::{CASES, Case, Ready, case};
pub use server::{Bench, Buffers, ECHO, TWENTY};
