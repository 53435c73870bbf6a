//! A reply and its emission. A tool's result was written in place; any other response is emitted
//! piece by piece from flash and from the body, through a buffer of any size. Its length is known
//! in advance.

use crate::auth::Denied;
use crate::era::{Client, Version};
use crate::http;
use crate::json::{Decimal, Span};
use crate::mcp::{self, MessageLabel, Method, Page, Server};
use crate::rpc::{self, Error, Section, Unanswerable, head, section};
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
    /// The number in the `data` of a size error.
    limit: Decimal,
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
        Self { status: http::OK, method: MessageLabel::Unreadable, id: Some(id), shape, limit: Decimal::EMPTY }
    }

    pub(super) fn written(status: u16, start: usize, end: usize) -> Self {
        Self {
            status,
            method: MessageLabel::Unreadable,
            id: None,
            shape: Shape::Written(start, end),
            limit: Decimal::EMPTY,
        }
    }

    pub(super) fn error(refused: Unanswerable, version: Option<Version>) -> Self {
        let limit = match refused.error {
            Error::TooLarge(limit) => Decimal::new(i64::try_from(limit).unwrap_or(i64::MAX)),
            _ => Decimal::EMPTY,
        };
        let status = http::status(refused.error, version);
        Self { status, method: MessageLabel::Unreadable, id: refused.id, shape: Shape::Error(refused.error), limit }
    }

    /// Returns the reply with the method of the message that it answers.
    pub(super) const fn about(self, method: MessageLabel) -> Self {
        Self { method, ..self }
    }

    /// Returns the reply to a request whose caller lacks permission for the operation.
    pub(super) fn forbidden(id: Span, operation: Operation, denied: Denied<'static>) -> Self {
        let refusal = http::Refusal::from(denied);
        Self {
            status: refusal.status(),
            method: MessageLabel::Method(Method::of(operation)),
            id: Some(id),
            shape: Shape::Denied(refusal, operation),
            limit: Decimal::EMPTY,
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

    /// The bytes of the answer. `body` is the request's, because an answer quotes its id; `written` is what the call has written
    /// into its sink. An answer that is sent without a body is a [`Standalone`].
    pub fn emit<'a>(&'a self, server: &'a Server<'a>, body: &'a [u8], written: &'a [u8]) -> Emission<'a> {
        Emission { reply: self, server, body, written, section: 0, piece: 0, offset: 0 }
    }
}

/// An error answer that quotes nothing of a request, not even its id. It can be sent where there is no body: a refusal for the
/// head alone, or the answer to a notification.
///
/// It is a type of its own so that an adapter cannot send a [`Reply`] and forget the body that the reply quotes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Standalone(Reply);

impl Standalone {
    /// The answer to a request that is refused for its head.
    pub const fn refused(refusal: http::Refusal) -> Self {
        Self::with_status(refusal.status(), refusal.error())
    }

    /// The answer to bytes that are not a request which this server can read.
    pub const fn unreadable(status: u16, reason: &'static str) -> Self {
        Self::with_status(status, Error::Refused(reason))
    }

    /// The error answer to a message of `version`. A text that `error` would quote from the body is left out.
    pub fn error(error: Error, version: Version) -> Self {
        Self(Reply::error(Unanswerable { error, id: None }, Some(version)))
    }

    /// The answer to a message that is larger than this limit in bytes and was not read.
    pub fn too_large(limit: usize) -> Self {
        Self(Reply::error(Unanswerable { error: Error::TooLarge(limit), id: None }, None))
    }

    const fn with_status(status: u16, error: Error) -> Self {
        Self(Reply {
            status,
            method: MessageLabel::Unreadable,
            id: None,
            shape: Shape::Error(error),
            limit: Decimal::EMPTY,
        })
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.0.status
    }

    /// The bytes of the answer.
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
    section: usize,
    piece: usize,
    offset: usize,
}

impl<'a> Emission<'a> {
    /// Returns the number of remaining bytes.
    pub fn len(&self) -> usize {
        let mut rest = self.clone();
        let mut len = 0;
        rest.pieces(|piece| {
            len += piece.len();
            piece.len()
        });
        len
    }

    /// Whether all bytes were emitted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the next bytes to the front of `buffer` and returns their number; 0 when all bytes
    /// were emitted, or if `buffer` is empty.
    pub fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let mut used = 0;
        self.pieces(|piece| {
            let free = buffer.get_mut(used..).unwrap_or_default();
            let taken = piece.len().min(free.len());
            for (slot, byte) in free.iter_mut().zip(piece) {
                *slot = *byte;
            }
            used += taken;
            taken
        });
        used
    }

    /// Passes the pieces to `take`, starting where the last call stopped, until `take` does not
    /// accept a whole piece.
    fn pieces(&mut self, mut take: impl FnMut(&'a [u8]) -> usize) {
        if let Shape::Written(start, end) = self.reply.shape {
            let rest = self.written.get(start..end).and_then(|whole| whole.get(self.offset..)).unwrap_or_default();
            self.offset += take(rest);
            return;
        }
        let mut section = Section::EMPTY;
        while self.section_at(self.section, &mut section) {
            while let Some(piece) = section.pieces().get(self.piece) {
                let rest = piece.get(self.offset..).unwrap_or_default();
                let taken = if rest.is_empty() { 0 } else { take(rest) };
                if taken < rest.len() {
                    self.offset += taken;
                    return;
                }
                self.offset = 0;
                self.piece += 1;
            }
            self.piece = 0;
            self.section += 1;
        }
    }

    /// Fills `into` with section `at` of the response: the front, the result, the closing brace.
    /// Returns `false` after the last one.
    fn section_at(&self, at: usize, into: &mut Section<'a>) -> bool {
        let id = self.reply.id;
        into.clear();
        if let Some(error) = self.reply.error_reported() {
            if at == 0 {
                let refused = Unanswerable { error, id };
                *into = rpc::error(&refused, self.body, Version::MODERN_LIST, &self.reply.limit);
            }
            return at == 0;
        }
        match (&self.reply.shape, at) {
            (Shape::Written(..), _) => return false,
            (_, 0) => *into = section(head(id.map_or(b"null", |id| id.of(self.body)))),
            (Shape::List(page), at) if page.section(self.server, at - 1, into) => {}
            (Shape::List(page), at) if at == page.sections() + 1 => into.push(b"}"),
            (Shape::List(_), _) => return false,
            (Shape::Initialize(version, _), 1) => *into = mcp::initialize(self.server, *version),
            (Shape::Discover, 1) => *into = mcp::discover(self.server),
            (Shape::Empty, 1) => into.push(b"{}"),
            (_, 2) => into.push(b"}"),
            _ => return false,
        }
        true
    }
}

/// Returns the error for an unknown resource. MCP 2026-07-28 server/resources: -32602; earlier
/// revisions: -32002.
pub(super) fn no_resource(uri: Span, version: Version) -> Error {
    if version.is_modern() { Error::UnknownResource(uri) } else { Error::UnknownResourceLegacy(uri) }
}
