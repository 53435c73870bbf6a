//! The exchange log: one line for each exchange.

use super::{Exchange, Observe};
use attache_core::era::Version;
use attache_core::rpc::Code;

/// Logs each exchange as an event of level INFO and target [`ExchangeLog::TARGET`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ExchangeLog;

impl ExchangeLog {
    /// The target of the events, by which log filters select them.
    pub const TARGET: &'static str = "attache::exchange";
}

impl Observe for ExchangeLog {
    fn exchange(&self, exchange: &Exchange<'_>) {
        let Exchange { server, method, name, status, reason, received, sent, .. } = *exchange;
        let microseconds = u64::try_from(exchange.took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(
            target: ExchangeLog::TARGET,
            server,
            transport = exchange.transport.as_str(),
            peer = exchange.peer.map(display),
            caller = exchange.caller,
            revision = exchange.revision.map(Version::as_str),
            method,
            name,
            backend = exchange.backend,
            end = exchange.end.as_str(),
            status,
            code = exchange.code.map(Code::digits),
            reason,
            microseconds,
            received,
            sent,
            "exchange"
        );
    }
}
