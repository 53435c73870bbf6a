//! Places for calls and subscriptions, and memory for what they hold.

use crate::budget::{Account, Overdrawn, Part, Permit, Slot, Slots, weight};
use crate::limits::{self, Limits};
use attache_core::exchange::{Listen, Next};
use attache_core::rpc::Error;
use core::time::Duration;

/// The places of one server, as its limits say.
#[derive(Debug)]
pub(crate) struct Admission {
    calls: Slots,
    waiting: Slots,
    wait: Duration,
    streams: Slots,
}

/// What a message holds until it is answered.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Its slot among the calls or the streams, if it needs one.
    pub(crate) _slot: Option<Slot>,
    /// Its memory.
    pub(crate) permit: Permit,
}

impl Place {
    /// The place of a message that needs no slot.
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

    /// Finds a place for what is to be done with `body`; where there is none, it is refused instead.
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

    /// Finds a slot for a call of `account`.
    pub(crate) async fn call(&self, account: Account) -> Option<Slot> {
        self.calls.wait(account, &self.waiting, self.wait).await
    }
}

/// Memory for a call while it runs: what the values take that are parsed from `body`, and the call itself.
pub(crate) fn parsed(body: &[u8], permit: &Permit) -> Result<Permit, Overdrawn> {
    let mut parsed = permit.another();
    // What the permit is for, the claims of the caller, the call holds as long as it runs.
    parsed.more(permit.bytes() + limits::CALL_MEMORY + weight(body))?;
    Ok(parsed)
}

/// Memory for a subscription while it is open: a copy of its message, and what it may have to tell at once when it was left behind.
fn kept(listen: &Listen, body: &[u8], permit: &Permit) -> Result<Permit, Error> {
    if body.len() > limits::LISTEN_BYTES {
        return Err(Error::Refused("A subscription is larger than 64 KiB: split it into several"));
    }
    let mut bytes = limits::LISTEN_MEMORY + 2 * body.len();
    listen.each_uri(body, |_| bytes += limits::LISTEN_URI);
    let mut kept = permit.of_its_own();
    kept.more(bytes).and_then(|()| kept.enter(Part::Subscriptions)).map_err(|short| Error::Busy(short.reason()))
}
