//! The audit log: one line for each decision about a caller.

use super::{End, Exchange, Observe};
use attache_core::era::Version;

/// Logs each use of a tool, prompt or resource, and each refused message, as an event of level INFO
/// and target [`AuditLog::TARGET`].
///
/// | Field | Content |
/// |---|---|
/// | `server` | the name of the server |
/// | `caller` | the person or application: `key NAME`, or issuer and subject of the token |
/// | `application` | the application that the token was issued to |
/// | `peer` | the address of the caller |
/// | `method`, `name` | the method, and the tool, prompt, resource or template by its declared name |
/// | `backend` | the backend that has published it |
/// | `decision` | `allowed` or `denied` |
/// | `reason` | why it was denied: `scope`, `forbidden` (a role), `no_token`, `policy` and others |
/// | `outcome` | how it ended: `done`, `failed`, `asked`, `rejected`, `refused`, `cancelled`, `broken` |
/// | `microseconds` | the duration |
/// | `arguments` | the arguments, at most 2,048 characters, with [`AuditLog::with_arguments`] only |
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditLog {
    has_arguments: bool,
}

impl AuditLog {
    /// The target of the events, by which log filters select them.
    pub const TARGET: &'static str = "attache::audit";

    /// Adds the arguments of calls to the lines. They may contain personal data and secrets.
    #[must_use]
    pub const fn with_arguments(mut self) -> Self {
        self.has_arguments = true;
        self
    }
}

/// The methods that name a tool, prompt or resource.
const NAMING: [&str; 7] = [
    "tools/call",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
    "subscriptions/listen",
];

impl Observe for AuditLog {
    fn exchange(&self, exchange: &Exchange<'_>) {
        let Exchange { server, caller, application, method, name, reason, end, .. } = *exchange;
        if end != End::Refused && !NAMING.contains(&method) {
            return;
        }
        tracing::info!(
            target: AuditLog::TARGET,
            server,
            caller,
            application,
            peer = exchange.peer.map(tracing::field::display),
            revision = exchange.revision.map(Version::as_str),
            method,
            name,
            backend = exchange.backend,
            decision = if end == End::Refused { "denied" } else { "allowed" },
            reason,
            outcome = end.as_str(),
            microseconds = u64::try_from(exchange.took.as_micros()).unwrap_or(u64::MAX),
            arguments = exchange.arguments.filter(|_| self.has_arguments),
            "audit"
        );
    }

    fn needs_arguments(&self) -> bool {
        self.has_arguments
    }
}
