//! Replacements for the Unix functions on other systems.

use attache_host::serve::Listener;
use std::io;

/// Waits for Ctrl-C, the signal that stops the program.
#[derive(Debug)]
pub(crate) struct Signals {}

impl Signals {
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Never requests a reload, because other systems have no signal for it.
#[derive(Debug)]
pub(crate) struct Reload {}

impl Reload {
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) async fn next(&mut self) {
        core::future::pending().await
    }
}

/// Returns no socket, because other systems have no service manager that passes sockets.
pub(crate) fn handed_over() -> io::Result<Option<Listener>> {
    Ok(None)
}

/// Returns 0, because the users of these systems have no numbers.
pub(crate) const fn user() -> u32 {
    0
}

/// Does nothing, because these systems write no core dumps.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    Ok(())
}
