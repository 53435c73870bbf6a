//! The handshake: negotiates the revision, and collects the server's description of itself.

use super::error::Error;
use super::limits::{ClientLimits, LATER, LATER_MOST};
use super::link::Link;
use super::mailbox::Answer;
use super::outgoing::{Drive, Head, Outgoing};
use super::profile::OwnProfile;
use super::raw::RawJson;
use super::request::Request;
use super::router::{Purpose, Router};
use attache_core::client::{Heard, Negotiation, NoRevision, Step};
use attache_core::era::Version;
use bytes::Bytes;
use core::time::Duration;
use std::sync::Arc;
use tokio::time::{sleep, timeout};

/// The server's description of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The negotiated revision.
    pub version: Version,
    /// `serverInfo`: name and version, if the server sent them. They do not identify the server
    /// reliably.
    pub info: Option<RawJson>,
    /// The capabilities of the server.
    pub capabilities: RawJson,
    /// Instructions for the model.
    pub instructions: Option<String>,
    /// The whole result of `server/discover` or `initialize`.
    pub raw: RawJson,
}

impl ServerInfo {
    /// Whether the server has declared a capability, such as `["tools"]`, or a part of one, such as
    /// `["resources", "subscribe"]`.
    pub fn has(&self, path: &[&str]) -> bool {
        let found = path.iter().try_fold(self.capabilities.clone(), |value, name| value.member(name));
        // `"listChanged": false` means that the capability is absent. An empty object means that it
        // is present.
        found.is_some_and(|value| !matches!(value.as_str(), "false" | "null"))
    }

    fn of(version: Version, result: RawJson) -> Self {
        let own = result.member("_meta").and_then(|meta| meta.member("io.modelcontextprotocol/serverInfo"));
        Self {
            version,
            info: own.or_else(|| result.member("serverInfo")),
            capabilities: result.member("capabilities").unwrap_or_else(RawJson::empty_object),
            instructions: result.member("instructions").and_then(|text| text.string()),
            raw: result,
        }
    }
}

/// A server process that can be restarted.
pub(super) trait Restart {
    async fn restart(&mut self, link: &mut Link) -> Result<(), Error>;
}

/// A server that cannot be restarted.
pub(super) struct NoRestart;

impl Restart for NoRestart {
    async fn restart(&mut self, _: &mut Link) -> Result<(), Error> {
        Err(Error::NoRevision(NoRevision::Ended))
    }
}

/// A negotiation in progress.
pub(super) struct Handshake<'a> {
    pub(super) router: &'a Arc<Router>,
    pub(super) profile: &'a OwnProfile,
    pub(super) limits: &'a ClientLimits,
}

