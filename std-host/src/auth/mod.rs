//! Authentication of callers: access tokens of OAuth issuers, API keys, or both. The rules are in
//! [`attache_core::auth`]. This module fetches and caches keys, and caches the tokens that were
//! verified.
//!
//! ```
//! # #[cfg(feature = "discovery")]
//! # fn server() -> Result<attache_host::ServerBuilder, Box<dyn core::error::Error>> {
//! use attache_host::Server;
//! use attache_host::auth::{Auth, Issuer, Tokens};
//!
//! let issuer = Issuer::discovered("https://id.example")?.applications(["desktop-app"]);
//! let tokens = Tokens::of("https://api.example/mcp", issuer)?.scopes(["mcp.use"]);
//! let server = Server::new("thermostat", "1").auth(Auth::tokens(tokens));
//! # Ok(server)
//! # }
//! ```

mod caller;
mod custom;
#[cfg(feature = "tokens")]
mod explain;
#[cfg(feature = "tokens")]
#[cfg_attr(not(feature = "discovery"), path = "no_fetch.rs")]
pub(crate) mod fetch;
#[cfg(feature = "oauth-client")]
pub(crate) mod inbound;
#[cfg(feature = "tokens")]
pub(crate) mod issuer;
#[cfg(feature = "serve")]
pub mod key_file;
#[cfg(feature = "tokens")]
pub(crate) mod key_set;
mod keys;
mod platform;
#[cfg(feature = "tokens")]
mod platform_file;
#[cfg(feature = "discovery")]
pub(crate) mod reach;
#[cfg(feature = "tokens")]
mod revocations;
#[cfg(feature = "tokens")]
pub(crate) mod seen;
#[cfg(feature = "tokens")]
pub(crate) mod sessions;
#[cfg(feature = "tokens")]
pub(crate) mod source;
#[cfg(feature = "tokens")]
mod tokens;

pub use attache_core::auth::IssuerPolicy;
pub use caller::Caller;
pub use custom::Rejection;
#[cfg(feature = "tokens")]
pub use explain::Explained;
#[cfg(feature = "discovery")]
pub use issuer::InvalidIssuer;
#[cfg(feature = "tokens")]
pub use issuer::Issuer;
#[cfg(feature = "tokens")]
pub use key_set::NoKeys;
pub use keys::{Keys, ShortKey};
#[cfg(feature = "authorization-server")]
pub(crate) use platform::LONG;
#[cfg(feature = "tokens")]
pub use platform_file::{IssuerSettings, PlatformFile, PlatformProvider, PlatformSignIn, ProviderKind};
#[cfg(feature = "tokens")]
pub use revocations::Revocations;
#[cfg(feature = "tokens")]
pub use tokens::{InvalidResource, Tokens};

use crate::budget::Budget;
use attache_core::auth::{Access, Authenticated, Denied, Gate, Shown, Verified};
use attache_core::http::{Refusal, Resource, Unverified};
use custom::Custom;
use http::HeaderMap;
use http::header::HeaderName;
use http::request::Parts;
#[cfg(feature = "tokens")]
use seen::Seen;
#[cfg(feature = "tokens")]
use sessions::{Session, Sessions};
#[cfg(feature = "tokens")]
use source::Fetch;
#[cfg(feature = "tokens")]
use std::sync::Arc;

/// The credentials that callers must show, and how the server checks them.
#[derive(Debug)]
pub struct Auth {
    gate: Gate,
    keys: Keys,
    key_in_query: bool,
    unauthenticated: Unauthenticated,
    /// The header fields in which a proxy reports the host and scheme of the original request.
    forwarded: Option<[HeaderName; 2]>,
    custom: Option<Custom>,
    #[cfg(feature = "tokens")]
    tokens: Option<Tokens>,
    /// The sessions of people who have signed in with a browser.
    #[cfg(feature = "tokens")]
    sessions: Option<Arc<dyn Sessions>>,
}

/// Marks a request that came through a trusted proxy. The code that accepts connections puts it
/// into the request's extensions. [`Auth::forwarded`] sets which fields are then trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxied;

