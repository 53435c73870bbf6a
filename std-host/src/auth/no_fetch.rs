//! Takes the place of `fetch.rs` in a build without feature `discovery`: no keys are fetched.

use super::key_set::KeySet;
use core::convert::Infallible;

/// The fetcher of an issuer's keys. It has no values.
#[derive(Debug)]
pub(super) enum Fetcher {}

impl Fetcher {
    pub(super) const fn issuer(&self) -> &str {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "the other one is async")]
    pub(super) async fn keys(&mut self) -> Result<KeySet, Infallible> {
        match *self {}
    }
}
