//! Replacements on systems other than Unix.

use super::listener::{Listener, Stream};
use core::fmt;
use std::io;
use std::path::Path;

/// The signals that ask the program to stop: only Ctrl-C.
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

/// The signal that asks the program to reload files, which does not exist here.
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

/// A Unix socket, which does not exist here.
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

/// Returns `None`, because service managers here do not pass sockets.
pub(crate) fn handed_over() -> io::Result<Option<Listener>> {
    Ok(None)
}

/// Creates a new file. Fails if the file exists.
pub(crate) fn create_private(path: &Path) -> io::Result<std::fs::File> {
    std::fs::File::create_new(path)
}

/// Does nothing, because this system's files have no owner to keep.
pub(crate) fn keep_owner(_: &Path, _: &std::fs::File) {}

/// Returns `None`, because the mode of a file does not say who may read it.
pub(crate) fn exposure(file: &Path) -> io::Result<Option<String>> {
    std::fs::metadata(file).map(|_| None)
}

/// Returns `None`, because this system's files have no owner to check.
pub(crate) fn foreign_owner(_: &Path) -> io::Result<Option<String>> {
    Ok(None)
}

/// Returns a constant, because nothing tells apart two files of one name, time and length.
pub(crate) fn version(_: &std::fs::Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}

/// Does nothing, because this system does not write core dumps.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    Ok(())
}
