//! Changes of lists and resources on a device. The application reports them from any place in its
//! code.

use crate::limits;
use core::cell::RefCell;
use core::fmt;
use core::task::{Context, Poll};
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::waitqueue::MultiWakerRegistration;

/// The resources that can change, and the time of the last change of each. Put it in a `static`:
/// tasks and interrupts report changes to it, and subscriptions read it.
///
/// If a resource changes faster than the driver can send, a subscription gets one notification for
/// several changes. The client then reads the resource again.
pub struct Changes<const URIS: usize> {
    uris: [&'static str; URIS],
    times: Mutex<CriticalSectionRawMutex, RefCell<Times<URIS>>>,
}

/// The unit of time is the number of changes so far.
struct Times<const URIS: usize> {
    now: u64,
    changed: [u64; URIS],
    waiting: MultiWakerRegistration<{ limits::WAITING }>,
}

impl<const URIS: usize> Changes<URIS> {
    /// The changes of the resources with these URIs, at most [`limits::UPDATED`]. For a resource of
    /// a template, give the URI that clients read.
    pub const fn new(uris: [&'static str; URIS]) -> Self {
        const { assert!(URIS <= limits::UPDATED) };
        let times = Times { now: 0, changed: [0; URIS], waiting: MultiWakerRegistration::new() };
        Self { uris, times: Mutex::new(RefCell::new(times)) }
    }

    /// Reports that the resource with this URI has changed. Returns `false` if the URI was not
    /// declared.
    pub fn updated(&self, uri: &str) -> bool {
        let Some(which) = self.uris.iter().position(|known| *known == uri) else {
            return false;
        };
        self.times.lock(|times| {
            let mut times = times.borrow_mut();
            times.now += 1;
            let now = times.now;
            times.changed.iter_mut().skip(which).take(1).for_each(|changed| *changed = now);
            times.waiting.wake();
        });
        true
    }

    /// Returns the resources with URIs that `fits` accepts, as bits.
    pub(super) fn which(&self, mut fits: impl FnMut(&str) -> bool) -> u32 {
        self.uris.iter().rev().fold(0, |bits, uri| bits << 1 | u32::from(fits(uri)))
    }

    /// Returns the resources that have changed since `heard`, as bits, and the number of changes so
    /// far.
    pub(super) fn since(&self, heard: u64) -> (u32, u64) {
        self.times.lock(|times| {
            let times = times.borrow();
            let bits = times.changed.iter().rev().fold(0, |bits, &changed| bits << 1 | u32::from(changed > heard));
            (bits, times.now)
        })
    }

    /// The URI of the lowest bit of `bits`.
    pub(super) fn lowest(&self, bits: u32) -> Option<&'static str> {
        self.uris.get(bits.trailing_zeros() as usize).copied()
    }

    /// Waits until a resource has changed since `heard`.
    pub(super) fn poll(&self, heard: u64, context: &mut Context<'_>) -> Poll<()> {
        self.times.lock(|times| {
            let mut times = times.borrow_mut();
            if times.now > heard {
                return Poll::Ready(());
            }
            times.waiting.register(context.waker());
            Poll::Pending
        })
    }
}

impl<const URIS: usize> fmt::Debug for Changes<URIS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("uris", &self.uris).finish_non_exhaustive()
    }
}
