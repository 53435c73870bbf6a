//! OpenTelemetry spans: one for each exchange, by the semantic conventions for MCP (Development, as
//! of 2026). If the call names a span of the client in `_meta` (SEP-414), that span is the parent.

use super::{End, Exchange, Observe, SpanIds, Transport};
use crate::call::TraceContext;
use attache_core::era::Version;
use attache_core::rpc::Code;
use core::cell::Cell;
use core::fmt;
use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};
use std::borrow::Cow;
use std::time::SystemTime;

/// Records each exchange as a span of a tracer. The span is created when the exchange has ended, so
/// the spans that handlers create with [`Ctx::trace`](crate::Ctx::trace) are its siblings.
///
/// The span of a call that a backend runs has the ids of [`Exchange::span`], which the backend's server was told
/// as its parent. That requires a tracer whose generator of ids returns those of [`chosen_ids`].
///
/// Spans contain the method, the declared name, the revision, the peer's address and the error.
/// Arguments, results, request ids and session ids are not recorded, because they belong to the
/// caller.
#[derive(Clone)]
pub struct Traces<T>(T);

impl<T: Tracer> Traces<T> {
    /// Creates spans with `tracer`. The provider of the tracer decides which spans are kept and
    /// where they are sent.
    pub const fn new(tracer: T) -> Self {
        Self(tracer)
    }
}

impl<T: Tracer<Span: Send + Sync> + Send + Sync + 'static> Observe for Traces<T> {
    fn exchange(&self, exchange: &Exchange<'_>) {
        let ended = SystemTime::now();
        let began = ended.checked_sub(exchange.took).unwrap_or(ended);
        let span = self.0.span_builder(name(exchange)).with_kind(SpanKind::Server).with_start_time(began);
        let parent = exchange.trace().map(|trace| Context::new().with_remote_span_context(parent(&trace)));
        CHOSEN.set(exchange.span);
        let mut span =
            span.with_attributes(attributes(exchange)).start_with_context(&self.0, &parent.unwrap_or_default());
        CHOSEN.set(None);
        if error(exchange).is_some() {
            span.set_status(Status::error(exchange.reason.unwrap_or_default()));
        }
        span.end_with_timestamp(ended);
    }

    fn needs_spans(&self) -> bool {
        true
    }
}

thread_local! {
    /// The ids of the span that is being started.
    static CHOSEN: Cell<Option<SpanIds>> = const { Cell::new(None) };
}

/// Returns the ids for the span that [`Traces`] is starting on this thread, for the generator of ids of its
/// tracer. `None` if they do not matter.
pub fn chosen_ids() -> Option<SpanIds> {
    CHOSEN.get()
}

impl<T> fmt::Debug for Traces<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").finish_non_exhaustive()
    }
}

/// `{mcp.method.name} {target}`. Only tools and prompts are targets, because there are too many
/// URIs.
fn name(exchange: &Exchange<'_>) -> Cow<'static, str> {
    match (exchange.method, exchange.name) {
        (method @ ("tools/call" | "prompts/get"), Some(name)) => format!("{method} {name}").into(),
        (method, _) => method.into(),
    }
}

fn attributes(exchange: &Exchange<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("mcp.method.name", exchange.method),
        KeyValue::new("mcp.server.name", exchange.server.to_owned()),
    ];
    let mut add = |key: &'static str, value: Option<Cow<'static, str>>| {
        attributes.extend(value.map(|value| KeyValue::new(key, value)));
    };
    let owned = |name: &str| Cow::Owned(name.to_owned());
    let name = exchange.name.map(owned);
    match exchange.method {
        "tools/call" => {
            add("gen_ai.operation.name", Some("execute_tool".into()));
            add("gen_ai.tool.name", name);
        }
        "prompts/get" => add("gen_ai.prompt.name", name),
        // The actual URI of a template belongs to the caller, so it is not recorded.
        "resources/read" => add("mcp.resource.uri", name.filter(|uri| !uri.contains('{'))),
        _ => {}
    }
    add("mcp.backend.name", exchange.backend.map(owned));
    add("mcp.protocol.version", exchange.revision.map(|revision| Version::as_str(revision).into()));
    add("rpc.response.status_code", exchange.code.map(|code| Code::digits(code).into()));
    add("error.type", error(exchange).map(Into::into));
    add("client.address", exchange.peer.map(|peer| peer.to_string().into()));
    let (transport, protocol) = match exchange.transport {
        Transport::Http => ("tcp", Some("http".into())),
        Transport::Line => ("pipe", None),
    };
    add("network.transport", Some(transport.into()));
    add("network.protocol.name", protocol);
    attributes
}

/// Returns the error type if the exchange is a failure of this server: a tool that failed, an
/// answer that broke off, an internal error, or a code of the server range. A mistake of the client
/// is not an error here.
fn error(exchange: &Exchange<'_>) -> Option<&'static str> {
    match exchange.end {
        End::Failed => Some("tool_error"),
        End::Broken => Some("_OTHER"),
        _ => exchange.code.map(Code::digits).filter(|digits| is_of_server(digits)),
    }
}

fn is_of_server(digits: &str) -> bool {
    digits.parse().is_ok_and(|code: i32| code == -32603 || (-32099..=-32000).contains(&code))
}

/// Parses W3C Trace Context §3.2.2, which was checked to be well-formed.
fn parent(trace: &TraceContext) -> SpanContext {
    let mut parts = trace.parent.split('-').skip(1);
    let mut next = || parts.next().unwrap_or_default();
    let trace_id = TraceId::from_hex(next()).unwrap_or(TraceId::INVALID);
    let span_id = SpanId::from_hex(next()).unwrap_or(SpanId::INVALID);
    let flags = u8::from_str_radix(next(), 16).map(TraceFlags::new).unwrap_or_default();
    let state = trace.state.as_deref().and_then(|state| state.parse::<TraceState>().ok());
    SpanContext::new(trace_id, span_id, flags & TraceFlags::SAMPLED, true, state.unwrap_or_default())
}
