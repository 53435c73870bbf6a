//! Calls that a backend runs.

use super::members::{Member, distinct, members};
use crate::auth::Caller;
use crate::call::{Sealer, SpanIds, TraceContext, is_reserved};
use crate::offer::{Called, Changes};
use attache_core::era::Version;
use attache_core::tool::{Kind, Level};
#[cfg(feature = "client")]
use bytes::Bytes;
use core::fmt;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Instant;

/// A call that a backend runs: the called entry, the caller, and methods to send messages before
/// the result.
pub struct Call {
    kind: Kind,
    name: Arc<str>,
    uri: Option<String>,
    called: Called<Changes>,
    sealer: Arc<Sealer>,
    completes: bool,
    /// Locked while questions are open, because a client is asked one set of questions at a time.
    asking: tokio::sync::Mutex<()>,
}

impl Call {
    pub(super) fn new(
        kind: Kind,
        name: Arc<str>,
        uri: Option<String>,
        called: Called<Changes>,
        sealer: Sealer,
    ) -> Self {
        let sealer = Arc::new(sealer);
        Self { kind, name, uri, called, sealer, completes: false, asking: tokio::sync::Mutex::default() }
    }

    /// Creates a call that completes an argument.
    pub(super) fn completing(kind: Kind, name: Arc<str>, called: Called<Changes>, sealer: Sealer) -> Self {
        Self { completes: true, ..Self::new(kind, name, None, called, sealer) }
    }

    /// Returns the kind of the called entry: `Kind::Template` for a resource of a template.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the name, URI or template of the entry, as the backend has published it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the arguments of a tool or a prompt: a JSON object as the client wrote it. `{}` for
    /// a resource.
    pub fn arguments(&self) -> &str {
        match self.uri {
            None => core::str::from_utf8(self.sealer.binding().subject()).unwrap_or("{}"),
            Some(_) => "{}",
        }
    }

    /// Returns the URI to read, or `None` for a tool or a prompt.
    pub fn uri(&self) -> Option<&str> {
        self.uri.as_deref()
    }

    /// Returns the caller, as far as the server knows it.
    pub const fn caller(&self) -> &Caller {
        &self.called.caller
    }

    /// Returns the access token of the caller, if the server keeps it.
    #[cfg(feature = "oauth-client")]
    pub(crate) fn inbound(&self) -> Option<&crate::auth::inbound::Inbound> {
        self.called.request.as_ref()?.get()
    }

    /// Returns the name of the client's session, which no other session has. `None` for a client of
    /// revision 2026-07-28, which has no sessions, and for a legacy client that has begun none.
    pub const fn session(&self) -> Option<[u8; 16]> {
        self.called.session
    }

    /// Returns the name and version of the client, if it sends them with each request.
    // MCP 2026-07-28 basic/index: `io.modelcontextprotocol/clientInfo`.
    pub fn client_info(&self) -> Option<Value> {
        self.called.metadata.get("io.modelcontextprotocol/clientInfo").filter(Value::is_object)
    }

    /// Returns the protocol revision of the client.
    pub const fn version(&self) -> Version {
        self.called.version
    }

    /// Returns the time at which the server ends the call if it asks no question. A question
    /// extends the time, and the server drops the call when it is over.
    pub fn deadline(&self) -> Instant {
        self.called.deadline.into_std()
    }

    /// Returns the trace context of the call, if its client has sent a well-formed `traceparent`.
    pub fn trace(&self) -> Option<TraceContext> {
        self.called.metadata.trace()
    }

    /// Returns the trace context for a server that continues this call. Its parent is the span of the call: the
    /// exported one if spans are exported, otherwise a new one below the client's. `None` if the call belongs to
    /// no trace. Baggage may hold personal data, and is left out.
    // W3C Trace Context §2.4: a server that passes a request on writes `traceparent` with its own span.
    pub fn onward_trace(&self) -> Option<TraceContext> {
        let client = self.trace();
        let ids = match (self.called.span, &client) {
            (Some(ids), _) => ids,
            (None, Some(_)) => SpanIds::below(client.as_ref())?,
            (None, None) => return None,
        };
        Some(TraceContext { parent: ids.parent(), state: client.and_then(|client| client.state), baggage: None })
    }

    /// The keys of `_meta` that applications define, with their values as JSON. Keys that the protocol defines or reserves, and the
    /// trace, are not among them.
    pub fn metadata(&self) -> Vec<(String, Box<RawValue>)> {
        let is_own = |key: &str| ["progressToken", "traceparent", "tracestate", "baggage"].contains(&key);
        let mut found = members(self.called.metadata.object()).unwrap_or_default();
        found.retain(|(key, _)| !is_own(key) && !is_reserved(key));
        let owned = |(key, value): Member<'_>| Some((key.into_owned(), RawValue::from_string(value.to_owned()).ok()?));
        distinct(found).into_iter().filter_map(owned).collect()
    }

    /// The arguments, as a part of the body. `{}` for a resource.
    #[cfg(feature = "client")]
    pub(crate) fn raw_arguments(&self) -> Bytes {
        match self.uri {
            None => self.sealer.binding().subject().clone(),
            Some(_) => Bytes::from_static(b"{}"),
        }
    }

    /// Whether the client has declared no capability for this call.
    #[cfg(feature = "client")]
    pub(crate) fn declares_nothing(&self) -> bool {
        self.called.asking.declares_nothing()
    }

    /// Whether the client wants to hear of progress.
    pub fn wants_progress(&self) -> bool {
        self.called.events.wants_progress()
    }

    /// Returns the least severe level of log messages that the client wants, or `None` if it wants
    /// none.
    pub fn log_level(&self) -> Option<Level> {
        self.called.events.level()
    }

    /// Sends progress to the client, if it has asked for it. Progress that is not greater than the
    /// last one is not sent. Waits if the client reads slowly.
    pub async fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        self.called.events.progress(progress, total, message).await;
    }

    /// Sends a log message to the client, if it wants messages of this level. Waits if the client
    /// reads slowly.
    pub async fn log(&self, level: Level, logger: Option<&str>, data: &(impl Serialize + Sync)) {
        self.called.events.log(level, logger, data).await;
    }

    /// Returns the capabilities that the client has declared for this call, in the shape of
    /// `ClientCapabilities`.
    pub fn client_capabilities(&self) -> Value {
        self.called.asking.capabilities()
    }

    /// Asks the client, and waits for its answers while the call stays alive. `requests` has the
    /// questions by key, each an object with `method` (`elicitation/create`,
    /// `sampling/createMessage` or `roots/list`) and `params`. The answers are the results by the
    /// same keys. A second set of questions waits until the first is answered.
    ///
    /// # Errors
    /// A sentence that says why there are no answers: the client does not support the question, has
    /// answered with an error, or took too long.
    pub async fn ask(&self, requests: Map<String, Value>) -> Result<Map<String, Value>, String> {
        // MCP 2026-07-28 basic/patterns/mrtr: only calls of tools, prompts and resources may ask.
        if self.completes {
            return Err("a completion cannot ask the client".to_owned());
        }
        self.called.asking.refuse(&requests)?;
        let _asking = self.asking.lock().await;
        self.called.events.ask(requests, &self.sealer).await
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("kind", &self.kind).field("name", &self.name).finish_non_exhaustive()
    }
}
