//! Takes the place of `tls.rs` in a build without feature `tls`: connections are not encrypted.

use super::listener::Stream;
use std::io;

/// The certificate of new connections. It has no values.
#[derive(Clone, Debug)]
pub(super) enum Certificate {}

impl Certificate {
    #[expect(clippy::unused_async, reason = "the other one is async")]
    pub(super) async fn accept<S: Stream>(&self, _: S) -> io::Result<S> {
        match *self {}
    }
}
