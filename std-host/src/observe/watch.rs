//! The record of one message while it is processed.

use super::refusals::Refused;
use super::why::{self, printable};
use super::{End, Exchange, Observers, Transport};
use crate::call::{Metadata, Outcome};
use crate::limits;
use crate::offer::{Offer, Registry};
use attache_core::auth::Authenticated;
use attache_core::era::Version;
use attache_core::exchange::{Next, Reply};
use attache_core::json::Text;
use attache_core::mcp::Params;
use attache_core::rpc::{Code, Envelope, Message};
use attache_core::tool::{Kind, Operation};
use bytes::Bytes;
use core::net::IpAddr;
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
    revision: Option<Version>,
    method: &'static str,
    offer: Option<Arc<Offer>>,
    meta: Option<Metadata>,
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
            revision: None,
            method: NONE,
            offer: None,
            meta: None,
            end: End::Cancelled,
            status: None,
            code: None,
            reason: None,
            received: 0,
            sent: 0,
        }
    }

    /// Records that the message is `body`, and that `next` is the action for it.
    pub(crate) fn opened(&mut self, next: &Next, who: &Authenticated<'_>, offers: &Registry, body: &Bytes) {
        self.received = body.len();
        let refused = matches!(next, Next::Reply(reply) if reply.error_reported().is_some());
        // Refusals are logged even without observers, and their log lines need the method and the
        // name.
        if self.observers.list.is_empty() && !refused {
            return;
        }
        self.called_by(who);
        match next {
            Next::Call(ticket) => {
                let call = ticket.call(body, who);
                self.revision = Some(call.version());
                let (method, kind, index) = match call.operation() {
                    Operation::Tool(index) => ("tools/call", Kind::Tool, index),
                    Operation::Prompt(index) => ("prompts/get", Kind::Prompt, index),
                    Operation::Resource(index) => ("resources/read", Kind::Resource, index),
                    Operation::Template(index) => ("resources/read", Kind::Template, index),
                    Operation::Complete(kind, index) => ("completion/complete", kind, index),
                };
                self.method = method;
                self.offer = offers.offer(kind, index);
                self.meta = Some(Metadata::of(body, call.metadata()));
            }
            _ => self.read(body),
        }
    }

    /// Records the caller.
    pub(crate) fn called_by(&mut self, who: &Authenticated<'_>) {
        self.caller = match (who.claims(), who.key_name()) {
            (Some(claims), _) => Some(of_token(claims.json())),
            (None, Some(name)) => Some(printable(&format!("key {name}"), CALLER)),
            (None, None) => None,
        };
    }

    /// Finds the method in a message that is not run. The engine has read the method before, but
    /// did not keep it.
    fn read(&mut self, body: &[u8]) {
        let mut params = Params::default();
        let Ok(envelope) = Envelope::read(body, |reader| params.read(reader)) else { return };
        let claim = params.meta.claim().ok().flatten().and_then(|item| item.of(body).text());
        self.revision = claim.and_then(Version::named);
        self.method = match envelope.message(body) {
            Ok(Message::Request(request)) => request.method.of(body).text().map_or(NONE, known),
            Ok(Message::Notification(method)) => method.of(body).text().map_or(NONE, known),
            Ok(Message::Answer(_)) => "response",
            Err(_) => NONE,
        };
    }

    /// Records that the message was accepted and needs no answer.
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

    pub(crate) const fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
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
            revision: self.revision,
            method: self.method,
            name: self.offer.as_ref().map(|offer| &*offer.key),
            end: self.end,
            status: self.status.filter(|_| self.transport == Transport::Http),
            code: self.code,
            reason: self.reason,
            took: self.began.elapsed(),
            received: self.received,
            sent: self.sent,
            meta: self.meta.as_ref(),
        };
        self.log(&exchange);
        self.observers.list.iter().for_each(|observer| observer.exchange(&exchange));
    }
}

/// Most characters of a caller in a record.
const CALLER: usize = 120;

/// Returns the issuer and the subject of a token from its claims. For an application's own token,
/// the subject is the application.
fn of_token(claims: &[u8]) -> String {
    let claims: serde_json::Value = serde_json::from_slice(claims).unwrap_or_default();
    let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
    let subject = ["sub", "oid", "azp", "client_id"].into_iter().find_map(text).unwrap_or("?");
    printable(&format!("{} {subject}", text("iss").unwrap_or("?")), CALLER)
}

/// The label of a message whose method could not be read.
const NONE: &str = "none";

/// Returns the method as the protocol writes it, or `unknown`.
fn known(name: Text<'_>) -> &'static str {
    METHODS.into_iter().find(|known| name.is(known)).unwrap_or("unknown")
}

/// The methods that clients send, of all revisions, including methods that are not served here.
const METHODS: [&str; 20] = [
    "tools/call",
    "tools/list",
    "resources/read",
    "resources/list",
    "resources/templates/list",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/get",
    "prompts/list",
    "completion/complete",
    "logging/setLevel",
    "subscriptions/listen",
    "server/discover",
    "initialize",
    "ping",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/elicitation/complete",
];
