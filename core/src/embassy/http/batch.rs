//! Batches over HTTP: several messages in one body, and their answers in one array.

use super::answer::Place;
use super::{Gone, Peer};
use crate::auth::Authenticated;
use crate::exchange::{Batch, Carrier, Next, open_batched};
use crate::http::{HeadFacts, OK, sse};
use crate::http1::{After, Content};
use crate::mcp::Server;
use crate::tool::{Call, Output, ToolResult};
use core::pin::pin;
use embedded_io_async::{Read, Write};

impl<R: Read, W: Write, H: AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult, const URIS: usize>
    Peer<'_, R, W, H, URIS>
{
    /// Answers a batch. JSON-RPC 2.0 §6: one array of answers; `false` if there are none, so that nothing was sent.
    pub(super) async fn batch(
        &mut self,
        batch: Batch,
        (server, who): (&Server<'_>, &Authenticated<'_>),
        facts: &HeadFacts<'_>,
        after: After,
        body: &[u8],
        out: &mut [u8],
    ) -> Result<bool, Gone> {
        let (content, mut front, back) = match facts.accept.json() {
            true => (Content::Chunks, b"[".as_slice(), b"".as_slice()),
            false => (Content::Events, BATCH_EVENT, sse::BACK),
        };
        let mut begun = false;
        for message in batch.messages(body) {
            let next = open_batched(server, who, Carrier::Http(facts), message).next;
            let (Next::Call(_) | Next::Reply(_) | Next::Remember(..)) = next else {
                continue;
            };
            if !core::mem::replace(&mut begun, true) {
                self.to.head(OK, content, after).await?;
            }
            match next {
                Next::Call(ticket) => pin!(self.call(ticket, who, Place::Batched(front), message, out)).await?,
                Next::Reply(reply) | Next::Remember(_, reply) => {
                    reply.tell();
                    self.to.part(Some(reply.emit(server, message, b"")), [front, b""], b"").await?;
                }
                _ => {}
            }
            front = b",";
        }
        if !begun {
            return Ok(false);
        }
        self.to.part(None, [b"]", back], b"").await?;
        self.to.end().await?;
        Ok(true)
    }
}

/// The bytes before the first answer of a batch that is sent as one event.
const BATCH_EVENT: &[u8] = b"event: message\ndata: [";
