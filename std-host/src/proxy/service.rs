//! The proxy as a tower service, behind the access checks.

use super::activity::{Activity, RequestBody};
use super::answer::cleaned;
use super::limits::IDLE_TIME;
use super::mcp::{Admission, McpPolicy};
use super::path::most_lenient;
use super::refused::Refused;
use super::request::{Passing, outgoing, upgrade};
use super::tunnel;
use super::upstream::{Unanswered, Upstream};
use crate::https::causes;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::serve::Tunnel;
use axum::body::Body;
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;
use tower_service::Service;

/// A service that passes requests on to an application. Put the access checks in front of it, as [`Routes`](super::Routes) does: the
/// service itself checks nothing. The [`Caller`](crate::auth::Caller) in the extensions of a request is described to the application.
#[derive(Clone, Debug)]
pub struct Proxy(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    name: String,
    upstream: Upstream,
    passing: Passing,
    idle_time: Duration,
    refuses_upgrades: bool,
    /// The policy of MCP paths.
    policy: Option<McpPolicy>,
    limits: Limits,
}

impl Proxy {
    /// Passes requests on to this application.
    pub fn new(upstream: Upstream) -> Self {
        Self(Arc::new(Inner {
            name: "application".to_owned(),
            upstream,
            passing: Passing::default(),
            idle_time: IDLE_TIME,
            refuses_upgrades: false,
            policy: None,
            limits: Limits::default(),
        }))
    }

    /// Sets the name by which the log calls the application.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.with(|inner| name.clone_into(&mut inner.name))
    }

    /// Passes the field `Authorization` on. By default the application does not get it: a token for this program is not for the
    /// application (RFC 9700 §4.10.1).
    #[must_use]
    pub fn pass_authorization(self) -> Self {
        self.with(|inner| inner.passing.authorization = true)
    }

    /// Passes the field `Host` of the client on. By default the application gets its own host, and the client's in
    /// `X-Forwarded-Host`.
    #[must_use]
    pub fn pass_host(self) -> Self {
        self.with(|inner| inner.passing.host = true)
    }

    /// Takes the parameter `code` out of the query, where the access checks accept a key there.
    #[must_use]
    pub fn key_in_query(self) -> Self {
        self.with(|inner| inner.passing.key_in_query = true)
    }

    /// Sets the time without activity after which an exchange ends; by default [`IDLE_TIME`].
    #[must_use]
    pub fn idle_time(self, time: Duration) -> Self {
        self.with(|inner| inner.idle_time = time)
    }

    /// Refuses requests that switch to another protocol, such as WebSocket.
    #[must_use]
    pub fn refuse_upgrades(self) -> Self {
        self.with(|inner| inner.refuses_upgrades = true)
    }

    /// Judges the MCP messages of all requests by a policy. Use it for the paths at which the application serves MCP: other requests
    /// are refused. Read-only tools are known from the lists that have passed; pins have no effect.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        self.with(|inner| inner.policy = Some(McpPolicy::new(policy)))
    }

    /// Whether the messages of requests are judged.
    pub fn has_policy(&self) -> bool {
        self.0.policy.is_some()
    }

    /// Replaces the policy of this proxy and of its clones, if it has one. Requests that are under way keep the old one.
    pub fn replace_policy(&self, policy: Policy) {
        if let Some(own) = &self.0.policy {
            own.replace(policy);
        }
    }

    /// Sets the limits of bodies that are held until they are judged.
    #[must_use]
    pub fn limits(self, limits: &Limits) -> Self {
        self.with(|inner| inner.limits = limits.clone())
    }

    /// Whether the application is there, as far as this program knows: a process that it has started runs.
    pub fn is_up(&self) -> bool {
        self.0.upstream.is_up()
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl Service<Request<Body>> for Proxy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        let version = request.version();
        Box::pin(async move { Ok(inner.answer(request).await.unwrap_or_else(|refused| refused.answer(version))) })
    }
}

