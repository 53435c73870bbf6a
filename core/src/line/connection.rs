//! What a connection of lines remembers: whether its peer opened the legacy era.

use crate::auth::Authenticated;
use crate::era::{Client, Version};
use crate::exchange::{Next, Origin, open, open_batched};
use crate::mcp::Server;
use crate::rpc::Error;

/// The state of one connection.
///
/// MCP 2026-07-28 basic/versioning: `initialize` selects legacy semantics for this connection only; a request that
/// carries its version is served by that all the same.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Connection {
    agreed: Option<Version>,
    client: Client,
    /// The line stays when the peer goes, so a second handshake is another peer's first.
    outlasts_peers: bool,
}

impl Connection {
    /// A connection that ends with its peer, such as a pipe. A second `initialize` on it is an error.
    pub const fn new() -> Self {
        Self { agreed: None, client: Client::NONE, outlasts_peers: false }
    }

    /// A line that outlasts its peers, such as a UART: nobody tells when one goes and another comes, so `initialize`
    /// begins anew each time.
    pub const fn outlasting() -> Self {
        Self { agreed: None, client: Client::NONE, outlasts_peers: true }
    }

    /// Reads one line and decides what is to be done with it.
    pub fn open(&mut self, server: &Server<'_>, who: &Authenticated<'_>, line: &[u8]) -> Next {
        let mut next = open(server, who, Origin::Line(self.agreed), line);
        if self.outlasts_peers
            && let Next::Reply(reply) = &next
            && reply.error_reported() == Some(Error::AlreadyInitialized)
        {
            next = open(server, who, Origin::Line(None), line);
        }
        if let Next::Reply(reply) = &next
            && let Some(agreed) = reply.agreed()
        {
            (self.agreed, self.client) = (Some(agreed), reply.client());
        }
        next
    }

    /// Reads one message of a [`Batch`](crate::exchange::Batch) that was a line, and decides what is to be done with it.
    pub fn open_batched(&self, server: &Server<'_>, who: &Authenticated<'_>, message: &[u8]) -> Next {
        open_batched(server, who, Origin::Line(self.agreed), message)
    }

    /// What the handshake has agreed on, if there was one: the revision, and what the client can be asked for.
    pub fn agreed(&self) -> Option<(Version, Client)> {
        Some((self.agreed?, self.client))
    }
}
