//! The replay buffer: messages that were sent on the streams of calls, for clients that reconnect
//! (MCP 2025-11-25 basic/transports, "Resumability and Redelivery"). It is limited: messages that
//! were removed cannot be replayed.

use crate::budget::{Account, Cache, open_to_all, share};
use crate::limits::{self, Limits};
use bytes::Bytes;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The messages of one call's stream.
pub(crate) struct ReplayBuffer {
    session: [u8; 16],
    /// The account that is charged for the messages.
    account: Account,
    /// The number of the stream, which is part of its event ids.
    number: u64,
    kept: Mutex<Kept>,
    news: Notify,
}

#[derive(Default)]
struct Kept {
    /// The messages with their event numbers; the first one of a stream has number 1.
    events: VecDeque<(u64, Bytes)>,
    bytes: usize,
    /// The number of the last message that was added.
    last: u64,
    /// The number of the last message that a reader has taken.
    taken: u64,
    readers: usize,
    /// Set when no more messages follow, with the status of the answer, if there was one.
    end: Option<Option<u16>>,
}

/// The next item that a reader gets.
pub(crate) enum Replayed {
    /// A message with its event number.
    Message(u64, Bytes),
    /// The answer with its event number and its status.
    Last(u64, Bytes, u16),
    /// The call has ended without an answer.
    Gone,
}

impl ReplayBuffer {
    /// Creates an empty log and its writer.
    pub(crate) fn begin(session: [u8; 16], number: u64, account: Account) -> (Arc<Self>, Writer) {
        let log = Arc::new(Self { session, account, number, kept: Mutex::default(), news: Notify::new() });
        let writer = Writer(Arc::clone(&log));
        (log, writer)
    }

    /// A copy of a log of another process, whose messages follow the event with the number `behind`.
    pub(crate) fn copied(session: [u8; 16], (number, behind): (u64, u64), account: Account) -> (Arc<Self>, Writer) {
        let (log, writer) = Self::begin(session, number, account);
        log.kept().last = behind;
        (log, writer)
    }

    /// Adds a message. Waits while a reader is too far behind.
    async fn push(&self, message: Bytes) {
        loop {
            let news = self.news.notified();
            {
                let mut kept = self.kept();
                if kept.readers == 0 || kept.last - kept.taken < BEHIND {
                    kept.add(message);
                    break;
                }
            }
            news.await;
        }
        self.news.notify_waiters();
    }

    fn finish(&self, answer: Option<(Bytes, u16)>) {
        let mut kept = self.kept();
        if kept.end.is_none() {
            kept.end = Some(answer.as_ref().map(|(_, status)| *status));
            if let Some((message, _)) = answer {
                kept.add(message);
            }
        }
        drop(kept);
        self.news.notify_waiters();
    }

    /// Gives the next message this number: those between are not kept any more.
    fn skip_to(&self, number: u64) {
        let mut kept = self.kept();
        kept.last = kept.last.max(number.saturating_sub(1));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a reader of the messages after the event with this number.
    pub(crate) fn read(self: &Arc<Self>, behind: u64) -> Reader {
        let mut kept = self.kept();
        kept.readers += 1;
        kept.taken = kept.taken.max(behind);
        drop(kept);
        Reader { log: Arc::clone(self), behind }
    }
}

impl Kept {
    fn add(&mut self, message: Bytes) {
        self.last += 1;
        self.bytes += message.len();
        self.events.push_back((self.last, message));
        // The newest message stays, however large it is, because it is about to be read.
        while self.events.len() > limits::KEPT_EVENTS || self.bytes > limits::KEPT_BYTES && self.events.len() > 1 {
            match self.events.pop_front() {
                Some((_, gone)) => self.bytes -= gone.len(),
                None => break,
            }
        }
    }
}

/// The number of messages that a reader may be behind before the call waits.
const BEHIND: u64 = 16;

/// The writer of a log. Dropping it ends the log.
pub(crate) struct Writer(Arc<ReplayBuffer>);

impl Writer {
    /// Adds a message. Waits while a reader is too far behind.
    pub(crate) async fn push(&self, message: Bytes) {
        self.0.push(message).await;
    }

    /// Adds a message that has this number in the log that this one is a copy of.
    pub(crate) async fn push_as(&self, number: u64, message: Bytes) {
        self.0.skip_to(number);
        self.0.push(message).await;
    }

    /// Adds the answer, which has this number in the log that this one is a copy of.
    pub(crate) fn finish_as(&self, number: u64, answer: Bytes, status: u16) {
        self.0.skip_to(number);
        self.finish(answer, status);
    }