impl Inner {
    async fn answer(&self, mut request: Request<Body>) -> Result<Response<Body>, Refused> {
        check(&request)?;
        let client = hyper::upgrade::on(&mut request);
        let (mut head, body) = request.into_parts();
        let (version, upgrade) = (head.version, upgrade(&head));
        if upgrade.is_some() && self.refuses_upgrades {
            return Err(Refused::Upgrade);
        }
        let (body, due) = match &self.policy {
            None => (body, None),
            Some(policy) => match policy.admit(&mut head, body, &self.limits).await {
                Admission::Answered(answer) => return Ok(answer),
                Admission::Passed(admitted) => {
                    let (body, due) = admitted.parts();
                    (body, Some((policy, due)))
                }
            },
        };
        let origin = self.upstream.origin().await.map_err(|unanswered| self.log(&unanswered))?;
        let request = outgoing(head, upgrade.clone(), &origin, &self.passing).ok_or(Refused::Target)?;
        let activity = Activity::new(self.idle_time);
        let request = request.map(|()| RequestBody::new(body, Arc::clone(&activity)));
        let answer = tokio::select! {
            answer = self.upstream.send(request) => answer.map_err(|unanswered| self.log(&unanswered))?,
            () = activity.is_idle() => {
                tracing::warn!(application = self.name, "an application has not answered in time");
                return Err(Refused::Late);
            }
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return switched(answer, upgrade, client, self.idle_time);
        }
        activity.note();
        let is_read = activity.is_read();
        let mut answer = cleaned(answer, activity).map_err(|malformed| {
            tracing::warn!(application = self.name, ?malformed, "the answer of an application is malformed");
            Refused::Length
        })?;
        // RFC 9112 §9.6: the rest of a request that was answered early may never be read, so the connection has to close.
        if !is_read && version < Version::HTTP_2 {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        match due {
            None => Ok(answer),
            Some((policy, due)) => policy.filter(answer, due).await,
        }
    }

    /// Logs why there is no answer, and returns the part of it that the client may know.
    fn log(&self, unanswered: &Unanswered) -> Refused {
        let application = &*self.name;
        match unanswered {
            Unanswered::Starting => {
                tracing::warn!(application, "a request was refused: its application is being started");
                Refused::Starting
            }
            Unanswered::Unreachable(error) => {
                tracing::warn!(application, error = causes(&**error), "an application cannot be reached");
                Refused::Unreachable
            }
            Unanswered::Broken(error) => {
                tracing::warn!(application, error = causes(&**error), "an application has not answered");
                Refused::Broken
            }
        }
    }
}

/// The paths of OAuth metadata (RFC 8414, RFC 9728). They name the authorization servers of this program.
const METADATA: &str = "/.well-known/oauth-";

/// Checks what the proxy does not serve whatever the application is.
fn check(request: &Request<Body>) -> Result<(), Refused> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refused::Method);
    }
    let path = request.uri().path();
    if !path.starts_with('/') {
        return Err(Refused::Target);
    }
    // Few paths have these letters, so few are normalized.
    let may_be_metadata = path.contains(['.', '%']);
    if may_be_metadata && most_lenient(path).starts_with(METADATA) {
        return Err(Refused::NotServed);
    }
    Ok(())
}

/// Passes an answer 101 on. The connection of the client then copies bytes to and from the application.
fn switched(
    mut answer: Response<Incoming>,
    asked: Option<HeaderValue>,
    client: OnUpgrade,
    idle_time: Duration,
) -> Result<Response<Body>, Refused> {
    let protocol = answer.headers().get(UPGRADE).cloned();
    // RFC 9110 §7.8: "A server MUST NOT switch to a protocol that was not indicated by the client".
    let is_asked = |protocol: &HeaderValue| {
        let offered = asked.as_ref().map(HeaderValue::as_bytes).unwrap_or_default().split(|byte| *byte == b',');
        offered.map(<[u8]>::trim_ascii).any(|offered| offered.eq_ignore_ascii_case(protocol.as_bytes()))
    };
    let protocol = protocol.filter(is_asked).ok_or(Refused::Switched)?;
    let application = hyper::upgrade::on(&mut answer);
    let (mut head, _) = answer.into_parts();
    super::fields::remove_of_connection(&mut head.headers);
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(UPGRADE, protocol);
    head.extensions.insert(Tunnel::new(tunnel::run(client, application, idle_time)));
    Ok(Response::from_parts(head, Body::empty()))
}
