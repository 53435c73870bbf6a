//! Async drivers for devices (feature `embassy`), over the traits of `embedded-io-async`: no executor, no clock and no
//! heap of their own.

mod changes;
#[cfg(feature = "embassy-net")]
mod endpoint;
#[cfg(feature = "embassy-net")]
mod guard;
#[cfg(feature = "embassy-net")]
mod http;
mod inbox;
#[cfg(all(feature = "journal", feature = "embassy-net"))]
mod keep_time;
#[cfg(feature = "embassy-net")]
mod net;
mod outbox;
#[cfg(feature = "embassy-net")]
mod room;
mod serial;
#[cfg(feature = "sntp")]
mod sntp;
#[cfg(feature = "embassy-net")]
mod source;
mod subscription;
#[cfg(feature = "embassy-net")]
mod to;
#[cfg(feature = "embassy-net")]
mod wall_clock;

pub use changes::Changes;
#[cfg(feature = "embassy-net")]
pub use endpoint::{Deadlines, End, Endpoint, EndpointConfig, HttpBuffers};
#[cfg(feature = "embassy-net")]
pub use guard::{Guard, SignatureBudget, TokenSlot, Tokens};
#[cfg(feature = "embassy-net")]
pub use http::serve_connection;
#[cfg(all(feature = "journal", feature = "embassy-net"))]
pub use keep_time::keep_time;
#[cfg(feature = "embassy-net")]
pub use net::{SocketBuffers, serve};
#[cfg(feature = "embassy-net")]
pub use room::ConnectionSlots;
pub use serial::{Error, Line, LineBuffers};
#[cfg(feature = "sntp")]
pub use sntp::sntp;
#[cfg(feature = "embassy-net")]
pub use wall_clock::WallClock;
