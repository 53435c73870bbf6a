//! The record of one message while it is processed.

use super::refusals::Refused;
use super::{End, Exchange, Observers, Transport};
use crate::call::{Metadata, Outcome, SpanIds};
use crate::limits;
use crate::offer::{Offer, Registry};
use crate::why::{self, printable};
use attache_core::auth::Authenticated;
use attache_core::era::Version;
use attache_core::exchange::{Next, Opened, Reply};
use attache_core::mcp::MessageLabel;
use attache_core::rpc::Code;
use attache_core::tool::Kind;
use bytes::Bytes;
use core::net::IpAddr;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Instant;

/// Accompanies a message until it is answered, and reports to the observers when it is dropped. A
/// message without a recorded outcome was cancelled.
pub(crate) struct Watch {
    observers: Arc<Observers>,
    began: Instant,
    transport: Transport,
    pub(crate) peer: Option<IpAddr>,
    caller: Option<String>,
    application: Option<String>,
    arguments: Option<String>,
    revision: Option<Version>,
    method: &'static str,
    offer: Option<Arc<Offer>>,
    backend: Option<Arc<str>>,
    meta: Option<Metadata>,
    span: Option<SpanIds>,
    messages: Option<Messages>,
    end: End,
    status: Option<u16>,
    code: Option<Code>,
    reason: Option<&'static str>,
    received: usize,
    sent: usize,
}

impl Watch {
    pub(crate) fn new(observers: &Arc<Observers>, transport: Transport) -> Self {
        Self {
            observers: Arc::clone(observers),
            began: Instant::now(),
            transport,
            peer: None,
            caller: None,
            application: None,
            arguments: None,
            revision: None,
            method: MessageLabel::Unreadable.as_str(),
            offer: None,
            backend: None,
            meta: None,
            span: None,
            messages: None,
            end: End::Cancelled,
            status: None,
            code: None,
            reason: None,
            received: 0,
            sent: 0,
        }
    }

    /// Records what `body` was found to be.
    pub(crate) fn opened(&mut self, opened: &Opened, who: &Authenticated<'_>, offers: &Registry, body: &Bytes) {
        self.received = body.len();
        self.method = opened.method.as_str();
        self.revision = opened.version;
        let refused = matches!(&opened.next, Next::Reply(reply) if reply.error_reported().is_some());
        // The log names the caller of each refusal; otherwise only observers need it.
        if self.observers.list.is_empty() && !refused {
            return;
        }
        self.called_by(who);
        if self.observers.list.iter().any(|observer| observer.needs_messages()) {
            self.messages = Some(Messages { request: body.clone(), answer: Vec::new() });
        }
        match &opened.next {
            Next::Call(ticket) => {
                let call = ticket.call(body, who);
                let (kind, index) = call.operation().entry();
                self.offer = offers.offer(kind, index);
                self.backend = self.offer.as_ref().and_then(|offer| offers.backend_of(offer));
                self.meta = Some(Metadata::of(body, call.metadata()));
                self.choose_span();
            }
            Next::Reply(reply) => match reply.denied() {
                Some((_, operation)) => {
                    let (kind, index) = operation.entry();
                    self.offer = offers.offer(kind, index);
                    self.backend = self.offer.as_ref().and_then(|offer| offers.backend_of(offer));
                }
                None if refused && offers.hides_some() => self.hidden(offers, body),
                None => {}
            },
            _ => {}
        }
        if self.observers.list.iter().any(|observer| observer.needs_arguments()) {
            self.arguments = Params::of(body).and_then(|params| Some(printable(params.arguments?.get(), ARGUMENTS)));
        }
    }

    /// Records that the message names an entry which a policy hides.
    fn hidden(&mut self, offers: &Registry, body: &[u8]) {
        let Some(params) = Params::of(body) else { return };
        let kinds: &[Kind] = match self.method {
            "tools/call" => &[Kind::Tool],
            "prompts/get" => &[Kind::Prompt],
            "resources/read" | "resources/subscribe" => &[Kind::Resource, Kind::Template],
            _ => return,
        };
        let Some(key) = params.name.or(params.uri) else { return };
        self.offer = kinds.iter().find_map(|kind| offers.hidden_at(*kind, &key));
        if self.offer.is_some() {
            self.reason = Some("policy");
        }
    }

    /// Chooses the ids of the span of a call that a backend runs.
    fn choose_span(&mut self) {
        let is_backend = self.offer.as_ref().is_some_and(|offer| offer.source.is_some());
        if is_backend && self.observers.list.iter().any(|observer| observer.needs_spans()) {
            self.span = SpanIds::below(self.meta.as_ref().and_then(Metadata::trace).as_ref());
        }
    }

    /// Returns the ids of the span of the call, if spans are exported.
    pub(crate) const fn span(&self) -> Option<SpanIds> {
        self.span
    }

    /// Records the caller.
    pub(crate) fn called_by(&mut self, who: &Authenticated<'_>) {
        self.caller = match (who.claims(), who.key_name()) {
            (Some(claims), _) => {
                let (caller, application) = of_token(claims.json());
                self.application = application;
                Some(caller)
            }
            (None, Some(name)) => Some(printable(&format!("key {name}"), CALLER)),
            (None, None) => None,
        };
    }

    /// The message was taken, and there is nothing to answer.
    pub(crate) fn taken(&mut self) {
        self.end = End::Done;
    }

    /// Records that `reply` is the answer.
    pub(crate) fn replied(&mut self, reply: &Reply) {
        match reply.error_reported() {
            None => self.end = End::Done,
            Some(error) => {
                self.end = End::Refused;
                self.code = Some(error.code());
                // A reason that was recorded before is more precise.
                self.reason = self.reason.or(Some(error.name()));
            }
        }
    }

