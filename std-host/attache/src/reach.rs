//! Where callers reach the program: the addresses and URLs of endpoints.

use super::config::Listen;
use attache_host::serve::{Listener, TlsFiles};
use core::fmt;
use core::net::SocketAddr;

/// Where callers reach the program, for URLs and for rules that differ on loopback.
#[derive(Debug)]
pub(super) struct Reach {
    /// The authority of URLs. `None` for a Unix socket.
    pub(super) address: Option<SocketAddr>,
    /// Whether only this machine can connect.
    pub(super) is_local: bool,
    name: String,
}

impl From<&Listener> for Reach {
    fn from(listener: &Listener) -> Self {
        Self { address: listener.address(), is_local: listener.is_local(), name: listener.to_string() }
    }
}

impl From<&Listen> for Reach {
    fn from(listen: &Listen) -> Self {
        Self { address: listen.address(), is_local: listen.is_local(), name: listen.to_string() }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The URL of an endpoint, unless the configuration sets another.
pub(super) fn url(address: Option<SocketAddr>, path: &str, tls: Option<&TlsFiles>) -> String {
    let scheme = if tls.is_some() { "https" } else { "http" };
    match address {
        Some(address) => format!("{scheme}://{address}{path}"),
        None => format!("{scheme}://localhost{path}"),
    }
}
