//! The door as a tower layer, for routes next to an MCP endpoint.

use super::checks::{Checks, Out};
use super::head::{peer, size};
use crate::auth::{Auth, Caller, Unauthenticated};
use crate::budget::{Account, Budget, Overdrawn, Permit};
use crate::limits::{FIELD_MEMORY, Limits, REQUEST_MEMORY};
use crate::observe::{Observe, Observers, Transport, Watch};
use crate::why;
use attache_core::auth::{Need, authorize};
use attache_core::http::{Refusal, gate_route};
use bytes::Bytes;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};
use std::sync::Arc;
use tower_layer::Layer;
use tower_service::Service;

/// A tower layer that admits callers to any HTTP service as an MCP endpoint does: it checks the framing of the head, `Host`, `Origin`,
/// the rate limits and the credentials. A request that passes reaches the service with its [`Caller`] in its extensions. Every other
/// request is answered with the status of its refusal, a challenge where credentials would help, and `{"error":"…"}`.
///
/// The caller's address for the rate limit is the [`Peer`](super::Peer) in the extensions of the request. CORS preflights have no
/// credentials: put a layer that answers them around the door.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use attache_host::auth::{Auth, Caller, Keys};
/// use attache_host::http::Door;
/// use axum::{Extension, Router, routing::get};
///
/// let keys = Keys::new([("ops", "0123456789abcdef0123456789abcdef")]).expect("a long key");
/// let door = Door::new(Auth::keys(keys)).hosts(["api.example".to_owned()]);
/// let report = async |Extension(caller): Extension<Caller>| format!("for {}", caller.key_name().unwrap_or("nobody"));
/// let router: Router = Router::new().route("/report", get(report)).layer(door);
/// # let _ = router;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Door {
    checks: Arc<Checks>,
    observers: Arc<Observers>,
    budget: Budget,
    /// The scopes that callers need.
    scopes: Arc<[String]>,
    /// Whether the service can send challenges of this door.
    #[cfg(feature = "proxy")]
    is_lent: bool,
}

/// The challenges of a door, for the service behind it. It is in the extensions of a request.
#[cfg(feature = "proxy")]
#[derive(Clone, Debug)]
pub(crate) struct Challenger(Arc<Checks>);

#[cfg(feature = "proxy")]
impl Challenger {
    /// The challenge for a refusal, with the scopes that would do.
    pub(crate) fn challenge(&self, refusal: Refusal, head: &Parts, scopes: &[String]) -> Option<HeaderValue> {
        self.0.challenge(refusal, head, scopes.iter().map(String::as_str))
    }
}

/// A service behind a [`Door`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    door: Door,
    service: S,
}

impl<S> Guarded<S> {
    /// The service behind the door.
    pub const fn inner(&self) -> &S {
        &self.service
    }
}

impl Door {
    /// Callers have to show these credentials. The server is called by the names of this machine alone (`localhost`, `127.0.0.1`,
    /// `[::1]`) until [`hosts`](Door::hosts) says otherwise.
    pub fn new(auth: Auth) -> Self {
        let checks = Arc::new(Checks::new(auth, &Limits::default()));
        let budget = Budget::new(&Limits::default());
        Self {
            checks,
            observers: Arc::new(Observers::of("door")),
            budget,
            scopes: Arc::default(),
            #[cfg(feature = "proxy")]
            is_lent: false,
        }
    }

    /// Callers need no credentials. `Host`, `Origin` and the rate limits are checked.
    pub fn open() -> Self {
        Self::new(Auth::anonymous())
    }