    /// Records the reason of a refusal.
    pub(crate) const fn refused(&mut self, reason: &'static str) {
        self.reason = Some(reason);
    }

    /// Records that the request was refused by its head, with this status and for this reason.
    pub(crate) fn turned_away(mut self, reason: &'static str, status: u16) {
        self.end = End::Refused;
        self.refused(reason);
        self.status(status);
    }

    /// Records that the handler has ended with `outcome`.
    pub(crate) fn ran(&mut self, outcome: &Outcome) {
        (self.end, self.code) = match outcome {
            Outcome::Tool(output) if output.is_error() => (End::Failed, None),
            Outcome::Tool(_) | Outcome::Prompt(_) | Outcome::Read(_) | Outcome::Values(_) => (End::Done, None),
            Outcome::Asks(..) => (End::Asked, None),
            Outcome::Rejected(code, _) => (End::Rejected, Some(*code)),
            Outcome::Needs(_) => (End::Rejected, Some(Code::MissingClientCapability)),
            Outcome::Page(_) => (End::Asked, Some(Code::PageRequired)),
            Outcome::NotFound => (End::Rejected, Some(Code::InvalidParams)),
            Outcome::Forwarded(result) if result.is_error => (End::Failed, None),
            Outcome::Forwarded(_) => (End::Done, None),
            Outcome::Failed { code, .. } => (End::Rejected, Some(Code::forwarded(code))),
        };
    }

    /// Records the status of a call's answer, and the error code if the result could not be
    /// written.
    pub(crate) const fn answered(&mut self, status: u16, spoilt: Option<Code>) {
        self.status = Some(status);
        if spoilt.is_some() {
            self.end = End::Rejected;
            self.code = spoilt;
        }
    }

    /// Records that the client has cancelled the message.
    pub(crate) const fn gone(&mut self) {
        self.end = End::Cancelled;
    }

    /// Records that the answer was broken off.
    pub(crate) const fn broke(&mut self) {
        self.end = End::Broken;
    }

    /// Records bytes of the answer, or of a message before it.
    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        self.sent += bytes.len();
        if let Some(messages) = &mut self.messages {
            let room = limits::ANSWER_KEPT.saturating_sub(messages.answer.len());
            messages.answer.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    pub(crate) const fn status(&mut self, status: u16) {
        self.status = Some(status);
    }

    fn log(&self, exchange: &Exchange<'_>) {
        let Exchange { server, transport, method, status, .. } = *exchange;
        let (transport, name) = (transport.as_str(), exchange.name);
        let code = exchange.code.map(Code::digits);
        let caller = exchange.caller;
        match (exchange.end, exchange.reason) {
            // Legacy clients try to open a stream as a matter of course, and expect this refusal.
            (End::Refused, Some("verb")) => tracing::debug!(server, reason = "verb", status, "refused"),
            (End::Refused, reason) => self.observers.refusals.log(Refused {
                server: server.to_owned(),
                transport,
                peer: self.peer,
                caller: self.caller.clone(),
                method,
                reason,
                why: why::take(),
                status,
                code,
            }),
            (End::Broken, _) => tracing::error!(server, transport, caller, method, name, "an answer broke off"),
            _ => {}
        }
        if exchange.took >= limits::SLOW && method != "subscriptions/listen" {
            let seconds = exchange.took.as_secs_f64();
            tracing::warn!(server, transport, caller, method, name, seconds, "a slow call");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let exchange = Exchange {
            server: &self.observers.server,
            transport: self.transport,
            peer: self.peer,
            caller: self.caller.as_deref(),
            application: self.application.as_deref(),
            arguments: self.arguments.as_deref(),
            revision: self.revision,
            method: self.method,
            name: self.offer.as_ref().map(|offer| &*offer.key),
            backend: self.backend.as_deref(),
            end: self.end,
            status: self.status.filter(|_| self.transport == Transport::Http),
            code: self.code,
            reason: self.reason,
            took: self.began.elapsed(),
            received: self.received,
            sent: self.sent,
            request: self.messages.as_ref().map(|messages| &*messages.request),
            answer: self.messages.as_ref().map(|messages| &*messages.answer),
            span: self.span,
            meta: self.meta.as_ref(),
        };
        self.log(&exchange);
        self.observers.list.iter().for_each(|observer| observer.exchange(&exchange));
    }
}

/// A message and its answer, for observers that need them.
struct Messages {
    request: Bytes,
    answer: Vec<u8>,
}

/// Most characters of a caller in a record.
const CALLER: usize = 120;

/// Most characters of the arguments in a record.
const ARGUMENTS: usize = 2048;

/// Returns the issuer and the subject of a token from its claims, and the application that it was
/// issued to. For an application's own token, the subject is the application.
fn of_token(claims: &[u8]) -> (String, Option<String>) {
    let claims: serde_json::Value = serde_json::from_slice(claims).unwrap_or_default();
    let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
    let subject = ["sub", "oid", "azp", "client_id"].into_iter().find_map(text).unwrap_or("?");
    let application = ["azp", "appid", "client_id", "cid"].into_iter().find_map(text);
    let caller = printable(&format!("{} {subject}", text("iss").unwrap_or("?")), CALLER);
    (caller, application.map(|application| printable(application, CALLER)))
}

/// The members of `params` that name an entry, and the arguments.
#[derive(Deserialize)]
struct Params<'a> {
    name: Option<String>,
    uri: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

impl<'a> Params<'a> {
    /// `None` if the message has no params, or others.
    fn of(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice::<Message<'a>>(body).ok()?.params
    }
}