/// The answer to callers without valid credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unauthenticated {
    /// 401 with a challenge. Clients need the challenge to find the issuer.
    #[default]
    Challenge,
    /// 403 without a challenge.
    Forbidden,
    /// 404, as if the endpoint did not exist.
    NotFound,
    /// A redirect to the sign-in page for a person with a browser, and 401 with a challenge for programs.
    SignIn,
}

impl Auth {
    /// Requires an API key in the header `X-Functions-Key`.
    pub fn keys(keys: Keys) -> Self {
        Self::of(Gate::Key, keys)
    }

    /// Requires an access token in the header `Authorization` (RFC 6750).
    #[cfg(feature = "tokens")]
    pub fn tokens(tokens: Tokens) -> Self {
        Self { tokens: Some(tokens), ..Self::of(Gate::Token, Keys::default()) }
    }

    /// Requires a token or a key. If a request has both, the token is used.
    #[cfg(feature = "tokens")]
    pub fn either(tokens: Tokens, keys: Keys) -> Self {
        Self { tokens: Some(tokens), ..Self::of(Gate::Either, keys) }
    }

    /// Requires both a key and a token. The token identifies the caller.
    #[cfg(feature = "tokens")]
    pub fn both(tokens: Tokens, keys: Keys) -> Self {
        Self { tokens: Some(tokens), ..Self::of(Gate::Both, keys) }
    }

    /// Accepts an access token, but does not require one. Callers without a valid token are guests:
    /// they may use tools that require no scope or role. Other tools answer with a challenge for a
    /// token.
    #[cfg(feature = "tokens")]
    pub fn optional(tokens: Tokens) -> Self {
        Self { tokens: Some(tokens), ..Self::of(Gate::Optional, Keys::default()) }
    }

    /// The identity header of a platform that authenticates callers, `X-MS-CLIENT-PRINCIPAL`. Any client can write such a header, so
    /// the server must be reachable through the platform alone, which removes the headers that its own clients have written.
    pub fn platform_principal() -> Self {
        Self::of(Gate::Platform, Keys::default())
    }

