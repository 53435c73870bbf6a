//! What was sent on the streams of calls, for clients that come back for what they have missed (MCP 2025-11-25
//! basic/transports, "Resumability and Redelivery"). It is bounded: what has gone from it cannot be had again.

use crate::budget::{Account, Cache, open_to_all, share};
use crate::limits::{self, Limits};
use bytes::Bytes;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The messages of one call.
pub(crate) struct Log {
    session: [u8; 16],
    /// Who is charged for its messages.
    account: Account,
    /// The number of the stream, in the ids of its events.
    number: u64,
    kept: Mutex<Kept>,
    news: Notify,
}

#[derive(Default)]
struct Kept {
    /// Each with its number; the first one of a stream has 1.
    events: VecDeque<(u64, Bytes)>,
    bytes: usize,
    /// The number of the last one that has come.
    last: u64,
    /// The number of the last one that a reader has taken.
    taken: u64,
    readers: usize,
    /// No more will come; with the status of the answer, if there was one.
    end: Option<Option<u16>>,
}

/// What a reader of a log meets.
pub(crate) enum Logged {
    /// A message, and its number.
    Message(u64, Bytes),
    /// The answer, its number, and its status.
    Last(u64, Bytes, u16),
    /// The call was stopped.
    Gone,
}

impl Log {
    /// A log that begins, and the one who writes it.
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

    /// Waits while a reader is behind.
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

    /// A reader of what comes behind the event with this number.
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
        // The newest stays, however large it is: somebody is about to read it.
        while self.events.len() > limits::KEPT_EVENTS || self.bytes > limits::KEPT_BYTES && self.events.len() > 1 {
            match self.events.pop_front() {
                Some((_, gone)) => self.bytes -= gone.len(),
                None => break,
            }
        }
    }
}

/// How far a reader may be behind its call.
const BEHIND: u64 = 16;

/// The one that writes a log. However it ends, the log does.
pub(crate) struct Writer(Arc<Log>);

impl Writer {
    /// Adds a message. Waits while a reader is behind.
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

    /// Waits until nobody reads the log.
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

/// One that reads a log.
pub(crate) struct Reader {
    log: Arc<Log>,
    behind: u64,
}

impl Reader {
    /// What comes next. Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> Logged {
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

    fn there(&mut self) -> Option<Logged> {
        let mut kept = self.log.kept();
        let next = kept.events.iter().find(|(number, _)| *number > self.behind).cloned();
        let Some((number, message)) = next else {
            return kept.end.map(|_| Logged::Gone);
        };
        self.behind = number;
        kept.taken = kept.taken.max(number);
        Some(match kept.end {
            Some(Some(status)) if number == kept.last => Logged::Last(number, message, status),
            _ => Logged::Message(number, message),
        })
    }

    /// The number of the last message that was taken.
    pub(crate) const fn behind(&self) -> u64 {
        self.behind
    }

    /// The id of an event: the stream and the number in it.
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

/// The logs that clients may come back for.
pub(crate) struct Logs {
    kept: Mutex<VecDeque<Arc<Log>>>,
    /// The number of the newest.
    newest: AtomicU64,
    /// Logs that are kept of one caller.
    share: usize,
}

impl Logs {
    /// The logs of the process `home`.
    pub(crate) fn new(limits: &Limits, home: [u8; 4]) -> Self {
        let share = share(limits::KEPT_STREAMS, limits.share);
        // So that the id of an event says which process has it.
        let newest = AtomicU64::new(u64::from(u32::from_be_bytes(home)) << 32);
        Self { kept: Mutex::default(), newest, share }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Log>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for the stream of a call.
    pub(crate) fn number(&self) -> u64 {
        self.newest.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Keeps a log. Where there are too many, the oldest one that has ended goes, or the oldest of all; where the caller has its share,
    /// one of its own.
    pub(crate) fn keep(&self, log: &Arc<Log>) {
        let mut kept = self.kept();
        let is_own = |other: &Arc<Log>| other.account == log.account && log.account != Account::UNKNOWN;
        let own = kept.iter().filter(|other| is_own(other)).count();
        let is_greedy = own > 0 && (own >= self.share || kept.len() >= open_to_all(limits::KEPT_STREAMS));
        if is_greedy || kept.len() >= limits::KEPT_STREAMS {
            let may_go = |other: &Arc<Log>| !is_greedy || is_own(other);
            let ended = kept.iter().position(|other| may_go(other) && other.kept().end.is_some());
            if let Some(oldest) = ended.or_else(|| kept.iter().position(may_go)) {
                kept.remove(oldest);
            }
        }
        kept.push_back(Arc::clone(log));
    }

    /// The log of the session's stream with the event of this id, behind that event.
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

impl Cache for Logs {
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
        // Their messages are freed here, when no table is locked any more.
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}
