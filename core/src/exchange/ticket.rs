//! A call that may run. The ticket holds spans of the body, not the body: the driver can store it,
//! move it to another task, await, and pass the body in again when the result is written.

use super::reply::{Reply, no_resource};
use crate::auth::{Allowed, Authenticated};
use crate::era::Version;
use crate::http;
use crate::json::{Full, Item, Sink, Span};
use crate::limits;
use crate::mcp::{MessageLabel, Method, Server};
use crate::rpc::{Error, Unanswerable};
use crate::tool::{Call, End, Instead, Operation, Output, ToolError, ToolResult};

/// Permission to run one tool once, get one prompt, read one resource or complete one argument,
/// with the data needed for the response.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Ticket {
    /// The proof of authorization: only the check creates this value, so no later check is needed.
    _allowed: Allowed,
    id: Span,
    version: Version,
    operation: Operation,
    /// `params`, in which rarely used members are looked up on demand.
    params: Option<Item>,
    /// The arguments, the URI, or the argument to complete.
    subject: Option<Item>,
    /// The offset in the sink at which the response begins, set by [`begin`](Ticket::begin).
    begun: usize,
}

impl Ticket {
    pub(super) const fn new(
        allowed: Allowed,
        id: Span,
        version: Version,
        operation: Operation,
        params: Option<Item>,
        subject: Option<Item>,
    ) -> Self {
        Self { _allowed: allowed, id, version, operation, params, subject, begun: 0 }
    }

