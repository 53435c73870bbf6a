//! Configuration of an HTTP endpoint on a device, and the memory of its connections.

use super::Changes;
use super::guard::Guard;
use super::room::ConnectionSlots;
use crate::http::Policy;
use crate::mcp::Server;
use embassy_time::Duration;

/// Configuration of an endpoint: its path, its policy, its credentials and its deadlines.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EndpointConfig<'a> {
    /// The path of the endpoint, such as `/mcp`. Requests for other paths get 404.
    pub path: &'a str,
    /// Which callers are let in. Name the hosts by which clients reach the board: its address, its mDNS name, a forwarded
    /// `localhost`.
    pub policy: Policy<'a>,
    /// The keys and tokens that callers authenticate with: [`Guard::NONE`] if the policy asks for nothing.
    pub guard: Guard<'a>,
    /// Timeouts of a connection.
    pub deadlines: Deadlines,
}

impl EndpointConfig<'_> {
    /// Whether a request to this path is for the endpoint. A slash at the end does not count: people add one, and clients do not tell
    /// them.
    pub(super) fn is_at(&self, path: &str) -> bool {
        without_slash(path) == without_slash(self.path)
    }
}

fn without_slash(path: &str) -> &[u8] {
    path.as_bytes().strip_suffix(b"/").unwrap_or(path.as_bytes())
}

/// An endpoint: one for all its connections, which run on one executor.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Endpoint<'a, const URIS: usize> {
    /// The server that answers.
    pub server: &'a Server<'a>,
    /// Changes of resources, for subscriptions.
    pub changes: &'a Changes<URIS>,
    /// Path, policy, credentials and deadlines.
    pub site: EndpointConfig<'a>,
    /// Counts connections and subscriptions.
    pub room: ConnectionSlots,
}

impl<'a> Endpoint<'a, 0> {
    /// An endpoint at `/mcp` with the default deadlines, whose resources do not change, for so many sockets. The fields can be changed.
    pub fn new(server: &'a Server<'a>, policy: Policy<'a>, guard: Guard<'a>, sockets: usize) -> Self {
        static NONE: Changes<0> = Changes::new([]);
        let site = EndpointConfig { path: "/mcp", policy, guard, deadlines: Deadlines::DEFAULT };
        Self { server, changes: &NONE, site, room: ConnectionSlots::new(sockets) }
    }
}

impl<'a, const URIS: usize> Endpoint<'a, URIS> {
    /// The same endpoint, whose subscriptions are told of these changes.
    #[must_use]
    pub fn changes<const N: usize>(self, changes: &'a Changes<N>) -> Endpoint<'a, N> {
        let Self { server, site, room, .. } = self;
        Endpoint { server, changes, site, room }
    }

    /// The same endpoint at another path.
    #[must_use]
    pub fn path(self, path: &'a str) -> Self {
        Self { site: EndpointConfig { path, ..self.site }, ..self }
    }

    /// The same endpoint with other timeouts.
    #[must_use]
    pub fn deadlines(self, deadlines: Deadlines) -> Self {
        Self { site: EndpointConfig { deadlines, ..self.site }, ..self }
    }
}

/// Timeouts of a connection. A client that exceeds one loses its own connection; others are not affected.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Deadlines {
    /// From the first byte of a head to its last; for the first head from the beginning of the connection.
    pub head: Duration,
    /// For a whole body.
    pub body: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For a handler. After it the client gets an error.
    pub call: Duration,
    /// For the client to take a whole answer. The time that the handler takes does not count. Each piece of a streamed result,
    /// each event and each comment has this time of its own; the pieces together have `call`.
    pub write: Duration,
    /// Between two keep-alive comments on an event stream.
    pub comment: Duration,
}

impl Deadlines {
    /// Defaults for clients in a local network.
    pub const DEFAULT: Self = Self {
        head: Duration::from_secs(5),
        body: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        call: Duration::from_secs(60),
        write: Duration::from_secs(10),
        comment: Duration::from_secs(15),
    };
}

/// The memory of one connection.
///
/// `HEAD` is the longest head of a request in bytes, `BODY` the longest body, `OUT` the longest result that is not streamed.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HttpBuffers<const HEAD: usize, const BODY: usize, const OUT: usize> {
    pub(super) head: [u8; HEAD],
    pub(super) body: [u8; BODY],
    pub(super) out: [u8; OUT],
}

impl<const HEAD: usize, const BODY: usize, const OUT: usize> HttpBuffers<HEAD, BODY, OUT> {
    /// Empty buffers.
    pub const fn new() -> Self {
        const { assert!(OUT >= 256, "heads of answers are written to the buffer for results, so it needs 256 bytes") };
        Self { head: [0; HEAD], body: [0; BODY], out: [0; OUT] }
    }
}

impl<const HEAD: usize, const BODY: usize, const OUT: usize> Default for HttpBuffers<HEAD, BODY, OUT> {
    fn default() -> Self {
        Self::new()
    }
}

/// How to end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum End {
    /// Close it gracefully: close the writing side, then read until the client closes or a timeout passes. A request that was
    /// refused may still be sending its body; closing at once would reset the connection, and the client could lose the
    /// answer (RFC 9112 §9.6).
    Close,
    /// Reset it: the last answer is incomplete, and the client must not take it for a whole one.
    Abort,
}
