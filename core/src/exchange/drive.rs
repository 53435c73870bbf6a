//! The driver for handlers that return at once: a super-loop on a device, a test, a benchmark.

use super::{Next, Origin, Reply, Standalone, open};
use crate::auth::Authenticated;
use crate::era::Version;
use crate::json::Sink;
use crate::mcp::Server;
use crate::rpc::Error;
use crate::tool::{Call, Output, ToolResult};

/// Reads `body`, runs `handler` if the body calls a tool, and returns the reply to send, or `None`
/// if there is none.
///
/// A tool's result is appended to `out`; [`Reply::emit`] writes the rest.
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
        // This driver does not support subscriptions, cancellation or questions. It has one reply,
        // so it refuses batches.
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
