//! The board without feature `guarded`: every client that reaches it may call.

use attache_core::auth::{Access, Gate};
use attache_core::embassy::Guard;
use attache_core::http::Policy;
use embassy_executor::Spawner;
use embassy_net::Stack;

/// The host names of the board: its address, and that of the forwarded port.
const HOSTS: &[&str] = &["localhost", "127.0.0.1", "10.0.2.15"];

/// Sockets in addition to those of HTTP.
pub const SOCKETS: usize = 0;

/// Bytes of a head, which contains no token.
pub const HEAD: usize = 1024;

/// The board has no configuration of callers.
pub struct Callers;

impl Callers {
    pub const fn read() -> Self {
        Self
    }

    /// A constant seed: this board has no secret and no random number generator. A real board has
    /// one.
    pub fn random(&self) -> impl FnMut() -> u64 + use<> {
        || 0x4174_7461_6368_e921
    }

    pub const fn site(&self) -> (Policy<'static>, Guard<'static>) {
        (Policy { hosts: HOSTS, origins: &[], access: Gate::Open(Access::Anonymous) }, Guard::NONE)
    }

    /// The board does not request the time.
    pub fn start(self, _: Spawner, _: Stack<'static>) {}
}
