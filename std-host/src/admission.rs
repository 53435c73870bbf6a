//! Admission control: slots for calls and subscriptions, and memory for their buffers.

use crate::budget::{Account, Overdrawn, Part, Permit, Slot, Slots, weight};
use crate::limits::{self, Limits};
use attache_core::exchange::{Listen, Next};
use attache_core::rpc::Error;
use core::time::Duration;

/// The slots of one server.
#[derive(Debug)]
pub(crate) struct Admission {
    calls: Slots,
    waiting: Slots,
    wait: Duration,
    streams: Slots,
}

/// The slot and memory that a message holds until it is answered.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Its slot among the calls or the streams, if it needs one.
    pub(crate) _slot: Option<Slot>,
    /// The memory that it holds.
    pub(crate) permit: Permit,
}

impl Place {
    /// Admits a message that needs no slot.
    pub(crate) const fn of(permit: Permit) -> Self {
        Self { _slot: None, permit }
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        let slots = |most: usize| Slots::new(most, limits.share);
        Self {
            calls: slots(limits.calls),
            waiting: slots(limits.calls_waiting),
            wait: limits.call_wait,
            streams: slots(limits.streams),
        }
    }

    /// Reserves a slot and memory for the action on `body`. If there is no room, returns a refusal
    /// in place of the action.
    pub(crate) async fn place(&self, next: Next, body: &[u8], permit: &Permit) -> (Next, Place) {
        match next {
            Next::Call(ticket) => {
                let Some(slot) = self.call(permit.account()).await else {
                    return (Next::Reply(ticket.refuse()), Place::of(permit.another()));
                };
                match parsed(body, permit) {
                    Ok(permit) => (Next::Call(ticket), Place { _slot: Some(slot), permit }),
                    Err(short) => {
                        (Next::Reply(ticket.refuse_for(Error::Busy(short.reason()))), Place::of(permit.another()))
                    }
                }
            }
            Next::Listen(listen) => {
                let Ok(slot) = self.streams.take(permit.account()) else {
                    return (Next::Reply(listen.refuse()), Place::of(permit.another()));
                };
                match kept(&listen, body, permit) {
                    Ok(permit) => (Next::Listen(listen), Place { _slot: Some(slot), permit }),
                    Err(error) => (Next::Reply(listen.refuse_with(error)), Place::of(permit.another())),
                }
            }
            other => (other, Place::of(permit.another())),
        }
    }

    /// Waits for a slot for a call of `account`.
    pub(crate) async fn call(&self, account: Account) -> Option<Slot> {
        self.calls.wait(account, &self.waiting, self.wait).await
    }
}

/// Reserves memory for a running call: the values parsed from `body`, and the call itself.
pub(crate) fn parsed(body: &[u8], permit: &Permit) -> Result<Permit, Overdrawn> {
    let mut parsed = permit.another();
    // The call holds the memory of the permit, such as the caller's claims, while it runs.
    parsed.more(permit.bytes() + limits::CALL_MEMORY + weight(body))?;
    Ok(parsed)
}

/// Reserves memory for an open subscription: a copy of its message, and the notifications that it
/// may have to send at once after it fell behind.
fn kept(listen: &Listen, body: &[u8], permit: &Permit) -> Result<Permit, Error> {
    if body.len() > limits::LISTEN_BYTES {
        return Err(Error::Refused("A subscription is larger than 64 KiB: split it into several"));
    }
    let mut bytes = limits::LISTEN_MEMORY + 2 * body.len();
    listen.each_uri(body, |_| bytes += limits::LISTEN_URI);
    let mut kept = permit.of_its_own();
    kept.more(bytes).and_then(|()| kept.enter(Part::Subscriptions)).map_err(|short| Error::Busy(short.reason()))
}
