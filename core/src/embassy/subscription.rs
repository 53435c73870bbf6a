//! An open subscription on a device: its id, and the declared resources that it selects. The
//! request itself is discarded after the acknowledgement.

use super::Changes;
use crate::exchange::{Listen, Reply};
use crate::json::{Full, Sink, Slice};
use crate::limits;
use crate::mcp;
use core::task::{Context, Poll};

/// One subscription.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Subscription {
    id: [u8; limits::LISTEN_ID],
    len: usize,
    of: Wanted,
}

/// The changes that a subscription wants, and those of them that were not sent yet.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Wanted {
    wanted: u32,
    /// The wanted changes that were not sent yet.
    pending: u32,
    /// The number of the last change that is already in `pending` or was sent.
    heard: u64,
}

impl Wanted {
    const NOTHING: Self = Self { wanted: 0, pending: 0, heard: 0 };

    /// Adds new changes to the pending ones.
    fn note<const URIS: usize>(&mut self, changes: &Changes<URIS>) {
        let (changed, now) = changes.since(self.heard);
        self.pending |= changed & self.wanted;
        self.heard = now;
    }

    /// Returns the next resource to send a notification for.
    fn next<const URIS: usize>(&mut self, changes: &Changes<URIS>) -> Option<&'static str> {
        let uri = changes.lowest(self.pending)?;
        self.pending &= self.pending.wrapping_sub(1);
        Some(uri)
    }

    /// Waits until a wanted resource has changed.
    fn poll<const URIS: usize>(&self, changes: &Changes<URIS>, context: &mut Context<'_>) -> Poll<()> {
        changes.poll(self.heard, context)
    }
}

impl Subscription {
    /// Opens a subscription, and writes its acknowledgement to `out`.
    ///
    /// # Errors
    /// The answer to send instead, if the id is too long to store, or if a later message would not
    /// fit into `out`.
    pub(super) fn open<const URIS: usize>(
        listen: &Listen,
        body: &[u8],
        changes: &Changes<URIS>,
        out: &mut Slice<'_>,
    ) -> Result<Self, Reply> {
        let asked = listen.id(body);
        let mut id = [0; limits::LISTEN_ID];
        let mut kept = Slice::new(&mut id);
        kept.put(asked)
            .map_err(|Full| listen.refuse_for("The id is longer than 64 bytes, which is what is kept of it here"))?;
        let mut fits = Ok(());
        let wanted = changes.which(|uri| {
            let wanted = listen.wants_uri(body, uri);
            if wanted && fits.is_ok() {
                fits = mcp::updated(uri, Some(asked), out);
                out.truncate(0);
            }
            wanted
        });
        let acknowledged = fits.and_then(|()| listen.acknowledge(body, out));
        acknowledged
            .map_err(|Full| listen.refuse_for("The messages of this subscription do not fit into the buffer"))?;
        let (_, heard) = changes.since(0);
        Ok(Self { id, len: asked.len(), of: Wanted { wanted, pending: 0, heard } })
    }

    /// The id, as it was written.
    pub(super) fn id(&self) -> &[u8] {
        self.id.get(..self.len).unwrap_or_default()
    }

    /// Adds new changes to the pending ones.
    pub(super) fn note<const URIS: usize>(&mut self, changes: &Changes<URIS>) {
        self.of.note(changes);
    }

    /// Writes the next message to the empty `out`; `false` if there is none.
    pub(super) fn next<const URIS: usize>(&mut self, changes: &Changes<URIS>, out: &mut Slice<'_>) -> bool {
        // It fits: `open` has tried it.
        self.of.next(changes).is_some_and(|uri| mcp::updated(uri, Some(self.id()), out).is_ok())
    }

    /// Waits until a wanted resource has changed.
    pub(super) fn poll<const URIS: usize>(&self, changes: &Changes<URIS>, context: &mut Context<'_>) -> Poll<()> {
        self.of.poll(changes, context)
    }
}

/// Whether the image contains subscriptions. Without them, none is ever open.
const ON: bool = cfg!(feature = "subscriptions");

/// The subscriptions of one connection.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Subscriptions<const COUNT: usize> {
    open: [Option<Subscription>; COUNT],
    /// The subscriptions of a legacy peer: there is one peer on a line, and its messages carry no
    /// id.
    legacy: Wanted,
}

impl<const COUNT: usize> Subscriptions<COUNT> {
    pub(super) const fn new() -> Self {
        Self { open: [None; COUNT], legacy: Wanted::NOTHING }
    }

    /// Opens another subscription, and writes its acknowledgement to `out`. It replaces one with
    /// the same id.
    ///
    /// # Errors
    /// The answer to send instead.
    pub(super) fn open<const URIS: usize>(
        &mut self,
        listen: &Listen,
        body: &[u8],
        changes: &Changes<URIS>,
        out: &mut Slice<'_>,
    ) -> Result<(), Reply> {
        self.cancel(listen.id(body));
        let free = self.open.iter_mut().find(|place| ON && place.is_none());
        let place = free.ok_or_else(|| listen.refuse())?;
        *place = Some(Subscription::open(listen, body, changes, out)?);
        Ok(())
    }

    /// Ends the subscription with this id, if there is one. It gets no further messages.
    pub(super) fn cancel(&mut self, id: &[u8]) {
        for place in self.open.iter_mut().filter(|place| ON && place.is_some_and(|open| open.id() == id)) {
            *place = None;
        }
    }

    /// Ends all subscriptions.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Adds resources to the subscriptions of a legacy peer.
    pub(super) fn want<const URIS: usize>(&mut self, which: u32, changes: &Changes<URIS>) {
        self.legacy.note(changes);
        self.legacy.wanted |= which;
    }

    /// Removes resources from the subscriptions of a legacy peer.
    pub(super) const fn unwant(&mut self, which: u32) {
        self.legacy.wanted &= !which;
        self.legacy.pending &= !which;
    }

    /// Adds new changes to the pending ones of all subscriptions.
    pub(super) fn note<const URIS: usize>(&mut self, changes: &Changes<URIS>) {
        if !ON {
            return;
        }
        self.open.iter_mut().flatten().for_each(|open| open.note(changes));
        self.legacy.note(changes);
    }

    /// Writes the next message to the empty `out`; `false` if there is none.
    pub(super) fn next<const URIS: usize>(&mut self, changes: &Changes<URIS>, out: &mut Slice<'_>) -> bool {
        ON && (self.open.iter_mut().flatten().any(|open| open.next(changes, out))
            || self.legacy.next(changes).is_some_and(|uri| mcp::updated(uri, None, out).is_ok()))
    }

    /// Waits until a wanted resource has changed.
    pub(super) fn poll<const URIS: usize>(&self, changes: &Changes<URIS>, context: &mut Context<'_>) -> Poll<()> {
        if !ON {
            return Poll::Pending;
        }
        let legacy = self.legacy.wanted != 0 && self.legacy.poll(changes, context).is_ready();
        let ready = legacy || self.open.iter().flatten().any(|open| open.poll(changes, context).is_ready());
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }
}
