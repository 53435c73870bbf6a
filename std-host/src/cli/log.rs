//! The log, on standard error, because standard output may belong to the protocol. It goes through a bounded queue, so that a slow
//! reader delays no request; lines that do not fit are dropped and counted.

use super::config::Config;
use attache_host::limits;
use attache_host::observe::ExchangeLog;
use core::time::Duration;
use prometheus_client::metrics::counter::Counter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt};

/// The log. Its last lines are written when it is dropped.
#[derive(Debug)]
pub(super) struct Log {
    _writer: WorkerGuard,
    /// Lines that were dropped.
    pub(super) dropped: Counter,
}

/// Starts the log.
pub(super) fn start(config: &Config) -> Log {
    let exchanges = if config.log_exchanges { "info" } else { "off" };
    let filter = EnvFilter::new(format!("{},{}={exchanges}", config.log_level, ExchangeLog::TARGET));
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(limits::LOG_LINES).finish(std::io::stderr());
    let lost = writer.error_counter();
    let log = fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).log_internal_errors(false);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panic")));
    match config.log_json {
        true => log.json().init(),
        false => log.init(),
    }
    let dropped = Counter::<u64>::default();
    let told = dropped.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TELL);
            // A count of `usize` fits.
            let lines = u64::try_from(lost.dropped_lines()).unwrap_or(u64::MAX).saturating_sub(told.get());
            if lines > 0 {
                told.inc_by(lines);
                tracing::warn!(lines, "log lines dropped: standard error is read too slowly");
            }
        }
    });
    Log { _writer: guard, dropped }
}

/// How often the number of dropped lines is logged.
const TELL: Duration = Duration::from_secs(5);