    /// Sets the name under which the log reports refused requests; `door` by default.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut Arc::make_mut(&mut self.observers).server);
        self
    }

    /// Sets the allow-list for `Host`: names without port. An empty list accepts any name.
    #[must_use]
    pub fn hosts(self, names: impl IntoIterator<Item = String>) -> Self {
        self.with(|checks| checks.hosts = names.into_iter().collect())
    }

    /// Sets the allow-list for `Origin`: web pages that may call, such as `https://app.example`. Pages of the server's own hosts may
    /// call without an entry.
    #[must_use]
    pub fn origins(self, origins: impl IntoIterator<Item = String>) -> Self {
        self.with(|checks| checks.origins = origins.into_iter().collect())
    }

    /// Sets the rate limits of callers, the limits of a request's head, and the memory budget for requests that wait for an issuer. The
    /// other limits have no effect here.
    #[must_use]
    pub fn limits(mut self, limits: &Limits) -> Self {
        self.budget = Budget::new(limits);
        self.with(|checks| checks.limit(limits))
    }

    /// Reserves the memory of requests from a budget that is shared with servers. Call it after [`limits`](Self::limits).
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Requires scopes of the caller's token. A caller without one of them is answered with a challenge that names it. Holders of
    /// keys need no scopes.
    #[must_use]
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = String>) -> Self {
        self.scopes = scopes.into_iter().collect();
        self
    }

    /// Lets the service behind this door send its challenges.
    #[cfg(feature = "proxy")]
    pub(crate) fn lent(mut self) -> Self {
        self.is_lent = true;
        self
    }

    /// Adds an observer, which is told of each refused request.
    #[must_use]
    pub fn observe(mut self, observer: Arc<dyn Observe>) -> Self {
        Arc::make_mut(&mut self.observers).list.push(observer);
        self
    }

    /// Puts `service` behind the door.
    pub fn layer<S>(&self, service: S) -> Guarded<S> {
        Guarded { door: self.clone(), service }
    }

    fn with(mut self, change: impl FnOnce(&mut Checks)) -> Self {
        change(Arc::make_mut(&mut self.checks));
        self
    }

    /// The caller of the request with this head.
    async fn caller(&self, head: &Parts) -> Result<Caller, Refused> {
        let checks = &*self.checks;
        let refused = checks.refused(head, size(head));
        let mut permit = match refused {
            // The answer to a refused request is small and is sent at once.
            Some(_) => Permit::uncounted(),
            None => self.memory(head).map_err(|_| Refusal::Undecided)?,
        };
        if checks.auth().is_hidden() {
            let is_known = match refused {
                Some((Refusal::Rate, _)) => checks.is_remembered(head),
                _ => checks.is_known(head, &mut permit).await,
            };
            if !is_known {
                return Err(Refusal::NoToken.into());
            }
        }
        if let Some((refusal, wait)) = refused {
            return Err(Refused { refusal, wait });
        }
        let facts = checks.facts(head);
        let guest = match checks.admit(gate_route(&facts, &checks.policy()), head, &mut permit).await {
            Ok(guest) => guest,
            Err(Out::Refused(refusal)) => return Err(refusal.into()),
            Err(Out::Short(_)) => return Err(Refusal::Undecided.into()),
        };
        let who = guest.who()?;
        let needs = self.scopes.iter().map(|scope| Need::Scope(scope));
        authorize(&who, needs, |_| None).map_err(Refusal::from)?;
        match checks.count_identity(&who) {
            Ok(()) => Ok(Caller::of(&who)),
            Err(wait) => Err(Refused { refusal: Refusal::Rate, wait: Some(wait) }),
        }
    }

    /// Reserves the memory of a request while its caller is checked, which may wait for an issuer.
    fn memory(&self, head: &Parts) -> Result<Permit, Overdrawn> {
        let bytes = REQUEST_MEMORY + size(head) + head.headers.len() * FIELD_MEMORY;
        self.budget.reserve(Account::address(peer(head)), bytes)
    }

    /// Logs that the service behind the door has refused the request with this head.
    #[cfg(feature = "serve")]
    pub(crate) fn log_refused(&self, head: &Parts, status: u16) {
        let mut watch = Watch::new(&self.observers, Transport::Http);
        watch.peer = peer(head);
        watch.turned_away("request", status);
    }

    /// The answer to a refused request.
    fn answer(&self, Refused { refusal, wait }: Refused, head: &Parts) -> Response<Full<Bytes>> {
        let mut watch = Watch::new(&self.observers, Transport::Http);
        watch.peer = peer(head);
        let auth = self.checks.auth();
        if let Some(url) = auth.sign_in_url(refusal, head) {
            watch.turned_away(refusal.name(), StatusCode::FOUND.as_u16());
            return redirect(&url);
        }
        let mut response = match auth.shown_to_callers(refusal) {
            Unauthenticated::Challenge | Unauthenticated::SignIn => {
                let reason = serde_json::json!({"error": refusal.reason()}).to_string();
                let mut response = answered(refusal.status(), reason.into());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                // RFC 6750 §3.1: insufficient_scope MAY name the scopes that are needed.
                let needed = self.scopes.iter().map(String::as_str);
                let own = auth.scopes().filter(|scope| !self.scopes.iter().any(|needed| needed == scope));
                if let Some(challenge) = self.checks.challenge(refusal, head, own.chain(needed)) {
                    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                }
                response
            }
            Unauthenticated::Forbidden => answered(Refusal::Forbidden.status(), Bytes::new()),
            Unauthenticated::NotFound => answered(StatusCode::NOT_FOUND.as_u16(), Bytes::new()),
        };
        if let Some(wait) = wait {
            // RFC 9110 §10.2.3: in whole seconds.
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        watch.turned_away(refusal.name(), response.status().as_u16());
        response
    }
}

/// Why a request is refused, and how long its caller has to wait if the refusal ends by itself.
struct Refused {
    refusal: Refusal,
    wait: Option<Duration>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, wait: None }
    }
}

/// Sends a person with a browser to the sign-in page. No cache may store the answer: after the sign-in, the URL has another one.
pub(crate) fn redirect<B: Default>(url: &str) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(url) = HeaderValue::from_str(url) {
        response.headers_mut().insert(LOCATION, url);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn answered(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    response
}

impl<S> Layer<S> for Door {
    type Service = Guarded<S>;

    fn layer(&self, service: S) -> Guarded<S> {
        Self::layer(self, service)
    }
}

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Body<Data = Bytes>,
{
    type Response = Response<Either<Full<Bytes>, R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone that takes the next request has to become ready itself.
        let next = self.service.clone();
        let mut service = core::mem::replace(&mut self.service, next);
        let door = self.door.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let admitted = why::scope(async {
                let caller = door.caller(&head).await;
                caller.map_err(|refused| door.answer(refused, &head))
            });
            match admitted.await {
                Ok(caller) => head.extensions.insert(caller),
                Err(response) => return Ok(response.map(Either::Left)),
            };
            #[cfg(feature = "proxy")]
            if door.is_lent {
                head.extensions.insert(Challenger(Arc::clone(&door.checks)));
            }
            Ok(service.call(Request::from_parts(head, body)).await?.map(Either::Right))
        })
    }
}
