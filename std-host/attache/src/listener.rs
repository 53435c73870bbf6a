//! Where connections come from: an address, a Unix socket, or a socket that a service manager has passed.

use super::config::Listen;
use super::problem::Problem;
use super::system;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener, SocketAddr),
    Local(system::Local),
}

/// The bytes of one connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Listener {
    /// Listens there, or on the socket that a service manager has passed. The file of a Unix socket gets these permissions.
    pub(super) async fn bind(at: &Listen, socket_mode: u32) -> Result<Self, Problem> {
        let bound = async {
            if let Some(handed_over) = system::handed_over()? {
                return Ok(handed_over);
            }
            match at {
                Listen::Tcp(address) => Self::tcp(TcpListener::bind(address).await?),
                Listen::Unix(path) => Ok(Self::Local(system::Local::bind(path, socket_mode)?)),
            }
        };
        bound.await.map_err(|error| Problem::Listen(at.clone(), error))
    }

    /// Listens at this address, whatever a service manager has passed.
    pub(super) async fn address_of_its_own(at: SocketAddr) -> Result<Self, Problem> {
        let bound = async { Self::tcp(TcpListener::bind(at).await?) };
        bound.await.map_err(|error| Problem::Listen(Listen::Tcp(at), error))
    }

    pub(super) fn tcp(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self::Tcp(listener, address))
    }

    /// Whether this machine alone can connect.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(_, address) => address.ip().is_loopback(),
            Self::Local(_) => true,
        }
    }

    /// The authority of URLs; a Unix socket has none.
    pub(super) const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Local(_) => None,
        }
    }

    /// Bounds what the system keeps of answers, see [`SEND_BUFFER`](attache_host::limits::SEND_BUFFER).
    pub(super) fn bound_buffers(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener, _) => {
                socket2::SockRef::from(listener).set_send_buffer_size(attache_host::limits::SEND_BUFFER)
            }
            // Those of a Unix socket are small.
            Self::Local(_) => Ok(()),
        }
    }

    /// The next connection, and where it comes from.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are written whole: waiting for more bytes gains nothing.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Some(peer.ip())))
            }
            Self::Local(local) => Ok((local.accept().await?, None)),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_, address) => write!(f, "{address}"),
            Self::Local(local) => write!(f, "{local}"),
        }
    }
}
