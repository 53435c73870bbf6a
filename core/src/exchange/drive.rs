//! The loop for a handler that answers at once: a super-loop on a device, a test, a bench.

use super::{Next, Origin, Reply, Standalone, open};
use crate::auth::Authenticated;
use crate::era::Version;
use crate::json::Sink;
use crate::mcp::Server;
use crate::rpc::Error;
use crate::tool::{Call, Output, ToolResult};

/// Reads `body`, runs `handler` if it calls a tool, and says what to send; `None` if nothing is.
///
/// A tool's result is written to the end of `out`, the rest is emitted by [`Reply::emit`].
pub fn answer(
    server: &Server<'_>,
    who: &Authenticated<'_>,
    origin: Origin<'_>,
    body: &[u8],
    out: &mut (dyn Sink + Send),
    handler: impl FnOnce(Call<'_>, &mut Output<'_>) -> ToolResult,
) -> Option<Reply> {
    let mut ticket = match open(server, who, origin, body) {
        Next::Call(ticket) => ticket,
        Next::Reply(reply) => return Some(reply),
        Next::Remember(_, reply) => return Some(reply),
        // Nothing else means anything to a handler that answers at once. A batch has many answers, and there is place for one.
        Next::Listen(_) | Next::Cancel(_) | Next::Answer(..) | Next::Ack => return None,
        Next::Batch(_) => return Some(Standalone::error(Error::Batch, Version::V2025_03_26).into()),
    };
    Some(match ticket.begin(body, out) {
        Err(reply) => reply,
        Ok(mut output) => {
            let result = handler(ticket.call(body, who), &mut output);
            ticket.finish(server, output, result)
        }
    })
}
