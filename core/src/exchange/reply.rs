//! A reply and its emission. A tool's result was written in place; any other response is emitted
//! piece by piece from flash and from the body, through a buffer of any size. Its length is known
//! in advance.

use crate::auth::Denied;
use crate::era::{Client, Version};
use crate::http;
use crate::json::Span;
use crate::mcp::{self, MessageLabel, Method, Page, Server};
use crate::rpc::{self, Error, Unanswerable, Window, head};
use crate::tool::Operation;

/// A response to be sent.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Reply {
    status: u16,
    /// The method of the message that is refused, for the log.
    method: MessageLabel,
    id: Option<Span>,
    shape: Shape,
}

/// The content of a response.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Shape {
    /// A response written to the sink, between these offsets.
    Written(usize, usize),
    /// An error.
    Error(Error),
    /// The caller lacks permission for this operation.
    Denied(http::Refusal, Operation),
    /// `{}`
    Empty,
    /// The result of `initialize`, and the capabilities of the client.
    Initialize(Version, Client),
    /// The result of `server/discover`.
    Discover,
    /// The result of a list method.
    List(Page),
}

impl Reply {
    pub(super) fn result(id: Span, shape: Shape) -> Self {
        Self { status: http::OK, method: MessageLabel::Unreadable, id: Some(id), shape }
    }

    pub(super) fn written(status: u16, start: usize, end: usize) -> Self {
        Self { status, method: MessageLabel::Unreadable, id: None, shape: Shape::Written(start, end) }
    }

    pub(super) fn error(refused: Unanswerable, version: Option<Version>) -> Self {
        let status = http::status(refused.error, version);
        Self { status, method: MessageLabel::Unreadable, id: refused.id, shape: Shape::Error(refused.error) }
    }

    /// Returns the reply with the method of the message that it answers.
    pub(super) const fn about(self, method: MessageLabel) -> Self {
        Self { method, ..self }
    }

    /// Returns the reply to a request for an operation that the caller lacks permission for.
    pub(super) fn forbidden(id: Span, operation: Operation, denied: Denied<'static>) -> Self {
        let refusal = http::Refusal::from(denied);
        Self {
            status: refusal.status(),
            method: MessageLabel::Method(Method::of(operation)),
            id: Some(id),
            shape: Shape::Denied(refusal, operation),
        }
    }

    /// Whether this is a list of the server's offers.
    pub const fn is_list(&self) -> bool {
        matches!(self.shape, Shape::List(_))
    }

    /// Returns the refusal and the operation if the caller lacked permission. The challenge must
    /// name the scopes that the operation needs.
    pub fn denied(&self) -> Option<(http::Refusal, Operation)> {
        match self.shape {
            Shape::Denied(refusal, operation) => Some((refusal, operation)),
            _ => None,
        }
    }

    /// Whether the result is empty, as that of a ping.
    pub const fn is_pong(&self) -> bool {
        matches!(self.shape, Shape::Empty)
    }

    /// Returns the HTTP status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the error that the reply reports, for the log.
    pub const fn error_reported(&self) -> Option<Error> {
        match self.shape {
            Shape::Error(error) => Some(error),
            Shape::Denied(refusal, _) => Some(refusal.error()),
            _ => None,
        }
    }

    /// Logs the method and the error of a refusal.
    #[cfg(feature = "embassy")]
    pub(crate) fn tell(&self) {
        if let Some(error) = self.error_reported() {
            match self.method {
                MessageLabel::Unreadable => warning!("refused: {}", error),
                method => warning!("refused {}: {}", method.as_str(), error),
            }
        }
    }

    /// Returns the negotiated revision if this is the response to a handshake.
    pub const fn agreed(&self) -> Option<Version> {
        match self.shape {
            Shape::Initialize(version, _) => Some(version),
            _ => None,
        }
    }

    /// Returns the client's capabilities if this is the response to a handshake; otherwise none.
    pub const fn client(&self) -> Client {
        match self.shape {
            Shape::Initialize(_, client) => client,
            _ => Client::NONE,
        }
    }

    /// Returns an error reply to the same message of a legacy client, for a driver that could not
    /// do what this reply confirms.
    pub fn instead(&self, error: Error) -> Self {
        Self::error(Unanswerable { error, id: self.id }, Some(Version::NEWEST_LEGACY)).about(self.method)
    }

    /// Returns the bytes of the response. `body` is the body of the request, because a response
    /// repeats the request's id; `written` is the output of the call in its sink. A response
    /// without a request body is a [`Standalone`].
    pub fn emit<'a>(&'a self, server: &'a Server<'a>, body: &'a [u8], written: &'a [u8]) -> Emission<'a> {
        Emission { reply: self, server, body, written, section: 0, offset: 0 }
    }
}

