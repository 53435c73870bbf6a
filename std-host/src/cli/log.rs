//! The log: on standard error, for standard output may belong to the protocol.

use super::config::Config;
use super::listen::EXCHANGES;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::{EnvFilter, fmt};

/// From here on what happens is written. Exchanges go through a bounded queue that never holds a request up; what does not fit is
/// counted and dropped.
pub(super) fn start(config: &Config) {
    let exchanges = if config.log_exchanges { "debug" } else { "off" };
    let filter = EnvFilter::new(format!("{},{EXCHANGES}={exchanges}", config.log_level));
    match config.log_exchanges {
        false => install(config, filter, std::io::stderr),
        true => {
            let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
            let dropped = writer.error_counter();
            install(config, filter, writer);
            // The thread that writes lives as long as the program, and tells what it could not write.
            std::thread::spawn(move || {
                let _guard = guard;
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
        }
    }
}

fn install<W: for<'w> MakeWriter<'w> + Send + Sync + 'static>(config: &Config, filter: EnvFilter, writer: W) {
    let log = fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    match config.log_json {
        true => log.json().init(),
        false => log.init(),
    }
}

/// How often it is told how much was dropped.
const TELL: core::time::Duration = core::time::Duration::from_secs(10);
