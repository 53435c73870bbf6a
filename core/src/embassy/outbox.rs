//! The result buffer while a handler writes into it, and the way by which it goes out when it is full.
//!
//! The handler and the driver run in one task, and both need the buffer: so the full buffer itself is handed over, and
//! handed back empty. No byte is copied for it.

use crate::json::{Full, Sink, Slice};
use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

/// Between the handler, which fills the buffer, and the driver, which sends it.
pub(super) struct Way<'b>(Mutex<CriticalSectionRawMutex, Cell<Lent<'b>>>);

#[derive(Default)]
enum Lent<'b> {
    #[default]
    Nothing,
    /// To be sent; then the handler is to be woken.
    Full(Slice<'b>, Waker),
    /// To be filled again.
    Empty(Slice<'b>),
}

impl<'b> Way<'b> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Cell::new(Lent::Nothing)))
    }

    /// Runs `handling` to its end; whenever the buffer is full it goes to `send`, and the handler waits.
    ///
    /// # Errors
    /// What `send` says; the handler is then dropped.
    pub(super) async fn run<T, E>(
        &self,
        mut handling: Pin<&mut impl Future<Output = T>>,
        mut send: impl AsyncFnMut(&[u8]) -> Result<(), E>,
    ) -> Result<T, E> {
        loop {
            let (ended, full) = poll_fn(|context| {
                let ended = handling.as_mut().poll(context);
                match (ended, self.full()) {
                    (Poll::Pending, None) => Poll::Pending,
                    (ended, full) => Poll::Ready((ended, full)),
                }
            })
            .await;
            if let Some((mut slice, waker)) = full {
                send(slice.written()).await?;
                slice.truncate(0);
                self.swap(Lent::Empty(slice));
                waker.wake();
            }
            if let Poll::Ready(result) = ended {
                return Ok(result);
            }
        }
    }

    fn full(&self) -> Option<(Slice<'b>, Waker)> {
        match self.swap(Lent::Nothing) {
            Lent::Full(slice, waker) => Some((slice, waker)),
            other => {
                self.swap(other);
                None
            }
        }
    }

    fn swap(&self, lent: Lent<'b>) -> Lent<'b> {
        self.0.lock(|cell| cell.replace(lent))
    }
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
}