/// An error response that quotes nothing from a request, not even its id. A driver can send it
/// without a body: to refuse a request by its head, or to answer a notification.
///
/// It is a separate type, so that an adapter cannot send a [`Reply`] without the body that the
/// reply quotes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Standalone(Reply);

impl Standalone {
    /// Makes the response to a request that is refused by its head.
    pub const fn refused(refusal: http::Refusal) -> Self {
        Self::with_status(refusal.status(), refusal.error())
    }

    /// Makes the response to bytes that are not a request which this server can read.
    pub const fn unreadable(status: u16, reason: &'static str) -> Self {
        Self::with_status(status, Error::Refused(reason))
    }

    /// Makes the error response to a message of `version`. Texts that `error` would quote from the
    /// body are left out.
    pub fn error(error: Error, version: Version) -> Self {
        Self(Reply::error(Unanswerable { error, id: None }, Some(version)))
    }

    /// Makes the response to a message that exceeds this limit in bytes and was not read.
    pub fn too_large(limit: usize) -> Self {
        Self(Reply::error(Unanswerable { error: Error::TooLarge(limit), id: None }, None))
    }

    const fn with_status(status: u16, error: Error) -> Self {
        Self(Reply { status, method: MessageLabel::Unreadable, id: None, shape: Shape::Error(error) })
    }

    /// Returns the HTTP status.
    pub const fn status(&self) -> u16 {
        self.0.status
    }

    /// Returns the bytes of the response.
    pub fn emit<'a>(&'a self, server: &'a Server<'a>) -> Emission<'a> {
        self.0.emit(server, b"", b"")
    }
}

impl From<Standalone> for Reply {
    fn from(standalone: Standalone) -> Self {
        standalone.0
    }
}

/// The bytes of a response, emitted in steps.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Emission<'a> {
    reply: &'a Reply,
    server: &'a Server<'a>,
    body: &'a [u8],
    written: &'a [u8],
    /// The section that is emitted next, and the number of its bytes that were emitted.
    section: usize,
    offset: usize,
}

impl Emission<'_> {
    /// Returns the number of remaining bytes.
    pub fn len(&self) -> usize {
        if let Shape::Written(..) = self.reply.shape {
            return self.written().len();
        }
        let (mut len, mut section, mut offset) = (0, self.section, self.offset);
        loop {
            let mut window = Window::new(&mut [], core::mem::take(&mut offset));
            if !self.put_section(section, &mut window) {
                return len;
            }
            len += window.left();
            section += 1;
        }
    }

    /// Whether all bytes were emitted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the next bytes to the front of `buffer` and returns their number; 0 when all bytes
    /// were emitted, or if `buffer` is empty.
    pub fn fill(&mut self, buffer: &mut [u8]) -> usize {
        if let Shape::Written(..) = self.reply.shape {
            let mut window = Window::new(buffer, 0);
            window.put(self.written());
            self.offset += window.used();
            return window.used();
        }
        let mut used = 0;
        loop {
            let mut window = Window::new(buffer.get_mut(used..).unwrap_or_default(), self.offset);
            if !self.put_section(self.section, &mut window) {
                return used;
            }
            used += window.used();
            if window.left() > 0 {
                self.offset += window.used();
                return used;
            }
            self.offset = 0;
            self.section += 1;
        }
    }

    /// Returns the rest of a response that was written to the sink.
    fn written(&self) -> &[u8] {
        match self.reply.shape {
            Shape::Written(start, end) => {
                self.written.get(start..end).and_then(|whole| whole.get(self.offset..)).unwrap_or_default()
            }
            _ => b"",
        }
    }

    /// Puts section `at` of the response; `false` after the last one. Only a list has more than one.
    fn put_section(&self, at: usize, out: &mut Window<'_>) -> bool {
        let id = self.reply.id;
        if let Shape::List(page) = &self.reply.shape {
            if at == 0 {
                self.head(out);
            }
            let is_there = page.section(self.server, at, out);
            if at + 1 == page.sections() {
                out.put(b"}");
            }
            return is_there;
        }
        if at > 0 {
            return false;
        }
        if let Some(error) = self.reply.error_reported() {
            rpc::error(&Unanswerable { error, id }, self.body, Version::MODERN_LIST, out);
            return true;
        }
        self.head(out);
        match &self.reply.shape {
            Shape::Initialize(version, _) => mcp::initialize(self.server, *version, out),
            Shape::Discover => mcp::discover(self.server, out),
            _ => out.put(b"{}"),
        }
        out.put(b"}");
        true
    }

    fn head(&self, out: &mut Window<'_>) {
        head(self.reply.id.map_or(b"null", |id| id.of(self.body)), out);
    }
}

/// Returns the error for an unknown resource. MCP 2026-07-28 server/resources: -32602; earlier
/// revisions: -32002.
pub(super) fn no_resource(uri: Span, version: Version) -> Error {
    if version.is_modern() { Error::UnknownResource(uri) } else { Error::UnknownResourceLegacy(uri) }
}
