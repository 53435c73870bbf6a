//! What only Unix has: local sockets, and permissions of files.

use core::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// A listening Unix socket. Dropping it removes its file, unless that has been replaced.
#[derive(Debug)]
pub(crate) struct Local {
    listener: UnixListener,
    /// The file and its number. `None` if a service manager created it.
    file: Option<(PathBuf, u64)>,
}

impl Local {
    /// Listens at `path`. The file has these permissions from the moment it appears.
    pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        // The socket of a program that was killed refuses connections.
        let is_left = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
            && std::os::unix::net::UnixStream::connect(path)
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if is_left {
            fs::remove_file(path)?;
        }
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777 & !mode));
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = bound?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        let inode = fs::symlink_metadata(path)?.ino();
        Ok(Self { listener, file: Some((path.to_owned(), inode)) })
    }

    /// Takes a socket that listens already.
    pub(crate) const fn passed(listener: UnixListener) -> Self {
        Self { listener, file: None }
    }

    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some((path, inode)) = &self.file
            && fs::symlink_metadata(path).is_ok_and(|file| file.ino() == *inode)
        {
            let _ = fs::remove_file(path);
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some((path, _)) => write!(f, "unix:{}", path.display()),
            None => f.write_str("the socket of the service manager"),
        }
    }
}

/// Creates a new file that only its owner may read. Fails if the file exists.
pub(crate) fn create_private(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Creates a directory, and those above it, that only its owner may enter.
#[cfg(feature = "oauth-client")]
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Gives a new file to the owner of the one that it replaces, or of the directory if there is none,
/// because root changes keys for a service that runs as another user. A user other than root cannot
/// do this and does not need to.
pub(crate) fn keep_owner(replaced: &Path, fresh: &fs::File) {
    let directory = replaced.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(owner) = fs::metadata(replaced).or_else(|_| fs::metadata(directory)) {
        let _ = std::os::unix::fs::fchown(fresh, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Says why a file with secrets is not private to its owner, and which command corrects it. `None`
/// if it is private.
pub(crate) fn exposure(file: &Path) -> io::Result<Option<String>> {
    const OTHERS: u32 = 0o007;
    const GROUP_WRITES: u32 = 0o020;
    let path = file.display();
    let metadata = fs::metadata(file)?;
    let mode = metadata.permissions().mode();
    Ok(if mode & OTHERS != 0 {
        Some(format!("can be read or written by other users: chmod 600 {path}"))
    } else if mode & GROUP_WRITES != 0 {
        Some(format!("can be written by its group: chmod 600 {path}"))
    } else {
        None
    })
}

/// Says why the owner of a file with secrets is not trusted, and which command corrects it. `None`
/// if the owner is root or the user of this program.
pub(crate) fn foreign_owner(file: &Path) -> io::Result<Option<String>> {
    let (owner, own) = (fs::metadata(file)?.uid(), rustix::process::geteuid().as_raw());
    Ok((owner != own && owner != 0).then(|| {
        let path = file.display();
        format!("belongs to user {owner}, who is neither root nor the user of this program ({own}): chown {own} {path}")
    }))
}

/// Distinguishes two files of one name and time: by the number of the file, and the time when its
/// content or mode last changed.
pub(crate) fn version(metadata: &fs::Metadata) -> (u64, i64, i64) {
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}
