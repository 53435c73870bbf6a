//! What only Unix has: signals that stop and reload, local sockets, sockets of a service manager, permissions of files.

use super::listener::{Listener, Stream};
use core::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the program to stop: Ctrl-C, and what service managers send.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From here on these signals do not end the program by themselves.
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signal that asks the program to read its files again.
#[derive(Debug)]
pub(crate) struct Reload(Signal);

impl Reload {
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    pub(crate) async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}

/// A Unix socket that listens. Its file goes with it, if it is still the same.
#[derive(Debug)]
pub(crate) struct Local {
    listener: UnixListener,
    /// Nothing if a service manager made it.
    file: Option<(PathBuf, u64)>,
}

impl Local {
    /// Listens at `path`. Its file has these permissions from the moment it appears.
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

    pub(crate) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.listener.accept().await?.0))
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

/// The first socket that a service manager has handed over (`LISTEN_FDS`, sd_listen_fds(3)).
pub(crate) fn handed_over() -> io::Result<Option<Listener>> {
    let mut handed_over = listenfd::ListenFd::from_env();
    if handed_over.len() == 0 {
        return Ok(None);
    }
    if let Ok(Some(listener)) = handed_over.take_tcp_listener(0) {
        listener.set_nonblocking(true)?;
        return Listener::tcp(TcpListener::from_std(listener)?).map(Some);
    }
    let Some(listener) = handed_over.take_unix_listener(0)? else { return Ok(None) };
    listener.set_nonblocking(true)?;
    Ok(Some(Listener::Local(Local { listener: UnixListener::from_std(listener)?, file: None })))
}

/// A new file that nobody else may read; an error if there is one already.
pub(crate) fn create_private(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Gives a new file to the owner of the one that it replaces, or of the directory if there is none: root changes keys for a service
/// that runs as another user. Others than root cannot, and need not.
pub(crate) fn keep_owner(replaced: &Path, fresh: &fs::File) {
    let directory = replaced.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(owner) = fs::metadata(replaced).or_else(|_| fs::metadata(directory)) {
        let _ = std::os::unix::fs::fchown(fresh, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Why a file with secrets is not private to its owner, and the command that mends it; `None` if it is private.
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

/// Why the owner of a file with secrets is not to be trusted, and the command that mends it; `None` for root and the user of this program.
pub(crate) fn foreign_owner(file: &Path) -> io::Result<Option<String>> {
    let (owner, own) = (fs::metadata(file)?.uid(), rustix::process::geteuid().as_raw());
    Ok((owner != own && owner != 0).then(|| {
        let path = file.display();
        format!("belongs to user {owner}, who is neither root nor the user of this program ({own}): chown {own} {path}")
    }))
}

/// Tells apart two files of one name and time: the number of the file, and when its content or mode last changed.
pub(crate) fn version(metadata: &fs::Metadata) -> (u64, i64, i64) {
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

/// Keeps memory with secrets out of core dumps, and other processes of the user from reading it.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // The limit does not reach a program that takes core dumps through a pipe (core(5)); this does.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
