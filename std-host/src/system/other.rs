//! What other systems than Unix have instead.

use core::fmt;
use std::io;
use std::path::Path;

/// There are no Unix sockets.
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
