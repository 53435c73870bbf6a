//! The state that all requests of a client share.

use super::error::{Error, RpcError};
use super::handshake::ServerInfo;
use super::limits::ClientLimits;
use super::link::Link;
use super::mailbox::Mailbox;
use super::mirror::{self, Mirrored};
use super::outgoing::{Drive, Head, Outgoing, Sending};
use super::process::Process;
use super::profile::OwnProfile;
use super::raw::RawJson;
use super::request::Request;
use super::router::{Purpose, Router};
use crate::sink::Growing;
use attache_core::client::{self, Outcome, Param};
use attache_core::era::Version;
use core::fmt;
use http::{HeaderName, HeaderValue};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) struct Inner {
    pub(super) router: Arc<Router>,
    pub(super) link: Link,
    pub(super) limits: ClientLimits,
    pub(super) profile: Arc<OwnProfile>,
    pub(super) server: ServerInfo,
    /// The mirrored arguments of the tools that were listed.
    pub(super) tools: Mutex<HashMap<String, Arc<Vec<Mirrored>>>>,
    pub(super) process: Mutex<Option<Process>>,
}

impl Inner {
    pub(super) fn version(&self) -> Version {
        self.router.version().unwrap_or(self.server.version)
    }

    pub(super) fn is_modern(&self) -> bool {
        self.version().is_modern()
    }

    /// Sends a request. Its events arrive in the mailbox, and so does a failure to send it.
    pub(super) fn send(
        &self,
        request: &Request,
        purpose: Purpose,
        further: &[(&str, RawJson)],
        drive: Drive,
    ) -> (u64, Arc<Mailbox>, Sending) {
        let (id, mailbox) = match self.router.open(purpose) {
            Ok(opened) => opened,
            Err(error) => {
                let mailbox = Arc::new(Mailbox::default());
                mailbox.end(Err(error));
                return (0, mailbox, Sending::default());
            }
        };
        let version = self.version();
        let is_mirrored = version.is_modern() && self.link.is_http();
        let head = Head {
            version,
            method: request.method.clone(),
            name: if is_mirrored { request.mirrored_name() } else { None },
            mirrored: if is_mirrored { self.mirrored(request) } else { Vec::new() },
            credential: request.credential.clone(),
        };
        let body = request.body(id, version, self.profile.borrowed(), further);
        (id, mailbox, self.link.start(Outgoing { id, body, head }, drive))
    }

    fn mirrored(&self, request: &Request) -> Vec<(HeaderName, HeaderValue)> {
        if request.method != "tools/call" {
            return Vec::new();
        }
        let tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let known = request.param_named("name").and_then(|name| name.string()).and_then(|name| tools.get(&name));
        known.map(|known| mirror::fields(known, request.param_named("arguments"))).unwrap_or_default()
    }

    /// Gives up a request, and notifies the server in the way of the transport.
    // MCP 2026-07-28 streamable-http: closing the stream is the signal. Other transports need a
    // notification: over HTTP with older revisions, closing the stream has no meaning.
    pub(super) fn cancel(&self, id: u64, reason: &str) {
        if !self.router.forget(id) || (self.link.is_http() && self.is_modern()) {
            return;
        }
        let mut out = Growing::unlimited();
        let digits = id.to_string();
        let params = [Param::json("requestId", digits.as_bytes()), Param::text("reason", reason)];
        // The buffer grows, so writing cannot fail.
        let _ = client::notification(&mut out, "notifications/cancelled", &params);
        self.link.notify_later(out.bytes.into());
    }

    /// Sends a request that does not accept questions, and waits for its result.
    pub(super) async fn ask(&self, request: &Request) -> Result<RawJson, Error> {
        let (id, mailbox, mut sending) = self.send(request, Purpose::Upkeep, &[], Drive::Caller);
        let answered = async {
            loop {
                if let Err(end) = mailbox.next().await {
                    break end;
                }
            }
        };
        let time = self.limits.request_time;
        let Ok(answered) = self.link.within(time, sending.until(answered)).await else {
            self.cancel(id, "timeout");
            return Err(Error::Timeout(time));
        };
        sending.finish();
        let answer = answered?;
        let part = |item: attache_core::json::Item| RawJson::part(&answer.body, item.of(&answer.body));
        let result = match answer.outcome {
            Ok(result) => result,
            Err(error) => return Err(Error::Rpc(RpcError::of(part(error)))),
        };
        match Outcome::of(result.of(&answer.body)) {
            Outcome::Complete => Ok(part(result)),
            _ if !self.is_modern() => Ok(part(result)),
            _ => Err(Error::Invalid(format!("the result of {} is of an unknown type", request.method))),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let (Link::Http(http), Ok(runtime)) = (&self.link, tokio::runtime::Handle::try_current()) {
            let http = Arc::clone(http);
            runtime.spawn(async move { http.end().await });
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("server", &self.server).finish_non_exhaustive()
    }
}
