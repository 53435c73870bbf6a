//! The result buffer while a handler writes into it. The driver sends it when it is full, and sends
//! messages that are not part of the result.
//!
//! The handler and the driver run in one task, and both need the buffer: so the handler hands over
//! the full buffer itself, and the driver returns it empty. No byte is copied for it.

use crate::era::Version;
use crate::json::{Decimal, Escaped, Full, Sink, Slice};
use crate::mcp;
use crate::tool::{Level, Progress, Runner};
use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

/// The exchange between the handler, which fills the buffer, and the driver, which sends it.
pub(super) struct Way<'b> {
    lent: Mutex<CriticalSectionRawMutex, Cell<Lent<'b>>>,
    told: Mutex<CriticalSectionRawMutex, Cell<Kept>>,
    /// The least severe level of log messages that the caller wants.
    level: Option<Level>,
}

#[derive(Default)]
enum Lent<'b> {
    #[default]
    Nothing,
    /// The driver sends the buffer, and then wakes the handler.
    Full(Slice<'b>, Waker),
    /// The driver sends the bytes after this number as a message of its own, and then wakes the
    /// handler.
    Aside(Slice<'b>, usize, Waker),
    /// The handler fills the buffer again.
    Empty(Slice<'b>),
}

/// Messages of the handler that need no buffer.
#[derive(Clone, Copy)]
struct Kept {
    /// The latest, if it is not sent yet.
    progress: Option<Progress>,
    /// The next progress must exceed this value.
    above: Option<u32>,
    must_finish: bool,
}

/// The events while a handler runs.
pub(super) enum Said<'s, H> {
    /// The next piece of its result.
    Piece(&'s [u8]),
    /// A whole message, to be sent before the result.
    Message(&'s [u8]),
    /// The progress of the call.
    Progress(Progress),
    /// A message from the client.
    Heard(&'s H),
}

impl<'b> Way<'b> {
    /// For a caller that wants log messages of `level` and more severe ones; `None` for a caller
    /// that wants no log messages.
    pub(super) const fn new(level: Option<Level>) -> Self {
        let told = Kept { progress: None, above: None, must_finish: false };
        Self { lent: Mutex::new(Cell::new(Lent::Nothing)), told: Mutex::new(Cell::new(told)), level }
    }

    /// Runs `handling` to its end. Each message of the handler, and each message from `hear`, goes
    /// to `send`. The handler continues in the meantime, unless `send` is sending the handler's own
    /// buffer.
    ///
    /// # Errors
    /// The error of `send`; the handler is then dropped.
    pub(super) async fn run<T, H, E>(
        &self,
        mut handling: Pin<&mut impl Future<Output = T>>,
        mut hear: impl AsyncFnMut() -> H,
        mut send: impl AsyncFnMut(Said<'_, H>) -> Result<(), E>,
    ) -> Result<T, E> {
        let mut ended = Poll::Pending;
        loop {
            let event = {
                let mut hearing = pin!(hear());
                poll_fn(|context| {
                    if ended.is_pending() {
                        ended = handling.as_mut().poll(context);
                    }
                    match (self.event(), &ended) {
                        (Some(event), _) => Poll::Ready(Some(event)),
                        (None, Poll::Ready(_)) => Poll::Ready(None),
                        (None, Poll::Pending) => hearing.as_mut().poll(context).map(|heard| Some(Event::Heard(heard))),
                    }
                })
                .await
            };
            let Some(event) = event else {
                // The last message of the handler was sent before its result.
                match core::mem::replace(&mut ended, Poll::Pending) {
                    Poll::Ready(result) => return Ok(result),
                    Poll::Pending => continue,
                }
            };
            {
                let mut sending = pin!(send(event.said()));
                poll_fn(|context| {
                    if ended.is_pending() {
                        ended = handling.as_mut().poll(context);
                    }
                    sending.as_mut().poll(context)
                })
                .await?;
            }
            match event {
                Event::Full(slice, waker) => self.give_back(slice, 0, &waker),
                Event::Aside(slice, from, waker) => self.give_back(slice, from, &waker),
                Event::Progress(_) | Event::Heard(_) => {}
            }
        }
    }

    /// Whether the handler must run to its end even if the client disconnects or cancels.
    pub(super) fn must_finish(&self) -> bool {
        self.told.lock(|told| told.get().must_finish)
    }

    #[inline(never)]
    fn give_back(&self, mut slice: Slice<'b>, len: usize, waker: &Waker) {
        slice.truncate(len);
        self.swap(Lent::Empty(slice));
        waker.wake_by_ref();
    }

    fn event<H>(&self) -> Option<Event<'b, H>> {
        match self.swap(Lent::Nothing) {
            Lent::Full(slice, waker) => return Some(Event::Full(slice, waker)),
            Lent::Aside(slice, from, waker) => return Some(Event::Aside(slice, from, waker)),
            Lent::Nothing => {}
            other => drop(self.swap(other)),
        }
        if !PROGRESS {
            return None;
        }
        self.told.lock(|cell| {
            let told = cell.get();
            let progress = told.progress?;
            cell.set(Kept { progress: None, ..told });
            Some(Event::Progress(progress))
        })
    }

    #[inline(never)]
    fn swap(&self, lent: Lent<'b>) -> Lent<'b> {
        self.lent.lock(|cell| cell.replace(lent))
    }
}

impl Runner for Way<'_> {
    fn progress(&self, progress: Progress) {
        self.told.lock(|cell| {
            let told = cell.get();
            if told.above.is_none_or(|above| progress.done > above) {
                cell.set(Kept { progress: Some(progress), above: Some(progress.done), ..told });
            }
        });
    }

    fn wants(&self, level: Level) -> bool {
        self.level.is_some_and(|from| level >= from)
    }

    fn must_finish(&self) {
        self.told.lock(|cell| cell.set(Kept { must_finish: true, ..cell.get() }));
    }
}

/// Whether the image contains progress and log messages.
pub(super) const PROGRESS: bool = cfg!(feature = "progress");

/// Number of pieces of a message that needs no buffer; unused pieces are empty.
pub(super) const PIECES: usize = 10;

/// A progress report as text, for the driver that sends it.
pub(super) struct Told {
    done: Decimal,
    total: Option<Decimal>,
    words: Option<Escaped<'static>>,
}

impl Told {
    pub(super) fn new(progress: Progress, version: Version) -> Self {
        let decimal = |number: u32| Decimal::new(number.into());
        let Progress { done, total, words } = progress;
        // MCP 2025-03-26 changelog: this revision added the message to progress.
        let words = words.filter(|_| version >= Version::V2025_03_26);
        Self { done: decimal(done), total: total.map(decimal), words }
    }

    /// The whole message, for the client that has given this token.
    pub(super) fn pieces<'t>(&'t self, token: &'t [u8]) -> [&'t [u8]; PIECES] {
        let words = self.words.map(|words| words.as_str().as_bytes());
        mcp::progress_pieces(token, self.done.as_bytes(), self.total.as_ref().map(Decimal::as_bytes), words)
    }
}

/// The events that the driver must handle.
enum Event<'b, H> {
    Full(Slice<'b>, Waker),
    Aside(Slice<'b>, usize, Waker),
    Progress(Progress),
    Heard(H),
}

impl<H> Event<'_, H> {
    fn said(&self) -> Said<'_, H> {
        match self {
            Self::Full(slice, _) => Said::Piece(slice.written()),
            Self::Aside(slice, from, _) => Said::Message(slice.written().get(*from..).unwrap_or_default()),
            Self::Progress(progress) => Said::Progress(*progress),
            Self::Heard(heard) => Said::Heard(heard),
        }
    }
}

/// The buffer, as a sink that can send its content before the handler ends.
pub(super) struct Outbox<'w, 'b> {
    way: &'w Way<'b>,
    /// Empty while the driver has the buffer.
    slice: Slice<'b>,
    lent: bool,
    /// The number of bytes that were sent.
    sent: usize,
    /// Set if the handler tried to remove bytes that were already sent.
    broken: bool,
}

/// The part of a finished answer that still has to be sent.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Rest<'o> {
    /// All of it: nothing was sent.
    Whole(&'o [u8]),
    /// These bytes; the bytes before them were sent.
    Tail(&'o [u8]),
    /// A part of an invalid answer was sent.
    Broken,
}

impl<'w, 'b> Outbox<'w, 'b> {
    pub(super) const fn new(buffer: &'b mut [u8], way: &'w Way<'b>) -> Self {
        Self { way, slice: Slice::new(buffer), lent: false, sent: 0, broken: false }
    }

    pub(super) fn rest(&self) -> Rest<'_> {
        match self {
            Self { broken: true, .. } => Rest::Broken,
            Self { sent: 0, .. } => Rest::Whole(self.slice.written()),
            Self { .. } => Rest::Tail(self.slice.written()),
        }
    }

    /// Takes the buffer back, if it was sent.
    fn reclaim(&mut self) {
        if !self.lent {
            return;
        }
        match self.way.swap(Lent::Nothing) {
            Lent::Empty(slice) => {
                self.slice = slice;
                self.lent = false;
            }
            other => drop(self.way.swap(other)),
        }
    }
}

impl Sink for Outbox<'_, '_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.reclaim();
        if self.broken { Err(Full) } else { self.slice.put(bytes) }
    }

    fn len(&self) -> usize {
        self.sent + self.slice.len()
    }

    fn truncate(&mut self, len: usize) {
        self.broken |= len < self.sent;
        self.slice.truncate(len.saturating_sub(self.sent));
    }

    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Full>> {
        if self.lent {
            self.reclaim();
            return if self.lent { Poll::Pending } else { Poll::Ready(Ok(())) };
        }
        if self.broken || self.slice.is_empty() {
            return Poll::Ready(Err(Full));
        }
        self.sent += self.slice.len();
        self.lent = true;
        self.way.swap(Lent::Full(self.slice.take(), context.waker().clone()));
        Poll::Pending
    }

    fn poll_aside(&mut self, from: usize, context: &mut Context<'_>) -> Poll<()> {
        if self.lent {
            self.reclaim();
            return if self.lent { Poll::Pending } else { Poll::Ready(()) };
        }
        // Once a piece of the result was sent, no other message may follow it.
        if !PROGRESS || self.sent > 0 || self.broken || self.slice.len() <= from {
            self.truncate(from);
            return Poll::Ready(());
        }
        self.lent = true;
        self.way.swap(Lent::Aside(self.slice.take(), from, context.waker().clone()));
        Poll::Pending
    }
}
