//! Subscriptions over HTTP: a stream of events that stays open.

use super::super::subscription::Subscription;
use super::{Gone, Peer, first};
use crate::exchange::{Listen, Reply};
use crate::http::{OK, sse};
use crate::http1::{After, Content};
use crate::json::{Sink, Slice};
use crate::tool::{Call, Output, ToolResult};
use core::future::poll_fn;
use core::pin::pin;
use embassy_time::with_timeout;
use embedded_io_async::{Read, Write};

impl<R: Read, W: Write, H: AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult, const URIS: usize>
    Peer<'_, R, W, H, URIS>
{
    /// Keeps a stream open until the client disconnects. Returns the refusal if the stream cannot
    /// be opened.
    pub(super) async fn listen(&mut self, listen: &Listen, body: &[u8], out: &mut [u8]) -> Result<Option<Reply>, Gone> {
        let Some(_place) = self.room.listen() else {
            return Ok(Some(listen.refuse()));
        };
        let mut out = Slice::new(out);
        let mut subscription = match Subscription::open(listen, body, self.changes, &mut out) {
            Ok(subscription) => subscription,
            Err(reply) => return Ok(Some(reply)),
        };
        self.to.head(OK, Content::Events, After::Close).await?;
        self.event(out.written()).await?;
        loop {
            let heard = {
                let changed = pin!(with_timeout(
                    self.site.deadlines.comment,
                    poll_fn(|context| subscription.poll(self.changes, context))
                ));
                first(changed, pin!(self.source.gone())).await
            };
            self.to.renew();
            match heard {
                None => return Ok(None),
                Some(Err(_)) => self.to.chunk(&[sse::KEEP_ALIVE]).await?,
                Some(Ok(())) => {
                    subscription.note(self.changes);
                    out.truncate(0);
                    while subscription.next(self.changes, &mut out) {
                        self.event(out.written()).await?;
                        out.truncate(0);
                    }
                }
            }
            self.to.flush().await?;
        }
    }

    async fn event(&mut self, message: &[u8]) -> Result<(), Gone> {
        self.to.chunk(&[sse::FRONT, message, sse::BACK]).await?;
        self.to.flush().await
    }
}
