//! What an HTTP endpoint of a device is, and what a connection to it takes.

use super::Changes;
use super::guard::Guard;
use super::room::Room;
use crate::http::Policy;
use crate::mcp::Server;
use embassy_time::Duration;

/// Where an endpoint answers, and for whom.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Site<'a> {
    /// Where requests go, such as `/mcp`. What comes elsewhere is answered with 404.
    pub path: &'a str,
    /// Who is let in. Name the hosts by which the board is reached: its address, its mDNS name, a forwarded `localhost`.
    pub policy: Policy<'a>,
    /// What proves that who is let in is who he says he is: [`Guard::NONE`] where the policy asks for nothing.
    pub guard: Guard<'a>,
    /// How long a client may keep a connection waiting.
    pub deadlines: Deadlines,
}

impl Site<'_> {
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
    /// What answers.
    pub server: &'a Server<'a>,
    /// What its subscriptions hear of.
    pub changes: &'a Changes<URIS>,
    /// Where and for whom it answers.
    pub site: Site<'a>,
    /// How many at once.
    pub room: Room,
}

/// How long things may take. What takes longer costs the client its connection, and nobody else anything.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Deadlines {
    /// From the first byte of a head to its last; for the first head from the beginning of the connection.
    pub head: Duration,
    /// For a whole body.
    pub body: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For a handler. The client gets an error then.
    pub call: Duration,
    /// For the client to take what is sent, each time the buffer towards it is full.
    pub write: Duration,
    /// Between two comments on a stream that is silent otherwise.
    pub comment: Duration,
}

impl Deadlines {
    /// For people's clients in a local network.
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
        Self { head: [0; HEAD], body: [0; BODY], out: [0; OUT] }
    }
}

impl<const HEAD: usize, const BODY: usize, const OUT: usize> Default for HttpBuffers<HEAD, BODY, OUT> {
    fn default() -> Self {
        Self::new()
    }
}

/// What is to be done with a connection that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum End {
    /// Close it, so that what was sent still arrives.
    Close,
    /// Reset it: the last answer is not whole, and the client must not take it for one.
    Abort,
}
