//! An exchange as the status page shows it.

use super::SecretFilter;
use attache_host::observe::Exchange;
use bytes::Bytes;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// An exchange, without what the page does not show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    at: u64,
    server: String,
    transport: &'static str,
    peer: Option<core::net::IpAddr>,
    caller: Option<String>,
    application: Option<String>,
    revision: Option<&'static str>,
    method: &'static str,
    name: Option<String>,
    backend: Option<String>,
    end: &'static str,
    status: Option<u16>,
    code: Option<&'static str>,
    reason: Option<&'static str>,
    microseconds: u64,
    received: usize,
    sent: usize,
    messages: Option<(Bytes, Bytes)>,
}

impl Record {
    pub(super) fn fill(&mut self, exchange: &Exchange<'_>) {
        self.at = milliseconds(SystemTime::now());
        set(&mut self.server, exchange.server);
        set_some(&mut self.caller, exchange.caller);
        set_some(&mut self.application, exchange.application);
        set_some(&mut self.name, exchange.name);
        set_some(&mut self.backend, exchange.backend);
        self.transport = exchange.transport.as_str();
        self.peer = exchange.peer;
        self.revision = exchange.revision.map(|revision| revision.as_str());
        (self.method, self.end, self.status) = (exchange.method, exchange.end.as_str(), exchange.status);
        (self.code, self.reason) = (exchange.code.map(|code| code.digits()), exchange.reason);
        self.microseconds = u64::try_from(exchange.took.as_micros()).unwrap_or(u64::MAX);
        (self.received, self.sent) = (exchange.received, exchange.sent);
        let copied = |bytes: &[u8]| Bytes::copy_from_slice(bytes.get(..MESSAGE).unwrap_or(bytes));
        self.messages =
            exchange.request.zip(exchange.answer).map(|(request, answer)| (copied(request), copied(answer)));
    }

    /// Prints the record for the page.
    pub(super) fn print(&self, filter: &SecretFilter) -> String {
        let messages = self.messages.as_ref();
        json!({
            "at": self.at,
            "server": self.server,
            "transport": self.transport,
            "peer": self.peer,
            "caller": self.caller,
            "application": self.application,
            "revision": self.revision,
            "method": self.method,
            "name": self.name,
            "backend": self.backend,
            "end": self.end,
            "status": self.status,
            "code": self.code,
            "reason": self.reason,
            "microseconds": self.microseconds,
            "received": self.received,
            "sent": self.sent,
            "request": messages.map(|(request, _)| filter.json(request)),
            "answer": messages.map(|(_, answer)| filter.json(answer)),
        })
        .to_string()
    }
}

/// Most bytes of a request or an answer that are kept: 200 exchanges then hold 6 MiB at most.
const MESSAGE: usize = attache_host::limits::ANSWER_KEPT;

fn set(text: &mut String, to: &str) {
    text.clear();
    text.push_str(to);
}

fn set_some(text: &mut Option<String>, to: Option<&str>) {
    match (text.as_mut(), to) {
        (Some(text), Some(to)) => set(text, to),
        (_, to) => *text = to.map(str::to_owned),
    }
}

/// The time in milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