    /// Has the application find the caller of each request, from its head. A layer in front of the
    /// endpoint may have put the caller's session into the extensions of the request.
    ///
    /// `find` runs before anything else is known of the request, so it must not trust its content,
    /// and should be fast. Sessions, the answers to questions and rate limits are bound to the
    /// [`subject`](Caller::subject) of the caller.
    ///
    /// ```
    /// use attache_host::Server;
    /// use attache_host::auth::{Auth, Caller, Rejection};
    /// use http::request::Parts;
    ///
    /// #[derive(Clone)]
    /// struct SignedIn(String);
    ///
    /// let auth = Auth::custom(async |head: Parts| match head.extensions.get::<SignedIn>() {
    ///     Some(SignedIn(name)) => Ok(Caller::new(name).with_scope("notes.write")),
    ///     None => Err(Rejection::Unauthenticated("no session".to_owned())),
    /// });
    /// let server = Server::new("notes", "1.0").auth(auth);
    /// ```
    pub fn custom<F, Fut>(find: F) -> Self
    where
        F: Fn(Parts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Caller, Rejection>> + Send + 'static,
    {
        Self { custom: Some(Custom::new(find)), ..Self::of(Gate::Platform, Keys::default()) }
    }

    /// Sets the answer to callers without valid credentials.
    #[must_use]
    pub const fn unauthenticated(mut self, answer: Unauthenticated) -> Self {
        self.unauthenticated = answer;
        self
    }

    /// Trusts these header fields of a proxy, such as `X-Forwarded-Host` and `X-Forwarded-Proto`,
    /// for the public URL of the endpoint that challenges and metadata show. Only requests with
    /// [`Proxied`] are affected. Token audiences do not change: they are always the configured
    /// ones.
    #[must_use]
    pub fn forwarded(mut self, host: HeaderName, proto: HeaderName) -> Self {
        self.forwarded = Some([host, proto]);
        self
    }

    /// Also accepts a key in the query parameter `code`, without percent-decoding, for clients that
    /// cannot send headers. URLs end up in logs and histories, and the key with them.
    #[must_use]
    pub const fn key_in_query(mut self) -> Self {
        self.key_in_query = true;
        self
    }

    /// Requires no credentials: any caller may call.
    pub(crate) fn anonymous() -> Self {
        Self::of(Gate::Open(Access::Anonymous), Keys::default())
    }

    fn of(gate: Gate, keys: Keys) -> Self {
        Self {
            gate,
            keys,
            key_in_query: false,
            unauthenticated: Unauthenticated::Challenge,
            forwarded: None,
            custom: None,
            #[cfg(feature = "tokens")]
            tokens: None,
            #[cfg(feature = "tokens")]
            sessions: None,
        }
    }

    /// Charges the token cache to this budget.
    pub(crate) fn draw_from(&self, budget: &Budget) {
        #[cfg(feature = "tokens")]
        if let Some(tokens) = &self.tokens {
            tokens.draw_from(budget);
        }
        #[cfg(feature = "tokens")]
        if let Some(sessions) = &self.sessions {
            sessions.draw_from(budget);
        }
        #[cfg(not(feature = "tokens"))]
        let _ = budget;
    }

    /// Returns the keys in the query, if keys are accepted there.
    pub(crate) fn keys_of<'q>(&self, query: Option<&'q str>) -> impl Iterator<Item = &'q str> {
        let pairs = query.filter(|_| self.key_in_query).unwrap_or_default().split('&');
        pairs.filter_map(|pair| pair.strip_prefix("code="))
    }

    /// Returns the access token of a caller that was verified by its token.
    #[cfg(feature = "oauth-client")]
    pub(crate) fn inbound(&self, who: &Authenticated<'_>, headers: &HeaderMap) -> Option<inbound::Inbound> {
        if self.tokens.is_none() || who.claims().is_none() {
            return None;
        }
        let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| inbound::Inbound::new(token.trim()))
    }

    pub(crate) const fn gate(&self) -> Gate {
        self.gate
    }

    /// Whether the endpoint pretends not to exist (404) to callers without valid credentials.
    pub(crate) fn is_hidden(&self) -> bool {
        self.unauthenticated == Unauthenticated::NotFound && !matches!(self.gate, Gate::Open(_) | Gate::Optional)
    }

    /// Fetches keys before the first request if the endpoint is hidden, because requests of a
    /// hidden endpoint do not wait for keys.
    pub(crate) fn prepare(&self) {
        #[cfg(feature = "tokens")]
        if let Some(tokens) = self.tokens.as_ref().filter(|_| self.is_hidden()) {
            tokens.fetch_keys();
        }
    }

    /// Whether the credentials in `came` are a valid key, or a token that was verified before. Used
    /// for callers over their rate limit, for which no signature is verified.
    pub(crate) fn recognizes(&self, came: &Unverified<'_>) -> bool {
        match came {
            Unverified::Key(shown) => shown.check(&self.keys.now().open).is_ok(),
            #[cfg(feature = "tokens")]
            Unverified::Token(bearer) => self.tokens.as_ref().is_some_and(|tokens| tokens.remembers(*bearer)),
            #[cfg(feature = "tokens")]
            Unverified::Both(shown, bearer) => {
                self.recognizes(&Unverified::Key(*shown)) && self.recognizes(&Unverified::Token(*bearer))
            }
            #[cfg(not(feature = "tokens"))]
            Unverified::Token(_) | Unverified::Both(..) => false,
            Unverified::Platform => false,
        }
    }

    /// Returns the answer to a caller that was refused for this reason: a challenge, unless the
    /// endpoint is configured to send none.
    pub(crate) fn shown_to_callers(&self, refusal: Refusal) -> Unauthenticated {
        match refusal {
            // Programs get a challenge: see `sign_in_url`.
            _ if matches!(self.unauthenticated, Unauthenticated::SignIn) => Unauthenticated::Challenge,
            Refusal::NoToken | Refusal::BadToken | Refusal::NoKey => self.unauthenticated,
            _ => Unauthenticated::Challenge,
        }
    }

    /// Returns the URL of the sign-in page, if the caller is a person with a browser who has to sign in.
    pub(crate) fn sign_in_url(&self, refusal: Refusal, head: &Parts) -> Option<String> {
        #[cfg(feature = "tokens")]
        if (self.unauthenticated, refusal) == (Unauthenticated::SignIn, Refusal::NoToken) {
            return self.sessions.as_ref()?.sign_in_url(head);
        }
        let _ = (refusal, head);
        None
    }

    /// Accepts the sessions of people who have signed in with a browser, where it accepts tokens.
    #[cfg(feature = "authorization-server")]
    pub(crate) fn with_sessions(mut self, sessions: Arc<dyn Sessions>) -> Self {
        self.sessions = Some(sessions);
        self
    }

    #[cfg(feature = "authorization-server")]
    pub(crate) fn with_gate(self, gate: Gate, keys: Keys) -> Self {
        Self { gate, keys, ..self }
    }

    /// Requires a session of a person who has signed in with a browser.
    #[cfg(feature = "authorization-server")]
    pub(crate) fn of_sessions(sessions: Arc<dyn Sessions>) -> Self {
        Self::of(Gate::Token, Keys::default()).with_sessions(sessions)
    }

    /// Returns the session of a request without a token. `None` if sessions are not accepted.
    #[cfg(feature = "tokens")]
    pub(crate) fn session<'s>(&'s self, head: &'s Parts) -> Option<Session<'s>> {
        self.sessions.as_ref().map(|sessions| sessions.find(head))
    }

    /// Whether sessions are accepted.
    #[cfg(feature = "tokens")]
    pub(crate) const fn has_sessions(&self) -> bool {
        self.sessions.is_some()
    }

    /// Returns the public URL of the endpoint, if tokens are accepted.
    pub(crate) fn resource(&self) -> Option<Resource<'_>> {
        #[cfg(feature = "tokens")]
        return self.tokens.as_ref().map(Tokens::resource);
        #[cfg(not(feature = "tokens"))]
        None
    }

    /// Returns the scopes that a client needs for ordinary use.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &str> {
        #[cfg(feature = "tokens")]
        return self.tokens.iter().flat_map(Tokens::each_scope);
        #[cfg(not(feature = "tokens"))]
        core::iter::empty()
    }

    /// Returns the URL of the endpoint as the client that sent this `head` sees it, if tokens are
    /// accepted.
    pub(crate) fn url(&self, head: &Parts) -> Option<String> {
        let [origin, path] = self.resource()?.url();
        let came = self.forwarded.as_ref().filter(|_| head.extensions.get::<Proxied>().is_some());
        let came = came.and_then(|fields| forwarded_origin(fields, &head.headers));
        Some(came.unwrap_or_else(|| origin.to_owned()) + path)
    }

    /// Returns the header fields that [`url`](Auth::url) may depend on.
    #[cfg(feature = "axum")]
    pub(crate) fn url_fields(&self) -> Option<&[HeaderName; 2]> {
        self.forwarded.as_ref()
    }

    /// Returns the metadata of the endpoint at this URL (RFC 9728), if tokens are accepted.
    pub(crate) fn metadata(&self, url: &str) -> Option<String> {
        #[cfg(feature = "tokens")]
        return self.tokens.as_ref().map(|tokens| tokens.metadata(&Resource::new(url).unwrap_or(tokens.resource())));
        #[cfg(not(feature = "tokens"))]
        {
            let _ = url;
            None
        }
    }

    /// Checks the credentials of the request with this head. The log gets the reason of a refusal, and
    /// the peer gets only the refusal.
    pub(crate) async fn check<'h>(&self, came: Unverified<'h>, head: &Parts) -> Result<Evidence<'h>, Refusal> {
        match came {
            // `Evidence::caller` checks the key: the caller borrows from the keys.
            Unverified::Key(shown) => Ok(Evidence::Key { shown, keys: self.keys.now() }),
            Unverified::Platform => match &self.custom {
                Some(custom) => found(custom.caller(head).await),
                None => match platform::caller(&head.headers) {
                    Ok(verified) => Ok(Evidence::Vouched(Box::new(verified))),
                    Err(denied) => Err(log_denial(&denied)),
                },
            },
            #[cfg(feature = "tokens")]
            Unverified::Token(bearer) => self.token(bearer).await,
            #[cfg(feature = "tokens")]
            Unverified::Both(shown, bearer) => {
                // The key is checked, but the token identifies the caller.
                self.keys.now().check(shown)?;
                self.token(bearer).await
            }
            #[cfg(not(feature = "tokens"))]
            Unverified::Token(_) | Unverified::Both(..) => Err(log_denial(&Denied::KeyUnavailable)),
        }
    }

    /// Whether requests wait for the keys of an issuer. They do not wait for a hidden endpoint,
    /// because the time of an answer could reveal that the endpoint exists.
    #[cfg(feature = "tokens")]
    fn fetch(&self) -> Fetch {
        if self.is_hidden() { Fetch::Beside } else { Fetch::Wait }
    }

    #[cfg(feature = "tokens")]
    async fn token(&self, bearer: attache_core::auth::Bearer<'_>) -> Result<Evidence<'static>, Refusal> {
        match &self.tokens {
            Some(tokens) => tokens.check(bearer, self.fetch()).await.map(Evidence::Token),
            // Only sessions are accepted.
            None if self.sessions.is_some() => Err(Refusal::BadToken),
            None => Err(log_denial(&Denied::KeyUnavailable)),
        }
    }
}

