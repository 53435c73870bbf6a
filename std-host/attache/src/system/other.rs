//! What other systems than Unix have instead.

use attache_host::serve::Listener;
use std::io;

/// What asks the program to stop: Ctrl-C.
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

/// No signal asks to read files again.
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

/// No service manager hands sockets over.
pub(crate) fn handed_over() -> io::Result<Option<Listener>> {
    Ok(None)
}

/// There are no core dumps.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    Ok(())
}