impl Handshake<'_> {
    /// Executes the steps of a negotiation to its end.
    pub(super) async fn run(
        &self,
        link: &mut Link,
        mut negotiation: Negotiation,
        restart: &mut impl Restart,
    ) -> Result<ServerInfo, Error> {
        let mut step = negotiation.start();
        let mut has_waited = false;
        loop {
            let answer = self.take(link, step).await;
            let heard = match &answer {
                Ok(Some(answer)) => Heard::Message { status: answer.status, body: &answer.body },
                Ok(None) => Heard::Opened,
                Err(error) => heard(error, link.is_http()).ok_or_else(|| error.clone())?,
            };
            let has_ended = matches!(heard, Heard::Ended);
            let next = negotiation.heard(heard);
            step = match next {
                Step::Modern(version) | Step::Legacy(version) => return self.done(link, version, answer?).await,
                // The server's error text is more useful than the verdict of the negotiation.
                Step::Fail(reason) => return Err(failure(reason, answer.err())),
                Step::Authorize(_) => return Err(answer.err().unwrap_or(Error::Unauthorized(None))),
                Step::Wait(_) if has_waited => return Err(answer.err().unwrap_or(Error::Closed)),
                Step::Wait(_) => {
                    has_waited = true;
                    sleep(wait_time(answer.err())).await;
                    step
                }
                next => {
                    if has_ended {
                        restart.restart(link).await?;
                    }
                    next
                }
            };
        }
    }

    /// Executes a step. Returns `None` if the step has no answer.
    async fn take(&self, link: &Link, step: Step) -> Result<Option<Answer>, Error> {
        match step {
            Step::Discover(version) => {
                let request = Request::new("server/discover");
                let body = |id| request.body(id, version, self.profile.borrowed(), &[]);
                self.ask(link, "server/discover", version, self.limits.probe_time, body).await.map(Some)
            }
            Step::Initialize(version) => {
                let body = |id| self.profile.initialize(id, version);
                self.ask(link, "initialize", version, self.limits.handshake_time, body).await.map(Some)
            }
            Step::OpenOldTransport => match link {
                Link::Http(http) => {
                    let time = self.limits.probe_time;
                    timeout(time, http.open_old()).await.unwrap_or(Err(Error::Timeout(time))).map(|()| None)
                }
                Link::Pipe(_) => Err(Error::NoRevision(NoRevision::NotMcp)),
            },
            _ => Err(Error::Closed),
        }
    }

    async fn ask(
        &self,
        link: &Link,
        method: &'static str,
        version: Version,
        time: Duration,
        body: impl FnOnce(u64) -> Bytes,
    ) -> Result<Answer, Error> {
        let (id, mailbox) = self.router.open(Purpose::Upkeep)?;
        let head = Head { version, method: method.into(), name: None, mirrored: Vec::new(), credential: None };
        let mut sending = link.start(Outgoing { id, body: body(id), head }, Drive::Caller);
        let answered = async {
            loop {
                // Servers may send log messages and notifications before the answer. They are
                // ignored here.
                if let Err(end) = mailbox.next().await {
                    break end;
                }
            }
        };
        let answered = link.within(time, sending.until(answered)).await;
        if answered.is_ok() {
            sending.finish();
        }
        self.router.forget(id);
        answered.unwrap_or(Err(Error::Timeout(time)))
    }

    async fn done(&self, link: &Link, version: Version, answer: Option<Answer>) -> Result<ServerInfo, Error> {
        let answer = answer.ok_or(Error::Closed)?;
        let Ok(result) = answer.outcome else { return Err(Error::NoRevision(NoRevision::NotMcp)) };
        self.router.agree(version);
        if !version.is_modern() {
            // MCP 2025-11-25 basic/lifecycle: the client MUST send it. Some servers list no tools
            // before.
            link.notify(self.profile.initialized()).await?;
            if let Link::Http(http) = link {
                http.begun().await;
            }
        }
        Ok(ServerInfo::of(version, RawJson::part(&answer.body, result.of(&answer.body))))
    }
}

/// Translates an error into an input of the negotiation. `None` if the error ends the attempt.
fn heard(error: &Error, is_http: bool) -> Option<Heard<'_>> {
    Some(match error {
        Error::Status { status, body, .. } => Heard::Status { status: *status, body: body.as_bytes() },
        Error::Unauthorized(_) => Heard::Status { status: 401, body: b"" },
        Error::Forbidden(_) => Heard::Status { status: 403, body: b"" },
        Error::Timeout(_) => Heard::Silence,
        // Over HTTP, a lost connection is an outage and says nothing about the revision.
        Error::Lost(_) if is_http => return None,
        Error::Exited(_) | Error::Lost(_) => Heard::Ended,
        Error::Invalid(_) => Heard::Status { status: 200, body: b"" },
        _ => return None,
    })
}

fn failure(reason: NoRevision, error: Option<Error>) -> Error {
    match (reason, error) {
        (_, Some(error @ (Error::Exited(_) | Error::Invalid(_) | Error::Unreachable(_)))) => error,
        (NoRevision::Ended, Some(error @ Error::Lost(_))) => error,
        (NoRevision::Status(_), Some(error @ Error::Status { .. })) => error,
        (reason, _) => Error::NoRevision(reason),
    }
}

fn wait_time(error: Option<Error>) -> Duration {
    match error {
        Some(Error::Status { retry_after: Some(time), .. }) => time.min(LATER_MOST),
        _ => LATER,
    }
}