/// Returns the scheme and host that a proxy reports, or `None` if a field is missing, repeated or
/// invalid.
fn forwarded_origin([host, proto]: &[HeaderName; 2], head: &HeaderMap) -> Option<String> {
    let once = |name| {
        let mut values = head.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())?.to_str().ok()
    };
    let (host, proto) = (once(host)?, once(proto)?);
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let good = matches!(proto, "http" | "https") && !host.is_empty() && host.bytes().all(is_of_host);
    good.then(|| format!("{proto}://{host}"))
}

/// The proof of the caller's identity, kept as long as the request.
pub(crate) enum Evidence<'h> {
    /// The key that was shown, and the keys, one of which it has to be.
    Key { shown: Shown<'h>, keys: keys::Held },
    /// A token that was checked.
    #[cfg(feature = "tokens")]
    Token(Arc<Seen>),
    /// The caller as a platform or the application describes it.
    Vouched(Box<Verified<Vec<u8>>>),
    /// The application does not know the caller.
    Guest,
}

impl Evidence<'_> {
    /// The caller that the evidence shows.
    pub(crate) fn caller(&self) -> Result<Authenticated<'_>, Refusal> {
        match self {
            Self::Key { shown, keys } => keys.check(*shown),
            #[cfg(feature = "tokens")]
            Self::Token(seen) => Ok(Authenticated::token(seen.verified())),
            Self::Vouched(verified) => Ok(Authenticated::token(verified)),
            Self::Guest => Ok(Authenticated::anonymous(&Access::Guest)),
        }
    }
}

/// Returns the proof of a caller that the application has found.
fn found(found: Result<Caller, Rejection>) -> Result<Evidence<'static>, Refusal> {
    let refusal = match &found {
        Ok(caller) => {
            let vouched = caller.vouched().map_err(|denied| log_denial(&denied))?;
            return Ok(vouched.map_or(Evidence::Guest, |verified| Evidence::Vouched(Box::new(verified))));
        }
        Err(Rejection::Unauthenticated(_)) => Refusal::NoToken,
        Err(Rejection::Forbidden(_)) => Refusal::Forbidden,
        Err(Rejection::Unavailable(_)) => Refusal::Undecided,
    };
    if let Err(rejection) = found {
        crate::why::note(&rejection);
    }
    Err(refusal)
}

/// Logs why a caller is refused, and returns the part of the reason that the peer may know.
fn log_denial(denied: &Denied<'_>) -> Refusal {
    crate::why::note(denied);
    Refusal::from(*denied)
}
