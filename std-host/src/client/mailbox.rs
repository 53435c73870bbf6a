//! A bounded queue of the events of one request.

use super::error::Error;
use super::limits::{EVENT_BYTES, EVENTS};
use super::question::Question;
use super::raw::RawJson;
use attache_core::era::Version;
use attache_core::json::Item;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// An event that arrives for a request before its answer.
#[derive(Debug)]
pub(super) enum Incoming {
    Progress(RawJson),
    Log(RawJson),
    Question(Question),
    /// A notification of a subscription.
    Notification(String, RawJson),
}

/// An answer, with the positions of its outcome in the body.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) body: Bytes,
    pub(super) status: u16,
    pub(super) outcome: Result<Item, Item>,
}

impl Answer {
    /// The revision that the answer to `initialize` agrees on.
    pub(super) fn agreed(&self) -> Option<Version> {
        let version = self.outcome.ok()?.of(&self.body).member("protocolVersion")?.text()?;
        Version::named(version).filter(|version| !version.is_modern())
    }
}

/// The queue of one request.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    inner: Mutex<Inner>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<(Incoming, usize)>,
    bytes: usize,
    dropped: u64,
    end: Option<Result<Answer, Error>>,
    has_ended: bool,
}

impl Mailbox {
    /// Adds an event. Returns the event if the queue is full.
    pub(super) fn put(&self, event: Incoming, bytes: usize) -> Result<(), Incoming> {
        let mut inner = self.lock();
        // Repeated notifications of the same list change or update are merged.
        if let Incoming::Notification(method, params) = &event {
            let same = |queued: &(Incoming, usize)| matches!(&queued.0, Incoming::Notification(other, of) if other == method && of == params);
            if inner.events.iter().any(same) {
                return Ok(());
            }
        }
        if inner.has_ended || inner.events.len() >= EVENTS || inner.bytes.saturating_add(bytes) > EVENT_BYTES {
            inner.dropped += 1;
            if inner.dropped == 1 && !inner.has_ended {
                tracing::debug!("a request's events are not taken fast enough; further ones are dropped");
            }
            return Err(event);
        }
        inner.bytes += bytes;
        inner.events.push_back((event, bytes));
        drop(inner);
        self.bell.notify_one();
        Ok(())
    }

    /// Ends the request. Only the first end counts.
    pub(super) fn end(&self, end: Result<Answer, Error>) {
        let mut inner = self.lock();
        if !core::mem::replace(&mut inner.has_ended, true) {
            inner.end = Some(end);
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// Waits for the next event. After all events, returns the end.
    pub(super) async fn next(&self) -> Result<Incoming, Result<Answer, Error>> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.bell.notified().await;
        }
    }

    fn take(&self) -> Option<Result<Incoming, Result<Answer, Error>>> {
        let mut inner = self.lock();
        if let Some((event, bytes)) = inner.events.pop_front() {
            inner.bytes = inner.bytes.saturating_sub(bytes);
            return Some(Ok(event));
        }
        match inner.end.take() {
            Some(end) => Some(Err(end)),
            None if inner.has_ended => Some(Err(Err(Error::Closed))),
            None => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn flood_of_events_is_dropped_and_the_answer_still_comes() {
        let mailbox = Mailbox::default();
        let large = RawJson::text(&"x".repeat(EVENT_BYTES / 4));
        let taken =
            (0..10).filter(|_| mailbox.put(Incoming::Log(large.clone()), large.as_bytes().len()).is_ok()).count();
        assert_eq!(taken, 3);
        mailbox.end(Err(Error::SessionLost));
        mailbox.end(Err(Error::Closed));
        for _ in 0..taken {
            assert!(matches!(mailbox.next().await, Ok(Incoming::Log(_))));
        }
        assert!(matches!(mailbox.next().await, Err(Err(Error::SessionLost))));
        assert!(matches!(mailbox.next().await, Err(Err(Error::Closed))));
    }

    #[tokio::test]
    async fn same_notification_waits_once() {
        let mailbox = Mailbox::default();
        for _ in 0..1000 {
            let told = Incoming::Notification("notifications/tools/list_changed".to_owned(), RawJson::empty_object());
            assert!(mailbox.put(told, 2).is_ok());
        }
        assert!(matches!(mailbox.next().await, Ok(Incoming::Notification(..))));
        assert!(mailbox.take().is_none());
    }
}
