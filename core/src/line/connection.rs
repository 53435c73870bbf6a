//! What a connection of lines remembers: whether its peer opened the legacy era.

use crate::auth::Authenticated;
use crate::era::Version;
use crate::exchange::{Next, Origin, open};
use crate::mcp::Server;

/// The state of one connection.
///
/// MCP 2026-07-28 basic/versioning: `initialize` selects legacy semantics for this connection only; a request that
/// carries its version is served by that all the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection {
    agreed: Option<Version>,
}

impl Connection {
    /// A connection on which nothing was said yet.
    pub const fn new() -> Self {
        Self { agreed: None }
    }

    /// Reads one line and decides what is to be done with it.
    pub fn open(&mut self, server: &Server<'_>, who: &Authenticated<'_>, line: &[u8]) -> Next {
        let next = open(server, who, Origin::Line(self.agreed), line);
        if let Next::Reply(reply) = &next {
            self.agreed = reply.agreed().or(self.agreed);
        }
        next
    }
}
