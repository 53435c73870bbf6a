//! What other systems than Unix have instead.

use std::io;

/// What asks the program to stop: Ctrl-C.
#[derive(Debug)]
pub(crate) struct Signals {}

impl Signals {
    /// The same as on Unix.
    #[expect(clippy::unnecessary_wraps, reason = "the same for all systems")]
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
