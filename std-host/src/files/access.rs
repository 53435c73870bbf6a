//! Checks which users may change a file, and opens files below a directory.

use super::limits::TEXT;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Says why a file that is executed could be changed by a user whom the owner of this program has not
/// chosen, and which command corrects it. `None` if it could not.
#[cfg(unix)]
pub(super) fn foreign_writer(path: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path)?;
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let path = path.display();
    Ok(if metadata.is_symlink() {
        Some(format!("{path} is a symbolic link: put the file itself there"))
    } else if owner != own && owner != 0 {
        Some(format!(
            "{path} belongs to user {owner}, who is neither root nor the user of this program: chown {own} {path}"
        ))
    } else if metadata.mode() & 0o022 != 0 {
        Some(format!("{path} can be written by other users than its owner: chmod go-w {path}"))
    } else {
        None
    })
}

#[cfg(not(unix))]
pub(super) fn foreign_writer(path: &Path) -> io::Result<Option<String>> {
    fs::symlink_metadata(path).map(|_| None)
}

#[cfg(unix)]
pub(super) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
pub(super) fn is_executable(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    path.is_file() && extension.is_some_and(|extension| ["exe", "bat", "cmd"].contains(&&*extension))
}

/// Reads a text file of a limited size.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let cannot = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(TEXT + 1).read_to_string(&mut text)).map_err(cannot)?;
    match read as u64 > TEXT {
        true => Err(format!("{} is larger than {TEXT} bytes", path.display())),
        false => Ok(text),
    }
}

/// Opens a file below a directory. No part of `relative` may be a symbolic link, so the file cannot be
/// outside of the directory, even if a part was replaced a moment ago.
#[cfg(unix)]
pub(super) fn open_below(directory: &Path, relative: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open, openat};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = open(directory, flags | OFlags::DIRECTORY, Mode::empty())?;
    let mut parts = relative.iter().peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        // Opening a named pipe would block without a writer.
        let kind = if is_last { OFlags::NONBLOCK } else { OFlags::DIRECTORY };
        at = openat(&at, part, flags | kind, Mode::empty())?;
    }
    let file = File::from(at);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a file")),
    }
}

#[cfg(not(unix))]
pub(super) fn open_below(directory: &Path, relative: &Path) -> io::Result<File> {
    let path = directory.join(relative).canonicalize()?;
    match path.starts_with(directory) {
        true => File::open(path),
        false => Err(io::Error::other("it is outside of the directory")),
    }
}
