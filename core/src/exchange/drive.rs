//! The driver for handlers that return at once: a super-loop on a device, a test, a benchmark.

use super::{Carrier, Next, Reply, Standalone, open};
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
    carrier: Carrier<'_>,
    body: &[u8],
    out: &mut (dyn Sink + Send),
    handler: impl FnOnce(Call<'_>, &mut Output<'_>) -> ToolResult,
) -> Option<Reply> {
    let mut ticket = match open(server, who, carrier, body).next {
        Next::Call(ticket) => ticket,
        Next::Reply(reply) => return Some(reply),
        // This driver stores nothing, so it does not confirm that it did.
        Next::Remember(_, reply) => return Some(reply.instead(Error::Failed(STORES_NOTHING))),
        // This driver sends one reply, so it cannot keep a subscription open.
        Next::Listen(listen) => return Some(listen.refuse()),
        // This driver does not support cancellation or questions, which get no response.
        Next::Cancel(_) | Next::Answer(..) | Next::Ack => return None,
        // This driver sends one reply, so it refuses batches.
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

const STORES_NOTHING: &str = "This server stores no log level and no resource subscriptions";
