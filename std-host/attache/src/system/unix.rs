//! Functions that only Unix has: signals that stop and reload, sockets of a service manager, core
//! dumps.

use attache_host::serve::Listener;
use std::io;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the program to stop: Ctrl-C, and SIGTERM from service managers.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals: from now on they do not end the program by default.
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

/// The signal that asks the program to reload its files.
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

/// Returns the first socket that a service manager has passed (`LISTEN_FDS`, sd_listen_fds(3)).
pub(crate) fn handed_over() -> io::Result<Option<Listener>> {
    let mut handed_over = listenfd::ListenFd::from_env();
    if handed_over.len() == 0 {
        return Ok(None);
    }
    if let Ok(Some(listener)) = handed_over.take_tcp_listener(0) {
        listener.set_nonblocking(true)?;
        return Listener::try_from(TcpListener::from_std(listener)?).map(Some);
    }
    let Some(listener) = handed_over.take_unix_listener(0)? else { return Ok(None) };
    listener.set_nonblocking(true)?;
    Ok(Some(Listener::of_unix(UnixListener::from_std(listener)?)))
}

/// Returns the number of the user of this program.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Excludes memory with secrets from core dumps, and prevents other processes of the user from
/// reading it.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // The limit does not apply if the system pipes core dumps to a program (core(5)); this flag
    // does.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