    /// Waits until the log has no readers.
    pub(crate) async fn abandoned(&self) {
        loop {
            let news = self.0.news.notified();
            if self.0.kept().readers == 0 {
                return;
            }
            news.await;
        }
    }

    /// Adds the answer, with its status.
    pub(crate) fn finish(&self, answer: Bytes, status: u16) {
        self.0.finish(Some((answer, status)));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.finish(None);
    }
}

/// A reader of a log.
pub(crate) struct Reader {
    log: Arc<ReplayBuffer>,
    behind: u64,
}

impl Reader {
    /// Returns the next item. Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> Replayed {
        loop {
            let log = Arc::clone(&self.log);
            let news = log.news.notified();
            if let Some(logged) = self.there() {
                log.news.notify_waiters();
                return logged;
            }
            news.await;
        }
    }

    fn there(&mut self) -> Option<Replayed> {
        let mut kept = self.log.kept();
        let next = kept.events.iter().find(|(number, _)| *number > self.behind).cloned();
        let Some((number, message)) = next else {
            return kept.end.map(|_| Replayed::Gone);
        };
        self.behind = number;
        kept.taken = kept.taken.max(number);
        Some(match kept.end {
            Some(Some(status)) if number == kept.last => Replayed::Last(number, message, status),
            _ => Replayed::Message(number, message),
        })
    }

    /// Returns the number of the last message that was taken.
    pub(crate) const fn behind(&self) -> u64 {
        self.behind
    }

    /// Returns the id of an event: the number of the stream and that of the event.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.log.number)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.log.kept().readers -= 1;
        self.log.news.notify_waiters();
    }
}

/// The logs that clients may resume.
pub(crate) struct ReplayBuffers {
    kept: Mutex<VecDeque<Arc<ReplayBuffer>>>,
    /// The number of the newest stream.
    newest: AtomicU64,
    /// The number of logs that one caller may have.
    share: usize,
}

impl ReplayBuffers {
    /// The logs of the process `home`.
    pub(crate) fn new(limits: &Limits, home: [u8; 4]) -> Self {
        let share = share(limits::KEPT_STREAMS, limits.share);
        // So that the id of an event says which process has it.
        let newest = AtomicU64::new(u64::from(u32::from_be_bytes(home)) << 32);
        Self { kept: Mutex::default(), newest, share }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<ReplayBuffer>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a new stream number.
    pub(crate) fn number(&self) -> u64 {
        self.newest.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Keeps a log. If the table is full, the oldest log that has ended is removed, or else the
    /// oldest of all. If the caller has its share, one of its own logs is removed.
    pub(crate) fn keep(&self, log: &Arc<ReplayBuffer>) {
        let mut kept = self.kept();
        let is_own = |other: &Arc<ReplayBuffer>| other.account == log.account && log.account != Account::UNKNOWN;
        let own = kept.iter().filter(|other| is_own(other)).count();
        let is_greedy = own > 0 && (own >= self.share || kept.len() >= open_to_all(limits::KEPT_STREAMS));
        if is_greedy || kept.len() >= limits::KEPT_STREAMS {
            let may_go = |other: &Arc<ReplayBuffer>| !is_greedy || is_own(other);
            let ended = kept.iter().position(|other| may_go(other) && other.kept().end.is_some());
            if let Some(oldest) = ended.or_else(|| kept.iter().position(may_go)) {
                kept.remove(oldest);
            }
        }
        kept.push_back(Arc::clone(log));
    }

    /// Returns a reader that resumes after the event with this id, if the stream belongs to the
    /// session.
    pub(crate) fn resume(&self, session: [u8; 16], id: &str) -> Option<Reader> {
        let (_, number, event) = stream_of(id)?;
        let logs = self.kept();
        let log = logs.iter().find(|log| log.session == session && log.number == number)?;
        let last = log.kept().last;
        (event <= last).then(|| log.read(event))
    }
}

/// The process, the stream and the number in the stream of the event with this id.
pub(crate) fn stream_of(id: &str) -> Option<([u8; 4], u64, u64)> {
    let (number, event) = id.split_once('-')?;
    let number = u64::from_str_radix(number, 16).ok()?;
    let home = u32::try_from(number >> 32).ok()?.to_be_bytes();
    Some((home, number, event.parse().ok()?))
}

impl Cache for ReplayBuffers {
    fn free(&self, account: Option<Account>) {
        let mut gone = Vec::new();
        self.kept().retain(|log| {
            let is_idle = account.is_none_or(|account| account == log.account) && {
                let kept = log.kept();
                kept.end.is_some() && kept.readers == 0
            };
            if is_idle {
                gone.push(Arc::clone(log));
            }
            !is_idle
        });
        // The messages are freed here, after the locks were released.
    }
}

impl fmt::Debug for ReplayBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}
