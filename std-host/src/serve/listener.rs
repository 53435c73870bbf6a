//! The listening socket: a TCP address, a Unix socket, or a socket passed by a service manager.

use crate::{limits, system};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::io;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// A listening socket.
#[derive(Debug)]
pub struct Listener(Socket);

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, SocketAddr),
    Local(system::Local),
}

/// The byte stream of one connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Listener {
    /// Listens at an address; port 0 is any free port.
    ///
    /// # Errors
    /// Why the system does not let it, such as an address that is in use.
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        Self::try_from(TcpListener::bind(address).await?)
    }

    /// Listens at a Unix socket. Its file has the permissions `mode`, such as `0o660`, from the moment it appears. It replaces the file
    /// of a program that was killed, and the file goes when this is dropped.
    ///
    /// # Errors
    /// Why the system does not let it; [`Unsupported`](io::ErrorKind::Unsupported) where there are no Unix sockets.
    pub fn unix(path: impl AsRef<Path>, mode: u32) -> io::Result<Self> {
        system::Local::bind(path.as_ref(), mode).map(|local| Self(Socket::Local(local)))
    }

    /// Uses a Unix socket that listens already, such as one that a service manager has passed. Its
    /// file stays when this is dropped.
    #[cfg(unix)]
    #[must_use]
    pub const fn of_unix(listener: tokio::net::UnixListener) -> Self {
        Self(Socket::Local(system::Local::passed(listener)))
    }

    /// Returns whether this machine alone can connect.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.0 {
            Socket::Tcp(_, address) => address.ip().is_loopback(),
            Socket::Local(_) => true,
        }
    }

    /// Returns the address, which is the authority of URLs; a Unix socket has none.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Socket::Tcp(_, address) => Some(*address),
            Socket::Local(_) => None,
        }
    }

    /// Bounds what the system keeps of answers, see [`SEND_BUFFER`](limits::SEND_BUFFER).
    pub(super) fn bound_buffers(&self) -> io::Result<()> {
        match &self.0 {
            Socket::Tcp(listener, _) => socket2::SockRef::from(listener).set_send_buffer_size(limits::SEND_BUFFER),
            // Unix sockets have small buffers.
            Socket::Local(_) => Ok(()),
        }
    }

    /// Waits for the next connection. Returns it, and where it comes from.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<IpAddr>)> {
        match &self.0 {
            Socket::Tcp(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are written whole, so waiting for more bytes (Nagle's algorithm) gains
                // nothing.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Some(peer.ip())))
            }
            Socket::Local(local) => Ok((Box::new(local.accept().await?), None)),
        }
    }
}

impl TryFrom<TcpListener> for Listener {
    type Error = io::Error;

    /// Takes a socket that listens already.
    fn try_from(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self(Socket::Tcp(listener, address)))
    }
}

impl fmt::Display for Listener {
    /// Writes the address, or `unix:` and the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Socket::Tcp(_, address) => write!(f, "{address}"),
            Socket::Local(local) => write!(f, "{local}"),
        }
    }
}
