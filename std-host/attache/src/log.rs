//! The log, on standard error, because standard output may belong to the protocol. A bounded queue
//! decouples it, so that a slow reader of the log delays no request. Lines that do not fit are
//! dropped and counted.

use super::config::Config;
use attache_host::budget::{Part, Permit};
use attache_host::observe::{AuditLog, ExchangeLog};
use attache_host::{Budget, limits};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::time::Duration;
use prometheus_client::metrics::counter::Counter;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The log. Dropping it writes the lines that wait.
#[derive(Debug)]
pub(super) struct Log {
    queue: Queue,
    /// The number of dropped lines.
    pub(super) dropped: Counter,
}

/// The queue of lines for the writing thread.
#[derive(Clone, Debug)]
struct Queue {
    sender: Sender<Entry>,
    /// The number of lines that wait.
    waiting: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
    budget: Budget,
}

enum Entry {
    Line(Vec<u8>, Permit),
    /// Sent back when all earlier entries have been written.
    Written(SyncSender<()>),
}

impl Queue {
    fn start(budget: &Budget, to: impl Write + Send + 'static) -> Self {
        let (sender, entries) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        let written = Arc::clone(&waiting);
        std::thread::spawn(move || write(&entries, &written, to));
        Self { sender, waiting, lost: Arc::default(), budget: budget.clone() }
    }

    /// Puts a line into the queue. Returns `None` if the queue is full.
    fn put(&self, line: &[u8]) -> Option<()> {
        if self.waiting.load(Relaxed) >= limits::LOG_LINES {
            return None;
        }
        let permit = self.budget.reserve_part(Part::Log, line.len() + LINE).ok()?;
        self.waiting.fetch_add(1, Relaxed);
        self.sender.send(Entry::Line(line.to_vec(), permit)).ok()
    }
}

/// Bytes of a queued line in addition to its text.
const LINE: usize = 128;

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.put(line).is_none() {
            self.lost.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(entries: &Receiver<Entry>, waiting: &AtomicUsize, mut to: impl Write) {
    while let Ok(entry) = entries.recv() {
        match entry {
            Entry::Line(line, _permit) => {
                // An error of the log itself cannot be reported anywhere.
                let _ = to.write_all(&line);
                waiting.fetch_sub(1, Relaxed);
            }
            Entry::Written(told) => drop(told.send(())),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (told, written) = sync_channel(1);
        if self.queue.sender.send(Entry::Written(told)).is_ok() {
            let _ = written.recv_timeout(LAST);
        }
    }
}

/// The time limit for writing the last lines.
const LAST: Duration = Duration::from_secs(1);

/// Starts the log. Waiting lines are charged to `budget`.
pub(super) fn start(config: &Config, budget: &Budget) -> Log {
    let shown = |is_on: bool| if is_on { LevelFilter::INFO } else { LevelFilter::OFF };
    // The configuration has checked the level.
    let level = config.log_level.parse().unwrap_or(LevelFilter::INFO);
    let filter = Targets::new()
        .with_default(level)
        .with_target(ExchangeLog::TARGET, shown(config.log_exchanges))
        .with_target(AuditLog::TARGET, shown(config.audit.is_some()));
    let queue = Queue::start(budget, io::stderr());
    let (writer, lost) = (queue.clone(), Arc::clone(&queue.lost));
    let log = fmt::layer().with_writer(move || writer.clone()).log_internal_errors(false);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panic")));
    match config.log_json {
        true => tracing_subscriber::registry().with(log.json().with_filter(filter)).init(),
        false => tracing_subscriber::registry().with(log.with_filter(filter)).init(),
    }
    let dropped = Counter::<u64>::default();
    let told = dropped.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TELL);
            // A count of `usize` fits into 64 bits.
            let lines = u64::try_from(lost.load(Relaxed)).unwrap_or(u64::MAX).saturating_sub(told.get());
            if lines > 0 {
                told.inc_by(lines);
                tracing::warn!(lines, "log lines dropped: standard error is read too slowly");
            }
        }
    });
    Log { queue, dropped }
}

/// The interval at which the number of dropped lines is logged.
const TELL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use attache_host::Limits;

    /// A writer that blocks until the test releases it.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_hold_no_more_than_their_part_and_give_it_back() {
        let budget = Budget::new(&Limits::default());
        let (go, gate) = channel();
        let mut queue = Queue::start(&budget, Stuck(gate));
        let line = vec![b'x'; 64 * 1024];
        for _ in 0..2000 {
            queue.write_all(&line).unwrap();
        }
        assert!(budget.held() <= limits::PART && budget.held() > limits::PART / 2, "{}", budget.held());
        assert!(queue.lost.load(Relaxed) > 1000);
        drop(go);
        let (told, written) = sync_channel(1);
        queue.sender.send(Entry::Written(told)).unwrap();
        written.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!((budget.held(), queue.waiting.load(Relaxed)), (0, 0));
    }

    #[test]
    fn many_short_lines_are_bounded_by_their_number() {
        let budget = Budget::new(&Limits::default());
        let (go, gate) = channel();
        let mut queue = Queue::start(&budget, Stuck(gate));
        for _ in 0..limits::LOG_LINES + 100 {
            queue.write_all(b"x").unwrap();
        }
        assert!(queue.lost.load(Relaxed) >= 99);
        drop(go);
    }
}
