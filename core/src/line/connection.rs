//! The state of a line connection: the result of its legacy handshake, if there was one.

use crate::auth::Authenticated;
use crate::era::{Client, Version};
use crate::exchange::{Carrier, Next, Opened, open, open_batched};
use crate::mcp::Server;
use crate::rpc::Error;

/// The state of one line connection.
///
/// MCP 2026-07-28 basic/versioning: `initialize` selects legacy semantics for this connection only.
/// A request that carries its own version is served by that version all the same.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Connection {
    agreed: Option<Version>,
    client: Client,
    /// Set if the line survives its peers: a second handshake is then the first of a new peer.
    outlasts_peers: bool,
}

impl Connection {
    /// Creates the state of a connection that ends with its peer, such as a pipe. A second
    /// `initialize` on it is an error.
    pub const fn new() -> Self {
        Self { agreed: None, client: Client::NONE, outlasts_peers: false }
    }

    /// Creates the state of a line that outlasts its peers, such as a UART. The server cannot see
    /// when one peer leaves and another arrives, so each `initialize` starts over.
    pub const fn outlasting() -> Self {
        Self { agreed: None, client: Client::NONE, outlasts_peers: true }
    }

    /// Reads one line and decides what the driver does next.
    pub fn open(&mut self, server: &Server<'_>, who: &Authenticated<'_>, line: &[u8]) -> Opened {
        let mut opened = open(server, who, Carrier::Line(self.agreed), line);
        if self.outlasts_peers
            && let Next::Reply(reply) = &opened.next
            && reply.error_reported() == Some(Error::AlreadyInitialized)
        {
            opened = open(server, who, Carrier::Line(None), line);
        }
        if let Next::Reply(reply) = &opened.next
            && let Some(agreed) = reply.agreed()
        {
            (self.agreed, self.client) = (Some(agreed), reply.client());
        }
        opened
    }

    /// Reads one message of a [`Batch`](crate::exchange::Batch) that arrived as a line, and decides
    /// what the driver does next.
    pub fn open_batched(&self, server: &Server<'_>, who: &Authenticated<'_>, message: &[u8]) -> Opened {
        open_batched(server, who, Carrier::Line(self.agreed), message)
    }

    /// Returns the result of the handshake, if there was one: the revision and the client's
    /// capabilities.
    pub fn agreed(&self) -> Option<(Version, Client)> {
        Some((self.agreed?, self.client))
    }
}
