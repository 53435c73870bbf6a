//! Replacements on systems other than Unix.

use core::fmt;
use std::io;
use std::path::Path;

/// A Unix socket, which does not exist here.
#[derive(Debug)]
pub(crate) enum Local {}

impl Local {
    pub(crate) fn bind(_: &Path, _: u32) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) async fn accept(&self) -> io::Result<tokio::net::TcpStream> {
        match *self {}
    }
}

impl fmt::Display for Local {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// Creates a new file. Fails if the file exists.
pub(crate) fn create_private(path: &Path) -> io::Result<std::fs::File> {
    std::fs::File::create_new(path)
}

/// Creates a directory, and those above it.
#[cfg(feature = "oauth-client")]
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Does nothing, because this system's files have no owner to keep.
pub(crate) fn keep_owner(_: &Path, _: &std::fs::File) {}

/// Returns `None`, because the mode of a file does not say who may read it.
pub(crate) fn exposure(file: &Path) -> io::Result<Option<String>> {
    std::fs::metadata(file).map(|_| None)
}

/// Does nothing, because this system's files have no owner to keep.
pub(crate) fn foreign_owner(_: &Path) -> io::Result<Option<String>> {
    Ok(None)
}

/// Returns a constant, because nothing tells apart two files of one name, time and length.
pub(crate) fn version(_: &std::fs::Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}
