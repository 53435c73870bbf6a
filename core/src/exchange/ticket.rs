//! A call that may be run. The ticket holds places in the body, not the body: the driver may keep it, move it to
//! another task, await, and hand the body in again when the result is written.

use super::reply::Reply;
use crate::auth::{Allowed, Authenticated};
use crate::era::Version;
use crate::json::{Full, Item, Sink, Span};
use crate::mcp::Server;
use crate::rpc::{Error, Unanswerable, head};
use crate::tool::{Arguments, Call, Output, ToolResult};

/// Permission to run one tool once, and what is needed to answer.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    /// No check of it follows: to hold it is the check.
    _allowed: Allowed,
    id: Span,
    version: Version,
    tool: usize,
    arguments: Option<Item>,
    /// Where the answer begins in the sink, once it was begun.
    begun: usize,
}

impl Ticket {
    pub(super) const fn new(
        allowed: Allowed,
        id: Span,
        version: Version,
        tool: usize,
        arguments: Option<Item>,
    ) -> Self {
        Self { _allowed: allowed, id, version, tool, arguments, begun: 0 }
    }

    /// The call, read from the body that the ticket was made from.
    pub fn call<'b>(&self, body: &'b [u8], who: &'b Authenticated<'b>) -> Call<'b> {
        let arguments = Arguments::new(self.arguments.map(|item| item.of(body)));
        Call::new(self.tool, self.version, arguments, who)
    }

    /// Begins the answer at the end of `out`, and gives the place for the handler's result.
    ///
    /// # Errors
    /// The answer that is to be sent instead if not even its front fits.
    pub fn begin<'o>(&mut self, body: &[u8], out: &'o mut (dyn Sink + Send)) -> Result<Output<'o>, Reply> {
        self.begun = out.len();
        let front = head(self.id.of(body)).into_iter().chain([br#"{"content":["#.as_slice()]);
        match put_all(out, front) {
            Ok(()) => Ok(Output::new(out)),
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
        let (sink, content) = out.end(result);
        let whole = content.and_then(|failed| self.tail(server, failed, sink));
        match whole {
            Ok(()) => Reply::written(self.begun, sink.len()),
            Err(Full) => {
                sink.truncate(self.begun);
                self.too_large()
            }
        }
    }

    fn tail(&self, server: &Server<'_>, failed: bool, sink: &mut dyn Sink) -> Result<(), Full> {
        sink.put(if failed { br#"],"isError":true"# } else { b"]" })?;
        // MCP 2026-07-28 basic/index: `resultType` in every result, `serverInfo` SHOULD be; older revisions know neither.
        if self.version.is_modern() {
            sink.put(br#","resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":"#)?;
            put_all(sink, server.info())?;
            sink.put(b"}}}")
        } else {
            sink.put(b"}}")
        }
    }

    fn too_large(&self) -> Reply {
        Reply::error(Unanswerable { error: Error::ResultTooLarge, id: Some(self.id) }, Some(self.version))
    }
}

fn put_all<'a>(sink: &mut (impl Sink + ?Sized), pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Full> {
    pieces.into_iter().try_for_each(|piece| sink.put(piece))
}
