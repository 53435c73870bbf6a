//! Opens the listeners of the program.

use super::config::Listen;
use super::problem::Problem;
use super::system;
use attache_host::serve::Listener;
use core::net::SocketAddr;

/// Listens at the address, or on the socket that a service manager has passed. The file of a Unix
/// socket gets the permissions `socket_mode`.
pub(super) async fn bind(at: &Listen, socket_mode: u32) -> Result<Listener, Problem> {
    let bound = async {
        if let Some(handed_over) = system::handed_over()? {
            return Ok(handed_over);
        }
        match at {
            Listen::Tcp(address) => Listener::tcp(*address).await,
            Listen::Unix(path) => Listener::unix(path, socket_mode),
        }
    };
    bound.await.map_err(|error| Problem::Listen(at.to_string(), error))
}

/// Listens at this address, even if a service manager has passed a socket.
pub(super) async fn at(address: SocketAddr) -> Result<Listener, Problem> {
    Listener::tcp(address).await.map_err(|error| Problem::Listen(address.to_string(), error))
}
