//! The answer of a call: sent as a whole, in chunks, or as the last of some events.

use super::super::outbox::{PIECES, PROGRESS, Rest, Said, Told};
use super::super::to::To;
use super::{Gone, Heard, is_event};
use crate::exchange::Reply;
use crate::http::{Accept, OK, sse};
use crate::http1::{After, Content};
use crate::tool::Call;
use embedded_io_async::Write;

/// The answer of a call while it is sent.
pub(super) struct Answer<'t, 'a, W> {
    pub(super) to: &'t mut To<'a, W>,
    pub(super) place: Place,
    pub(super) form: Form,
    /// The client is there to hear it.
    pub(super) heard: bool,
}

/// The part of an answer that was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing.
    Whole,
    /// A part of it, in chunks.
    Chunks,
    /// Events that precede it.
    Events,
    /// A part of it, in an event.
    LastEvent,
}

impl<W: Write> Answer<'_, '_, W> {
    /// Sends a message of the handler, or a piece of its result. A message is dropped in a batch,
    /// after the answer has begun, and if the answer is JSON and not a stream.
    pub(super) async fn say(&mut self, said: Said<'_, Heard>, call: &Call<'_>) -> Result<(), Gone> {
        if let Said::Heard(Heard::Gone) = said {
            return Err(Gone);
        }
        let is_piece = matches!(said, Said::Piece(_));
        let (content, form) = match (self.form, self.place, is_piece) {
            _ if !self.heard => return Ok(()),
            _ if !PROGRESS && matches!(said, Said::Message(_) | Said::Progress(_)) => return Ok(()),
            (Form::Whole, Place::Alone(accept, after), true) if accept.json() => {
                (Some((Content::Chunks, after)), Form::Chunks)
            }
            (Form::Whole, Place::Alone(_, after), true) => (Some((Content::Events, after)), Form::LastEvent),
            (Form::Whole, Place::Alone(accept, after), false) if accept.events() => {
                (Some((Content::Events, after)), Form::Events)
            }
            (Form::Events, _, true) => (None, Form::LastEvent),
            (Form::Whole, Place::Batched(_), true) => (None, Form::Chunks),
            (form @ Form::Events, _, false) | (form, _, true) => (None, form),
            _ => return Ok(()),
        };
        let told;
        let mut parts = [b"".as_slice(); 2 + PIECES];
        let [front, message @ .., back] = &mut parts;
        if form == Form::Events || (form == Form::LastEvent && self.form != Form::LastEvent) {
            *front = sse::FRONT;
        }
        if let (Form::Whole, Place::Batched(before)) = (self.form, self.place) {
            *front = before;
        }
        if form == Form::Events {
            *back = sse::BACK;
        }
        match said {
            // Clients and proxies give up on a connection that is silent.
            Said::Heard(_) => (*front, *back) = (sse::KEEP_ALIVE, b""),
            Said::Piece(text) | Said::Message(text) => *message = [text, b"", b"", b"", b"", b"", b"", b"", b"", b""],
            Said::Progress(progress) => {
                let Some(token) = call.progress_token() else {
                    return Ok(());
                };
                told = Told::new(progress, call.version());
                *message = told.pieces(token);
            }
        }
        self.to.renew();
        if let Some((content, after)) = content {
            self.to.head(OK, content, after).await?;
        }
        self.form = form;
        self.to.chunk(&parts).await?;
        if is_piece { Ok(()) } else { self.to.flush().await }
    }

    pub(super) async fn end(self, reply: &Reply, body: &[u8], rest: Rest<'_>) -> Result<(), Gone> {
        let Self { to, place, form, heard } = self;
        let (reply, written) = match rest {
            _ if !heard => return Err(Gone),
            // The last chunk is missing, so no client takes this for an answer.
            Rest::Broken => {
                warning!("a result failed after a part of it was sent: its connection is reset");
                return Err(Gone);
            }
            Rest::Whole(written) => (Some(reply), written),
            Rest::Tail(written) => (None, written),
        };
        let (front, back): (&[u8], &[u8]) = match (form, place) {
            (Form::Whole, Place::Alone(accept, after)) => match reply {
                Some(reply) if is_event(reply, accept) => {
                    to.head(OK, Content::Events, after).await?;
                    (sse::FRONT, sse::BACK)
                }
                _ => return to.reply(reply, after, body, written).await,
            },
            (Form::Whole, Place::Batched(front)) => (front, b""),
            (Form::Events, _) => (sse::FRONT, sse::BACK),
            (Form::LastEvent, _) => (b"", sse::BACK),
            (Form::Chunks, _) => (b"", b""),
        };
        let emission = reply.map(|reply| {
            reply.tell();
            reply.emit(to.server, body, written)
        });
        to.part(emission, [front, back], written).await?;
        match place {
            Place::Alone(..) => to.end().await,
            Place::Batched(_) => Ok(()),
        }
    }
}

/// Where an answer is sent.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// As the whole answer to the request, in a form that the client accepts.
    Alone(Accept, After),
    /// In an array, behind these bytes.
    #[cfg_attr(not(feature = "batches"), expect(dead_code, reason = "only batches make it"))]
    Batched(&'static [u8]),
}
