//! The result buffer while a handler writes into it, and the way by which it goes out when it is full, or a message beside it.
//!
//! The handler and the driver run in one task, and both need the buffer: so the full buffer itself is handed over, and
//! handed back empty. No byte is copied for it.

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

/// Between the handler, which fills the buffer, and the driver, which sends it.
pub(super) struct Way<'b> {
    lent: Mutex<CriticalSectionRawMutex, Cell<Lent<'b>>>,
    told: Mutex<CriticalSectionRawMutex, Cell<Kept>>,
    /// From which level on log messages are wanted.
    level: Option<Level>,
}

#[derive(Default)]
enum Lent<'b> {
    #[default]
    Nothing,
    /// To be sent; then the handler is to be woken.
    Full(Slice<'b>, Waker),
    /// What stands behind so many bytes is to be sent as a message of its own; then the handler is to be woken.
    Aside(Slice<'b>, usize, Waker),
    /// To be filled again.
    Empty(Slice<'b>),
}

/// What the handler has said that takes no buffer.
#[derive(Clone, Copy)]
struct Kept {
    /// The latest, if it is not sent yet.
    progress: Option<Progress>,
    /// What the next progress must exceed.
    above: Option<u32>,
    must_finish: bool,
}

/// What happens while a handler runs.
pub(super) enum Said<'s, H> {
    /// The next piece of its result.
    Piece(&'s [u8]),
    /// A whole message, to stand before the result.
    Message(&'s [u8]),
    /// How far it is.
    Progress(Progress),
    /// What came from the client.
    Heard(H),
}

impl<'b> Way<'b> {
    /// For a caller who wants log messages from `level` on; none if there is no level.
    pub(super) const fn new(level: Option<Level>) -> Self {
        let told = Kept { progress: None, above: None, must_finish: false };
        Self { lent: Mutex::new(Cell::new(Lent::Nothing)), told: Mutex::new(Cell::new(told)), level }
    }

    /// Runs `handling` to its end; whenever it says something, or something comes from `hear`, that goes to `send`. The handler
    /// waits as long as its buffer is sent, and goes on while anything else is.
    ///
    /// # Errors
    /// What `send` says; the handler is then dropped.
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
            match event {
                Some(Event::Full(mut slice, waker)) => {
                    send(Said::Piece(slice.written())).await?;
                    slice.truncate(0);
                    self.give_back(slice, &waker);
                }
                Some(Event::Aside(mut slice, from, waker)) => {
                    send(Said::Message(slice.written().get(from..).unwrap_or_default())).await?;
                    slice.truncate(from);
                    self.give_back(slice, &waker);
                }
                Some(Event::Progress(progress)) => {
                    beside(&mut handling, &mut ended, send(Said::Progress(progress))).await?;
                }
                Some(Event::Heard(heard)) => beside(&mut handling, &mut ended, send(Said::Heard(heard))).await?,
                // What it has said last has gone before its result.
                None => {
                    if let Poll::Ready(result) = core::mem::replace(&mut ended, Poll::Pending) {
                        return Ok(result);
                    }
                }
            }
        }
    }

    /// Whether the handler is to be run to its end whatever the client does.
    pub(super) fn must_finish(&self) -> bool {
        self.told.lock(|told| told.get().must_finish)
    }

    fn give_back(&self, slice: Slice<'b>, waker: &Waker) {
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
        self.told.lock(|cell| {
            let told = cell.get();
            let progress = told.progress?;
            cell.set(Kept { progress: None, ..told });
            Some(Event::Progress(progress))
        })
    }

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

/// Progress as it is written, for whoever sends it.
pub(super) struct Told {
    done: Decimal,
    total: Option<Decimal>,
    words: Option<Escaped<'static>>,
}

impl Told {
    pub(super) fn new(progress: Progress, version: Version) -> Self {
        let decimal = |number: u32| Decimal::new(number.into());
        let Progress { done, total, words } = progress;
        // MCP 2025-03-26 changelog: progress has words since.
        let words = words.filter(|_| version >= Version::V2025_03_26);
        Self { done: decimal(done), total: total.map(decimal), words }
    }

    /// The whole message, for the client that has given this token.
    pub(super) fn pieces<'t>(&'t self, token: &'t [u8]) -> [&'t [u8]; 10] {
        let words = self.words.map(|words| words.as_str().as_bytes());
        mcp::progress_pieces(token, self.done.as_bytes(), self.total.as_ref().map(Decimal::as_bytes), words)
    }
}

/// What the driver has to see to.
enum Event<'b, H> {
    Full(Slice<'b>, Waker),
    Aside(Slice<'b>, usize, Waker),
    Progress(Progress),
    Heard(H),
}

/// Waits for `sending`; the handler goes on meanwhile.
async fn beside<T, R>(
    handling: &mut Pin<&mut impl Future<Output = T>>,
    ended: &mut Poll<T>,
    sending: impl Future<Output = R>,
) -> R {
    let mut sending = pin!(sending);
    poll_fn(|context| {
        if ended.is_pending() {
            *ended = handling.as_mut().poll(context);
        }
        sending.as_mut().poll(context)
    })
    .await
}

/// The buffer, as a sink that can send on what stands in it.
pub(super) struct Outbox<'w, 'b> {
    way: &'w Way<'b>,
    /// Without room while it is lent.
    slice: Slice<'b>,
    lent: bool,
    /// Bytes that have gone out.
    sent: usize,
    /// Some of those were to be taken back.
    broken: bool,
}

/// What is left to be sent when the answer is finished.
#[derive(Debug)]
pub(super) enum Rest<'o> {
    /// All of it: nothing has gone out.
    Whole(&'o [u8]),
    /// This; what stands before it has gone out.
    Tail(&'o [u8]),
    /// A part has gone out of an answer that is none.
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

    /// Takes the buffer back, if it has gone out.
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
        // Behind a piece of the result there is no place for another message.
        if self.sent > 0 || self.broken || self.slice.len() <= from {
            self.truncate(from);
            return Poll::Ready(());
        }
        self.lent = true;
        self.way.swap(Lent::Aside(self.slice.take(), from, context.waker().clone()));
        Poll::Pending
    }
}
