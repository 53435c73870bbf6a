//! What other systems than Unix have instead.

use super::listener::{Listener, Stream};
use core::fmt;
use std::io;
use std::path::Path;

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

/// There are no Unix sockets.
#[derive(Debug)]
pub(crate) enum Local {}

impl Local {
    pub(crate) fn bind(_: &Path, _: u32) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match *self {}
    }
}

impl fmt::Display for Local {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// No service manager hands sockets over.
pub(crate) fn handed_over() -> io::Result<Option<Listener>> {
    Ok(None)
}

/// A new file; an error if there is one already.
pub(crate) fn create_private(path: &Path) -> io::Result<std::fs::File> {
    std::fs::File::create_new(path)
}

/// Files have no owner that is told here.
pub(crate) fn keep_owner(_: &Path, _: &std::fs::File) {}

/// Who may read a file is not in its mode.
pub(crate) fn exposure(file: &Path) -> io::Result<Option<String>> {
    std::fs::metadata(file).map(|_| None)
}

/// Files have no owner that is told here.
pub(crate) fn foreign_owner(_: &Path) -> io::Result<Option<String>> {
    Ok(None)
}

/// Nothing tells apart two files of one name, time and length.
pub(crate) fn version(_: &std::fs::Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}

/// There are no core dumps.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    Ok(())
}
