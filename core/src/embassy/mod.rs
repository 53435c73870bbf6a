//! Async drivers for devices (feature `embassy`), over the traits of `embedded-io-async`: no executor, no clock and no
//! heap of their own.

mod changes;
mod outbox;
mod serial;
mod subscription;

pub use changes::Changes;
pub use serial::{Buffers, Error, serve_lines};
