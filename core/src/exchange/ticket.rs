//! A call that may be run. The ticket holds places in the body, not the body: the driver may keep it, move it to
//! another task, await, and hand the body in again when the result is written.

use super::reply::{Reply, no_resource};
use crate::auth::{Allowed, Authenticated};
use crate::era::Version;
use crate::http;
use crate::json::{Full, Item, Sink, Span};
use crate::limits;
use crate::mcp::Server;
use crate::rpc::{Error, Unanswerable};
use crate::tool::{Call, End, Instead, Operation, Output, ToolError, ToolResult};

/// Permission to run one tool once, or to get one prompt, read one resource, complete one argument; and what is needed to answer.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Ticket {
    /// No check of it follows: to hold it is the check.
    _allowed: Allowed,
    id: Span,
    version: Version,
    operation: Operation,
    /// `params`, where what the call may ask about itself is looked up when it does.
    params: Option<Item>,
    /// The arguments, the URI, or the argument to be completed.
    subject: Option<Item>,
    /// Where the answer begins in the sink, once it was begun.
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

    /// The call, read from the body that the ticket was made from.
    pub fn call<'b>(&self, body: &'b [u8], who: &'b Authenticated<'b>) -> Call<'b> {
        let [params, subject] = [self.params, self.subject].map(|item| item.map(|item| item.of(body)));
        Call::new(self.operation, self.version, params, subject, who)
    }

    /// The id of the request, as it was written.
    pub fn id<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        self.id.of(body)
    }

    /// The revision of the protocol that the caller speaks.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The answer where there is no room for another call.
    pub fn refuse(self) -> Reply {
        self.refuse_for(Error::Busy("Too many calls are running: try again later"))
    }

    /// The answer of a call that the adapter cannot run for this reason.
    pub fn refuse_for(self, error: Error) -> Reply {
        Reply::error(Unanswerable { error, id: Some(self.id) }, Some(self.version))
    }

    /// Begins the answer at the end of `out`, and gives the place for the handler's result.
    ///
    /// # Errors
    /// The answer that is to be sent instead if not even its front fits.
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

    /// Ends the answer with what the handler says of its result.
    ///
    /// A result that does not fit becomes an error; it is never cut.
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

    /// Writes what stands behind the content, and answers the status.
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
            // The way of most results.
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
        // MCP 2026-07-28 server/utilities/caching: a resource that is read has its hints; what the others say is not kept.
        if let Operation::Resource(_) | Operation::Template(_) = self.operation {
            put_all(sink, [br#","ttlMs":"#, limits::READ_TTL_MS.as_bytes(), br#","cacheScope":"private""#])?;
        }
        // MCP 2026-07-28 basic/index: `resultType` in every result; older revisions do not know it.
        self.meta(server, COMPLETE, sink)
    }

    /// What stands behind a modern result: `front`, `serverInfo`, and the end of the answer.
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
        Reply::error(Unanswerable { error, id: Some(self.id) }, Some(self.version))
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
/// The same without the bracket that closes the content.
const COMPLETE: &[u8] = CLOSED.split_at(1).1;
/// The last key of a `_meta` that is open already.
const SERVER: &[u8] = br#""io.modelcontextprotocol/serverInfo":{"name":""#;
const ASKED: &[u8] = br#","resultType":"input_required","_meta":{"io.modelcontextprotocol/serverInfo":{"name":""#;