    /// Returns the call, read from the body from which the ticket was made.
    pub fn call<'b>(&self, body: &'b [u8], who: &'b Authenticated<'b>) -> Call<'b> {
        let [params, subject] = [self.params, self.subject].map(|item| item.map(|item| item.of(body)));
        Call::new(self.operation, self.version, params, subject, who)
    }

    /// Returns the id of the request as the client wrote it.
    pub fn id<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        self.id.of(body)
    }

    /// Returns the protocol revision of the request.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Returns the reply for a server that has no capacity for another call.
    pub fn refuse(self) -> Reply {
        self.refuse_for(Error::Busy("Too many calls are running: try again later"))
    }

    /// Returns the reply for a call that the driver cannot run, with this error.
    pub fn refuse_for(self, error: Error) -> Reply {
        let method = MessageLabel::Method(Method::of(self.operation));
        Reply::error(Unanswerable { error, id: Some(self.id) }, Some(self.version)).about(method)
    }

    /// Begins the response at the end of `out` and returns the output for the handler's result.
    ///
    /// # Errors
    /// The reply to send instead, if even the front of the response does not fit.
    pub fn begin<'o>(&mut self, body: &'o [u8], out: &'o mut (dyn Sink + Send)) -> Result<Output<'o>, Reply> {
        self.begun = out.len();
        let content: &[u8] = match self.operation {
            Operation::Tool(_) => br#","result":{"content":["#,
            Operation::Prompt(_) => br#","result":{"messages":["#,
            Operation::Resource(_) | Operation::Template(_) => br#","result":{"contents":["#,
            Operation::Complete(..) => br#","result":{"completion":{"values":["#,
        };
        match put_all(out, [br#"{"jsonrpc":"2.0","id":"#, self.id.of(body), content]) {
            Ok(()) => {
                let uri = self.subject.map_or(b"".as_slice(), |item| item.inner().of(body));
                Ok(Output::new(out, self.version, self.begun, self.id.of(body), uri))
            }
            Err(Full) => {
                out.truncate(self.begun);
                Err(self.too_large())
            }
        }
    }

    /// Completes the response with the handler's result.
    ///
    /// A result that does not fit becomes an error; it is never truncated.
    pub fn finish(self, server: &Server<'_>, out: Output<'_>, result: ToolResult) -> Reply {
        let (sink, content) = out.end(result, matches!(self.operation, Operation::Tool(_)));
        let written = content.and_then(|end| self.tail(server, end, sink).map_err(ToolError::from));
        match written {
            Ok(status) => Reply::written(status, self.begun, sink.len()),
            Err(error) => {
                sink.truncate(self.begun);
                self.failed(error)
            }
        }
    }

    /// Writes the end of the response after the content, and returns the status.
    fn tail(&self, server: &Server<'_>, end: End, sink: &mut dyn Sink) -> Result<u16, Full> {
        match end.instead {
            None => {}
            Some(Instead::Error(code)) => return Ok(http::rejected(code)),
            Some(Instead::Questions) => return self.meta(server, ASKED, sink),
            Some(Instead::Result) if self.version.is_modern() => return self.meta(server, SERVER, sink),
            Some(Instead::Result) => return sink.put(b"}}").map(|()| http::OK),
        }
        let end: &[u8] = match (self.operation, end) {
            (Operation::Complete(..), End { more: true, .. }) => br#"],"hasMore":true}"#,
            (Operation::Complete(..), _) => br#"],"hasMore":false}"#,
            (_, End { failed: true, closed: true, .. }) => br#","isError":true"#,
            (_, End { failed: true, closed: false, .. }) => br#"],"isError":true"#,
            // The most common case.
            (Operation::Tool(_) | Operation::Prompt(_), End { failed: false, closed: false, .. })
                if self.version.is_modern() =>
            {
                return self.meta(server, CLOSED, sink);
            }
            (_, End { failed: false, closed: true, .. }) => b"",
            (_, End { failed: false, closed: false, .. }) => b"]",
        };
        sink.put(end)?;
        if !self.version.is_modern() {
            sink.put(b"}}")?;
            return Ok(http::OK);
        }
        // MCP 2026-07-28 server/utilities/caching: the result of reading a resource carries cache
        // hints; other results are not cached.
        if let Operation::Resource(_) | Operation::Template(_) = self.operation {
            put_all(sink, [br#","ttlMs":"#, limits::READ_TTL_MS.as_bytes(), br#","cacheScope":"private""#])?;
        }
        // MCP 2026-07-28 basic/index: `resultType` in every result; older revisions do not have it.
        self.meta(server, COMPLETE, sink)
    }

    /// Writes the end of a modern result: `front`, `serverInfo`, and the closing braces.
    fn meta(&self, server: &Server<'_>, front: &[u8], sink: &mut dyn Sink) -> Result<u16, Full> {
        let [_, name, between, version, _] = server.info();
        put_all(sink, [front, name, between, version, br#""}}}}"#])?;
        Ok(http::OK)
    }

    fn failed(&self, error: ToolError) -> Reply {
        let error = match (error, self.subject) {
            (ToolError::NotFound, Some(uri)) => no_resource(uri.inner(), self.version),
            (ToolError::NotFound, None) => Error::Failed("nothing was read"),
            (ToolError::Failed(reason), _) => Error::Failed(reason),
            (ToolError::Argument(name), _) => Error::Argument(name),
            (ToolError::Full, _) => Error::ResultTooLarge,
        };
        let method = MessageLabel::Method(Method::of(self.operation));
        Reply::error(Unanswerable { error, id: Some(self.id) }, Some(self.version)).about(method)
    }

    fn too_large(&self) -> Reply {
        self.failed(ToolError::Full)
    }
}

fn put_all<'a>(sink: &mut (impl Sink + ?Sized), pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Full> {
    pieces.into_iter().try_for_each(|piece| sink.put(piece))
}

// MCP 2026-07-28 basic/index: `serverInfo` SHOULD be in the `_meta` of each result.
const CLOSED: &[u8] = br#"],"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":""#;
/// Like `CLOSED`, without the bracket that closes the content.
const COMPLETE: &[u8] = CLOSED.split_at(1).1;
/// The last key of a `_meta` object that is already open.
const SERVER: &[u8] = br#""io.modelcontextprotocol/serverInfo":{"name":""#;
const ASKED: &[u8] = br#","resultType":"input_required","_meta":{"io.modelcontextprotocol/serverInfo":{"name":""#;
