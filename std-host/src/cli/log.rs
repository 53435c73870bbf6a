//! The log: on standard error, for standard output may belong to the protocol. It goes through a bounded queue, so that whoever
//! reads it slowly holds no request up; what does not fit is counted and dropped.

use super::config::Config;
use attache_host::limits;
use attache_host::observe::ExchangeLog;
use core::time::Duration;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt};

/// From here on what happens is written. What was said last is written when the guard is dropped.
pub(super) fn start(config: &Config) -> WorkerGuard {
    let exchanges = if config.log_exchanges { "info" } else { "off" };
    let filter = EnvFilter::new(format!("{},{}={exchanges}", config.log_level, ExchangeLog::TARGET));
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(limits::LOG_LINES).finish(std::io::stderr());
    let dropped = writer.error_counter();
    let log = fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).log_internal_errors(false);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a panic")));
    match config.log_json {
        true => log.json().init(),
        false => log.init(),
    }
    std::thread::spawn(move || {
        let mut told = 0;
        loop {
            std::thread::sleep(TELL);
            let now = dropped.dropped_lines();
            if now > told {
                tracing::warn!(lines = now - told, "the log was too slow, lines were dropped");
                told = now;
            }
        }
    });
    guard
}

/// How often it is told how much was dropped.
const TELL: Duration = Duration::from_secs(5);
